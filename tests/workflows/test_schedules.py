"""Schedules: ticks in a time zone, each decided once, whoever tells of it and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from config.access.models import Client, User
from config.celery import app
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem
from workflows import publishing, sweeps, tasks
from workflows.models import Run, Schedule, ScheduleTick

pytestmark = pytest.mark.django_db(transaction=True)

LIMITED = (
    "name: limited\ninputs: {type: object, properties: {n: {type: integer}}}\n"
    "access: {start: [manager]}\nsteps:\n  a: {tool: core.echo}\n  b: {wait: {signal: go}}\n"
)


def schedule(web: Browser, who: dict[str, str], **body: Any) -> dict[str, Any]:
    publishing.publish(LIMITED)
    body = {"name": "Every morning", "workflow": "limited", "cron": "30 6 * * *", **body}
    answer = post(web, "schedules", body, who)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def passed(minutes: float = 1) -> datetime:
    """Let every schedule's next tick have come some minutes ago."""
    at = (timezone.now() - timedelta(minutes=minutes)).replace(second=0, microsecond=0)
    Schedule.objects.update(next_at=at)
    return at


def ticks() -> list[str]:
    return list(ScheduleTick.objects.order_by("at").values_list("state", flat=True))


def test_a_schedule_is_kept_changed_paused_and_deleted(web: Browser, key: Key) -> None:
    who = key("manager")
    made = schedule(web, who, time_zone="Europe/Berlin", inputs={"n": 1})
    at = f"schedules/{made['id']}"
    assert made["next_at"].endswith((":30:00Z", ":30:00+00:00"))
    entry = PeriodicTask.objects.get(task="workflows.run_schedule")
    assert (entry.crontab.hour, str(entry.crontab.timezone)) == ("6", "Europe/Berlin")
    seen = get(web, at, who)["ETag"]

    def change(body: dict[str, Any], **headers: str) -> Any:
        return web.patch(f"/api/v1/{at}", body, "application/json", headers={**who, **headers})

    changed = change({"cron": "0 7 * * 1", "missed": "skip"}, **{"If-Match": seen})
    assert (changed.json()["cron"], changed.json()["inputs"]) == ("0 7 * * 1", {"n": 1})
    problem(change({"cron": "0 8 * * 1"}, **{"If-Match": seen}), 409, "conflict")
    problem(change({"workflow": "echo"}), 422, "invalid_input")
    assert PeriodicTask.objects.get(pk=entry.pk).crontab.hour == "7"
    assert post(web, f"{at}/pause", {}, who).json()["next_at"] is None
    assert not PeriodicTask.objects.get(pk=entry.pk).enabled
    assert post(web, f"{at}/resume", {}, who).json()["next_at"] is not None
    assert [s["id"] for s in get(web, "schedules", who).json()["results"]] == [made["id"]]
    assert web.delete(f"/api/v1/{at}", headers=who).status_code == 204
    assert not PeriodicTask.objects.filter(task="workflows.run_schedule").exists()
    problem(get(web, at, who), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"cron": "61 * * * *"}, 422, "cron"),
        ({"cron": "0 0 31 2 *"}, 422, "Bad day-of-month"),
        ({"cron": "* * *"}, 422, "write minute hour day month weekday"),
        ({"time_zone": "Mars/Olympus"}, 422, "time zone"),
        ({"inputs": {"n": "x"}}, 422, "inputs.n"),
        ({"workflow": "nope"}, 404, "nope"),
        ({"missed": "maybe"}, 422, "missed"),
        ({"name": "Taken"}, 409, "Taken"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_reason(
    web: Browser, key: Key, body: dict[str, Any], status: int, says: str
) -> None:
    who = key("manager")
    schedule(web, who, name="Taken")
    full = {"name": "x", "workflow": "limited", "cron": "0 * * * *", **body}
    answer = post(web, "schedules", full, who)
    assert (answer.status_code, says in answer.content.decode()) == (status, True), answer.content
    assert Schedule.objects.count() == 1


def test_only_who_may_start_the_workflow_keeps_a_schedule_of_it(
    web: Browser, key: Key, other_client: Client
) -> None:
    manager, professional = key("manager"), key("professional")
    made = schedule(web, manager)
    body = {"name": "n", "workflow": "limited", "cron": "0 * * * *"}
    problem(post(web, "schedules", body, professional), 403, "forbidden")
    problem(post(web, f"schedules/{made['id']}/pause", {}, professional), 403, "forbidden")
    stranger = key("manager", other_client)
    problem(get(web, f"schedules/{made['id']}", stranger), 404, "not_found")
    assert get(web, "schedules", stranger).json()["results"] == []


def test_a_tick_that_is_told_eight_times_at_once_starts_one_run(web: Browser, key: Key) -> None:
    made = schedule(web, key("manager"), cron="* * * * *")
    at = passed(0)

    def tell(_: int) -> None:
        try:
            tasks.run_schedule(made["id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    started = ScheduleTick.objects.get(at=at)
    assert (Run.objects.count(), started.state) == (1, "started")
    told = get(web, f"schedules/{made['id']}", key("manager")).json()["ticks"]
    assert [t["run_id"] for t in told] == [str(started.run_id)]


@pytest.mark.parametrize(
    ("missed", "states"),
    [
        ("skip", ["missed", "missed", "missed"]),
        ("latest", ["missed", "missed", "started"]),
        ("all", ["started", "started", "started"]),
    ],
)
def test_ticks_that_passed_while_nothing_ran_follow_the_policy(
    web: Browser, key: Key, missed: str, states: list[str]
) -> None:
    schedule(web, key("manager"), cron="0 * * * *", missed=missed, grace_seconds=1)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Schedule.objects.update(next_at=hour - timedelta(hours=3))
    # The tick of this hour may just have come; it is none of the three.
    sweeps.sweep()
    rows = ScheduleTick.objects.filter(at__lt=hour).order_by("at")
    if missed == "latest" and ScheduleTick.objects.filter(at=hour).exists():
        states = ["missed", "missed", "missed"]
    assert list(rows.values_list("state", flat=True)) == states
    again = Run.objects.count()
    sweeps.sweep()
    assert Run.objects.count() == again


def test_a_run_still_open_holds_the_next_tick_back_where_the_schedule_says_so(
    web: Browser, key: Key, broker: Broker
) -> None:
    schedule(web, key("manager"), cron="* * * * *", overlap="skip")
    passed(2)
    sweeps.sweep()
    assert set(ticks()) == {"started", "overlapped"}
    assert Run.objects.count() == 1


def test_a_schedule_of_somebody_who_may_no_longer_start_says_so(web: Browser, key: Key) -> None:
    who = key("manager")
    made = schedule(web, who, cron="* * * * *")
    User.objects.update(is_active=False)
    passed(0)
    sweeps.sweep()
    tick = ScheduleTick.objects.get()
    assert (tick.state, tick.error["code"]) == ("refused", "forbidden")
    assert not Run.objects.exists()
    User.objects.update(is_active=True)
    assert get(web, f"schedules/{made['id']}", who).json()["ticks"][0]["state"] == "refused"


def test_a_tick_whose_starter_died_is_started_by_the_sweep(web: Browser, key: Key) -> None:
    made = schedule(web, key("manager"))
    ScheduleTick.objects.create(schedule_id=made["id"], at=timezone.now())
    sweeps.sweep()
    assert (ticks(), Run.objects.count()) == (["started"], 1)


def test_beat_sends_what_the_schedule_keeps(web: Browser, key: Key) -> None:
    """Beat's own scheduler, on the real broker, and a worker's side of what it sent."""
    made = schedule(web, key("manager"), cron="* * * * *")
    PeriodicTask.objects.filter(task="workflows.run_schedule").update(
        last_run_at=timezone.now() - timedelta(minutes=5)
    )
    passed(0)
    scheduler = DatabaseScheduler(app, lazy=True)
    entry = scheduler.schedule[f"schedule {made['id']}"]
    assert entry.is_due().is_due
    scheduler.apply_async(entry, producer=None, advance=False)
    with app.connection_for_read() as link:
        message = link.SimpleQueue("control").get(block=True, timeout=10)
        args, kwargs, _ = message.payload
        assert message.headers["task"] == "workflows.run_schedule"
        message.ack()
    app.tasks["workflows.run_schedule"](*args, **kwargs)
    assert Run.objects.count() == 1


def test_a_schedule_works_on_the_echo_that_everybody_may_start(web: Browser, key: Key) -> None:
    publishing.publish(ECHO)
    schedule(web, key("manager"), workflow="echo", cron="* * * * *")
    passed(0)
    assert sweeps.sweep()["scheduled"] == 1
