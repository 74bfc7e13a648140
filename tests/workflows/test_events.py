"""The events of a run: streamed until its end, resumed, none hidden."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.test import AsyncClient
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start
from tests.workflows.workers import wait_for
from workflows import history, stream

pytestmark = pytest.mark.django_db(transaction=True)


async def _read(client: AsyncClient, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await client.get(path, headers=headers)
    assert answer["Content-Type"] == "text/event-stream"
    text = b"".join([part async for part in answer.streaming_content]).decode()
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append({**json.loads(lines["data"]), "event": lines["event"]})
    return found


async def test_events_stream_until_the_end_and_resume_after_the_last_seen(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asgiref.sync import sync_to_async

    monkeypatch.setattr(stream, "POLL_SECONDS", 0.02)
    who = await sync_to_async(key)()
    run = await sync_to_async(start)(web, who)
    await sync_to_async(broker.drain)()
    path = f"/api/v1/runs/{run['id']}/events"
    events = await _read(AsyncClient(), path, who)
    assert events[-1] == {"state": "succeeded", "event": "end"}
    names = [event["name"] for event in events[:-1]]
    assert names[-1] == "run.succeeded"
    assert names.count("step.succeeded") == 2
    resumed = await _read(AsyncClient(), path, {**who, "Last-Event-ID": events[1]["id"]})
    assert resumed == events[2:]
    assert all("T" in event["at"] and event["at"].endswith("Z") for event in events[:-1])
    beyond = await _read(AsyncClient(), path, {**who, "Last-Event-ID": "9" * 40 + "-²"})
    assert beyond == events, "what is no event's id reads from the beginning"


def test_a_transaction_that_is_open_elsewhere_hides_nothing_of_an_ended_run(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    with psycopg.connect(**connection.get_connection_params()) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")
        run = start(web, who)
        path = f"runs/{run['id']}/events?format=json"
        assert get(web, path, who).json()["results"] == [], "a reader that goes on misses none"
        events, total, cursor = history.latest(UUID(run["id"]), limit=9)
        assert events[-1]["name"] == "run.created" and (total, cursor) == (len(events), "")
        broker.drain()
        names = [one["name"] for one in get(web, path, who).json()["results"]]
    assert names[0] == "run.created" and names[-1] == "run.succeeded"
    # Other databases of the same server may hold transactions open a little longer.
    wait_for(lambda: history.latest(UUID(run["id"]), limit=9)[2] != "", seconds=60)
