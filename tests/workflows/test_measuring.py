"""An ended run reaches the dashboards and the audit log."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from config.access.callers import Caller
from config.access.models import Client
from monitoring import queries, rollups
from monitoring.models import AuditEntry, AuditPayload
from tests.workflows.conftest import Begin, Broker, Key
from tests.workflows.http import get, problem, start
from workflows import controls, measuring, publishing
from workflows.models import RunEvent

TWO = """
name: two
steps:
  a: {tool: core.echo, with: {value: 3}}
  b: {needs: [a], tool: core.sleep, with: {seconds: 0}}
"""
FAILS = "name: fails\nsteps:\n  a: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}}\n"


def test_runs_their_steps_and_their_waits_are_measured(finished: Begin) -> None:
    good, bad = finished(TWO), finished(FAILS)
    assert (good.state, bad.state) == ("succeeded", "failed")
    rollups.roll_up()
    now = timezone.now()
    stretch = {"since": now - timedelta(hours=1), "until": now + timedelta(minutes=1)}
    runs = queries.totals(["runs", "run_errors"], scope="workflow", **stretch)
    assert {key: (s["runs"].total, s["run_errors"].total) for key, s in runs.items()
            if "runs" in s} == {"two": (1, 0), "fails": (1, 1)}  # fmt: skip
    steps = queries.totals(["steps", "queue_wait_seconds"], scope="step", **stretch)
    assert {"two|a", "two|b", "fails|a"} <= steps.keys()
    assert steps["two|b"]["queue_wait_seconds"].percentile(1.0) < 60
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"workflows.run.succeeded", "workflows.run.failed"} <= actions


def test_how_a_workflow_did_is_told_over_http_to_those_who_may_see_it(
    web: Browser, key: Key, broker: Broker, other_client: Client
) -> None:
    who = key("administrator")
    for source in (TWO, TWO, FAILS):
        start(web, who, source)
    start(web, key("professional", other_client), TWO)
    broker.drain()
    rollups.roll_up()
    told = get(web, "workflows/two/statistics?range=24h", who).json()
    assert (told["runs"], told["failed"], told["success_ratio"]) == (3, 0, 1.0)
    assert 0 < told["duration_seconds"]["p50"] <= told["duration_seconds"]["p99"]
    assert told["cost"] == {
        "total_usd": "0.000000000", "per_run_usd": "0.000000000", "currency": "USD",
    }  # fmt: skip
    assert {step["key"]: step["times"] for step in told["steps"]} == {"a": 3, "b": 3}
    failing = get(web, "workflows/fails/statistics", who).json()
    assert (failing["runs"], failing["failed"], failing["success_ratio"]) == (1, 1, 0.0)
    outside = key("professional", other_client)
    theirs = get(web, "workflows/two/statistics", outside).json()
    assert theirs["runs"] == 1
    assert {step["key"]: step["times"] for step in theirs["steps"]} == {"a": 1, "b": 1}
    both = get(web, f"workflows/two/statistics?client={other_client.pk}", who).json()
    assert both["steps"] == theirs["steps"], "one client's are those of its own runs"
    problem(get(web, "workflows/none/statistics", who), 404, "not_found")
    problem(get(web, "workflows/two/statistics?range=1y", who), 422, "invalid_input")
    publishing.publish("name: closed\naccess: {see: [partner]}\nsteps:\n  a: {tool: core.echo}\n")
    problem(get(web, "workflows/closed/statistics", key("manager")), 403, "forbidden")
    untold = get(web, "workflows/closed/statistics", key("partner")).json()
    assert (untold["runs"], untold["success_ratio"]) == (0, None)


def test_an_ended_runs_entry_seals_every_transition(finished: Begin) -> None:
    run = finished(TWO)
    entry = AuditEntry.objects.get(target=f"run:{run.pk}", action="workflows.run.succeeded")
    assert entry.after_digest == measuring.history_digest(run.pk)
    # Whoever may get past the trigger and rewrites what happened, or leaves it out, is found.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_runevent DISABLE TRIGGER USER")
    event = RunEvent.objects.filter(run_id=run.pk).latest("id")
    RunEvent.objects.filter(pk=event.pk).update(actor="somebody else")
    assert entry.after_digest != measuring.history_digest(run.pk)
    event.delete()
    assert entry.after_digest != measuring.history_digest(run.pk)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_runevent ENABLE TRIGGER USER")


def test_what_people_do_to_runs_is_on_record_with_who_and_why(
    begin: Begin, broker: Broker, caller: Caller
) -> None:
    run = begin(TWO)
    controls.pause_run(caller, run.pk)
    controls.resume_run(caller, run.pk)
    controls.cancel_run(caller, run.pk, reason="wrong year")
    broker.drain()
    entries = AuditEntry.objects.filter(target=f"run:{run.pk}", actor=caller.principal)
    assert list(entries.order_by("id").values_list("action", flat=True)) == [
        "workflows.run.paused", "workflows.run.resumed", "workflows.run.cancelled",
    ]  # fmt: skip
    assert set(entries.values_list("client_id", "user_id")) == {(run.client_id, caller.user_id)}
    # The reason can be erased with its person; the entry stays.
    payload = AuditPayload.objects.get(entry_id=entries.order_by("-id")[0].pk)
    assert (payload.subject_id, "wrong year" in payload.after) == (caller.user_id, True)


def test_a_tool_call_of_a_step_is_audited_with_what_went_in_and_came_out(finished: Begin) -> None:
    run = finished("name: one\nsteps:\n  a: {tool: core.sleep, with: {seconds: 0}}\n")
    entry = AuditEntry.objects.get(action="agents.tool.called", session=str(run.pk))
    assert entry.target == "tool:core.sleep"
    assert len(entry.before_digest) == len(entry.after_digest) == 64
