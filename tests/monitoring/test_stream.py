"""The stream of what is now: each agent's last minute, a few seconds old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient

from config.access.models import Client, Membership, User
from monitoring import latest
from monitoring.pages import live
from monitoring.services import Measurement, record

# How old a number on the page may be.
OLDEST_SECONDS = 5.0


@pytest.fixture
def browser(transactional_db: None) -> AsyncClient:
    firm, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    user = User.objects.create_user("mara", password="x")
    Membership.objects.create(user=user, client=firm, role="platform_engineer")
    signed_in = AsyncClient()
    signed_in.force_login(user)
    latest._kept.clear()
    return signed_in


def call(agent: str, *, failed: bool = False) -> None:
    record([Measurement({"invocations": 1.0, "invocation_errors": float(failed),
                         "invocation_duration_seconds": 1.5}, {"agent": agent})])  # fmt: skip


def call_and_leave(agent: str) -> None:
    """From a thread of its own, which leaves no connection behind."""
    call(agent, failed=True)
    leave()


def leave() -> None:
    """Close the connection of the thread that this runs in."""
    connection.close()


async def news(lines: AsyncIterator[bytes]) -> dict[str, Any]:
    """The next event about now."""
    async for line in lines:
        text = line.decode()
        if text.startswith("event: now"):
            return dict(json.loads(text.partition("data: ")[2]))
    raise AssertionError("the stream ended")


def test_an_agents_stream_tells_its_last_minute_and_what_has_just_come(
    browser: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is told was read at most so long ago, and may have been kept for others.
    assert live.POLL_SECONDS + latest.KEPT_SECONDS < OLDEST_SECONDS
    monkeypatch.setattr(live, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(latest, "KEPT_SECONDS", 0.0)
    call("a")
    call("b", failed=True)

    async def follow() -> list[dict[str, Any]]:
        answer = await browser.get("/dashboard/_stream", {"scope": "agent", "key": "a"})
        assert answer["Content-Type"] == "text/event-stream"
        lines = aiter(answer.streaming_content)
        told = [await news(lines)]
        await asyncio.to_thread(call_and_leave, "a")
        told.append(await news(lines))
        await sync_to_async(leave)()
        return told

    first, second = asyncio.run(follow())
    assert (first["calls"], first["errors"], first["p95"]) == ("1", "0", "1.5 s")
    assert (second["calls"], second["errors"]) == ("2", "1")


def test_a_stream_of_nothing_known_is_refused(browser: AsyncClient) -> None:
    async def ask() -> Any:
        found = await browser.get("/dashboard/_stream", {"scope": "step", "key": "x"})
        await sync_to_async(leave)()
        return found

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["field"]) == (422, "scope")
