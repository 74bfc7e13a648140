"""Messages that are lost: sent again in time by nobody's help, and no backlog sent twice."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from celery import current_app
from django.db.models import F
from django.test import Client as Browser

from tests.workflows import effects
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, start
from tests.workflows.servers import NO_RABBITMQ, rabbitmq, using_broker
from tests.workflows.workers import ended, sweeping, wait_for, worker
from workflows import dispatch, tasks
from workflows.models import Lane, Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

ONE = "name: one\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n"
WORK = """
name: works
inputs: {type: object, properties: {ledger: {type: string}, seconds: {type: number}}}
steps:
  fan:
    for_each: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    tool: drill.effect
    with: {ledger: "${ inputs.ledger }", seconds: "${ inputs.seconds }"}
"""


def wait_long(minutes: float = 5) -> None:
    """As if all that waits had waited for so long, and the scouts were sent as long ago."""
    past = timedelta(minutes=minutes)
    StepRun.objects.filter(state="queued").update(
        queued_at=F("queued_at") - past, wake_at=F("wake_at") - past
    )
    Lane.objects.update(asked_at=F("asked_at") - past, passed_at=F("passed_at") - past)


def state(web: Browser, who: dict[str, str], run: str) -> str:
    return str(get(web, f"runs/{run}", who).json()["state"])


def sent(broker: Broker) -> list[str]:
    return sorted(step for _, _, ids, _ in broker.messages for step in ids)


def test_all_that_waits_is_sent_again_at_once_when_the_broker_has_forgotten_everything(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    runs = [start(web, who, ONE)["id"] for _ in range(3)]
    held = start(web, who, ONE)["id"]
    assert post(web, f"runs/{held}/pause", {}, who).status_code == 200
    before = sent(broker)
    broker.forget()
    tasks.sweep()
    assert sent(broker) == sorted(set(before) - set(map(str, steps_of(held))))
    tasks.sweep()
    assert len(broker.messages) == 3, "once"
    broker.drain()
    assert {state(web, who, run) for run in runs} == {"succeeded"}
    assert post(web, f"runs/{held}/resume", {}, who).status_code == 200
    broker.drain()
    assert state(web, who, held) == "succeeded"


def steps_of(run: str) -> list[object]:
    return list(StepRun.objects.filter(run=run, state="queued").values_list("id", flat=True))


def test_a_backlog_is_not_sent_twice_and_what_was_lost_in_it_goes_on_as_soon_as_it_may(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    runs = [start(web, who, ONE)["id"] for _ in range(5)]
    del broker.messages[1]  # a worker had it when it died
    wait_long()
    for _ in range(3):
        tasks.sweep()
    assert len(broker.messages) == 4, "nobody knows yet that it is no backlog"
    assert len(broker.scouts) == 4, "one scout a lane"
    before = broker.delivered
    broker.drain()
    assert [state(web, who, run) for run in runs] == ["succeeded"] * 5
    assert broker.delivered - before == 4 + 4 + 1


def test_scouts_become_fewer_before_a_lane_that_nobody_takes_from_and_stop_with_what_waits(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, ONE)["id"]
    tasks.sweep()
    assert not broker.scouts, "it has only just been sent"
    wait_long()
    tasks.sweep()
    Lane.objects.update(passed_at=F("asked_at") - timedelta(minutes=60))
    wait_long(2)
    tasks.sweep()
    assert len(broker.scouts) == 4, "3 minutes apart in a lane of an hour"
    wait_long(2)
    tasks.sweep()
    assert len(broker.scouts) == 8
    assert post(web, f"runs/{run}/pause", {}, who).status_code == 200
    wait_long(30)
    tasks.sweep()
    assert len(broker.scouts) == 8, "a paused run waits for a person"


def test_what_is_tried_again_later_is_not_lost_before_its_time(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    again = "retry: {max_attempts: 2, backoff: 5m}"
    start(web, who, f"name: late\nsteps:\n  a: {{tool: core.fail, with: {{times: 1}}, {again}}}\n")
    other = start(web, who, ONE)["id"]
    broker.messages.pop()
    assert broker.drain(limit=1) == 1
    broker.messages.clear()  # the retry's: a worker keeps it in memory
    StepRun.objects.filter(run=other).update(wake_at=F("wake_at") - timedelta(seconds=30))
    tasks.sweep()
    broker.drain()
    assert state(web, who, other) == "succeeded"
    assert StepRun.objects.get(key="a", run__workflow_name="late").state == "queued"


# ---------------------------------------------------------------- real brokers and workers
def test_a_broker_remembers_until_it_is_flushed() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as server:
        server.delete(dispatch.MARK)
        assert dispatch.has_forgotten()
        dispatch.leave_mark()
        assert not dispatch.has_forgotten()
        server.flushdb()
        assert dispatch.has_forgotten()


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.skipif(bool(NO_RABBITMQ), reason=NO_RABBITMQ)
def test_rabbitmq_remembers_until_its_data_is_gone() -> None:
    with rabbitmq() as rabbit, using_broker(rabbit.url):
        assert dispatch.has_forgotten()
        dispatch.leave_mark()
        wait_for(lambda: not dispatch.has_forgotten(), 20)  # it takes the message when it may
        with current_app.connection_for_write() as connection:
            connection.default_channel.queue_delete(dispatch.MARK)
        assert dispatch.has_forgotten()


def begun(key: Key, ledger: Path, seconds: float) -> Run:
    """A run that was started over HTTP."""
    inputs = {"ledger": str(ledger), "seconds": seconds}
    return Run.objects.get(pk=start(Browser(), key(), WORK, inputs=inputs)["id"])


def take_from_default(name: str) -> None:
    """Let a worker that is ready take from the lane as well."""
    who, control = [f"{name}@{os.uname().nodename}"], current_app.control
    wait_for(lambda: control.add_consumer("default", destination=who, reply=True, timeout=5))


@pytest.mark.worker
@pytest.mark.slow
def test_steps_whose_messages_are_flushed_away_go_on_within_30_s_by_the_shipped_settings(
    process_environment: dict[str, str], key: Key, tmp_path: Path
) -> None:
    ledger, environment = tmp_path / "ledger", process_environment
    run = begun(key, ledger, 0)
    with (
        worker(environment, tmp_path, name="works", queues="control,low") as works,
        sweeping(5.0),
    ):
        wait_for(lambda: not dispatch.has_forgotten(), 60, lambda: works.said)
        wait_long()
        with redis.Redis.from_url(os.environ["REDIS_URL"]) as server:
            server.flushdb()
        since = time.monotonic()
        take_from_default("works")
        wait_for(lambda: ended(run), 60, lambda: works.said)
        taken = time.monotonic() - since
    assert (run.state, taken < 30) == ("succeeded", True), taken
    assert set(effects.calls(ledger).values()) == {1}


@pytest.mark.worker
def test_what_a_killed_worker_had_fetched_goes_on_within_30_s_by_the_shipped_settings(
    process_environment: dict[str, str], key: Key, tmp_path: Path
) -> None:
    ledger, environment = tmp_path / "ledger", process_environment
    dispatch.leave_mark()
    with (
        worker(environment, tmp_path, name="heir", queues="control,low", concurrency=12) as heir,
        redis.Redis.from_url(os.environ["REDIS_URL"]) as server,
    ):
        run = begun(key, ledger, 6)
        steps = run.steps.filter(item__gte=0)
        with worker(environment, tmp_path, queues="default", concurrency=2) as victim:
            wait_for(lambda: steps.filter(state="running").count() == 2, 60, lambda: victim.said)
            wait_for(lambda: server.llen("default") <= 4, 60, lambda: victim.said)
            victim.kill()
        since = time.monotonic()
        waiting = set(steps.filter(state="queued").values_list("id", flat=True))
        assert len(waiting) > server.llen("default"), "some lay in it, not yet begun"
        take_from_default("heir")
        with sweeping(5.0):
            left = steps.filter(id__in=waiting, state="queued")
            wait_for(lambda: not left.exists(), 60, lambda: heir.said)
            taken = time.monotonic() - since
            wait_for(lambda: ended(run), 60, lambda: heir.said)
    assert (run.state, taken < 30) == ("succeeded", True), taken
    assert set(effects.calls(ledger)) == {str(pk) for pk in steps.values_list("id", flat=True)}
