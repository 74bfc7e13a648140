"""/metrics: right under several processes, whatever was folded when."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from monitoring import queries, rollups
from monitoring.services import Measurement, record

pytestmark = pytest.mark.django_db


def scraped(client: Client) -> dict[tuple[str, str], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, sample.labels.get("agent", "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_are_all_that_ever_was_and_only_grow(client: Client) -> None:
    now = timezone.now()
    for back in (timedelta(days=20), timedelta(days=5), timedelta(hours=3), timedelta()):
        numbers = {"invocations": 1, "invocation_duration_seconds": 2.0, "cost_usd": 0.5}
        record([Measurement(numbers, {"agent": "a", "client": "secret-client"}, now - back)])
    rollups.roll_up()
    before = scraped(client)
    assert before["ratchet_agent_invocations_total", "a"] == 4
    assert before["ratchet_agent_invocation_duration_seconds_sum", "a"] == 8
    assert before["ratchet_agent_cost_usd_count", "a"] == 4
    rollups.keep_tidy(now=now)
    assert scraped(client) == before
    record([Measurement({"invocations": 1}, {"agent": "a"})])
    rollups.roll_up()
    assert scraped(client)["ratchet_agent_invocations_total", "a"] == 5


@pytest.mark.django_db(transaction=True)
def test_a_counter_does_not_fall_while_a_day_is_added_to_the_totals(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    record([Measurement({"invocations": 1}, {"agent": "a"}, now - timedelta(days=5))])
    rollups.roll_up()
    read, added = queries.totals, []

    def tidy() -> None:
        added.append(rollups.keep_tidy(now=now)["days_totalled"])
        connections.close_all()

    def between(*given: Any, **more: Any) -> Any:
        if not added:  # the rows of totals were read, the days are not
            tidying = threading.Thread(target=tidy)
            tidying.start()
            tidying.join()
        return read(*given, **more)

    monkeypatch.setattr(queries, "totals", between)
    assert scraped(client)["ratchet_agent_invocations_total", "a"] == 1
    assert added == [1]
    assert scraped(client)["ratchet_agent_invocations_total", "a"] == 1


def test_no_client_is_told(client: Client) -> None:
    record([Measurement({"invocations": 1}, {"agent": "a", "client": "secret-client"})])
    rollups.roll_up()
    assert b"secret-client" not in client.get("/metrics").content
