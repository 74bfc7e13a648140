"""What is sent to Sentry, and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from config import telemetry
from tests import processes
from tests.monitoring.receiver import receiving
from tests.workflows.workers import wait_for, worker


class Kept(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.envelopes.append(envelope)


@pytest.fixture
def sentry() -> Iterator[Kept]:
    kept = Kept()
    # The suite's own Django and Celery are not to be wrapped for the rest of the run.
    assert telemetry.start(
        "https://key@sentry.example.org/1",
        transport=kept,
        default_integrations=False,
        integrations=[],
    )
    yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def test_without_a_dsn_nothing_is_started() -> None:
    assert not telemetry.start("-")


def test_an_error_is_sent_without_anything_that_a_client_said(sentry: Kept) -> None:
    # Put together here: lines of the source are sent, and hold no data.
    prompt, mail = " ".join(["the", "secret", "prompt"]), "@".join(["ada", "example.org"])
    try:
        raise ValueError(f"bad value {prompt}")
    except ValueError as error:
        with sentry_sdk.new_scope() as scope:
            scope.set_extra("prompt", prompt)
            scope.set_user({"email": mail})
            sentry_sdk.capture_exception(error)
    (event,) = [item.payload.json for envelope in sentry.envelopes for item in envelope.items
                if item.headers["type"] == "event"]  # fmt: skip
    assert event["exception"]["values"][0]["type"] == "ValueError"
    text = json.dumps(event)
    assert prompt not in text
    assert mail not in text


def test_a_requests_query_and_headers_stay_here() -> None:
    event = {"request": {"method": "GET", "url": "https://x/y?name=Ada", "headers": {"a": "b"}}}
    assert telemetry._bare(event, None) == {"request": {"method": "GET", "url": "https://x/y"}}


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_a_receiver_hears_of_errors_and_of_periodic_tasks_that_ran(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    """Longer than most: a real worker runs what beat's own code has sent."""

    def items() -> list[tuple[str, dict[str, Any]]]:
        found = []
        for _, body in got:
            lines = body.split(b"\n")
            for head, payload in zip(lines[1::2], lines[2::2], strict=False):
                if b'"type"' in head:
                    found.append((json.loads(head)["type"], json.loads(payload)))
        return found

    def check_ins() -> set[tuple[str, str]]:
        return {(p["monitor_slug"], p["status"]) for kind, p in items() if kind == "check_in"}

    with receiving() as (url, got):
        environment = {**process_environment, "SENTRY_DSN": url.replace("://", "://key@") + "/1"}
        with worker(environment, tmp_path, queues="control"):
            beat = processes.start("tests.config.tick", env=environment, log=tmp_path / "beat.log")
            assert beat.wait(120) == 0, (tmp_path / "beat.log").read_text()
            wanted = {("daily-good", "in_progress"), ("daily-good", "ok"), ("daily-bad", "error")}
            wait_for(lambda: check_ins() >= wanted, told=lambda: str(items()))
            wait_for(lambda: "event" in dict(items()), told=lambda: str(items()))
    (event,) = [payload for kind, payload in items() if kind == "event"]
    assert event["exception"]["values"][-1]["value"] == ""
    assert not any("sweep" in slug for slug, _ in check_ins())
