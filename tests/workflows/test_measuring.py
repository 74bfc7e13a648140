"""An ended run reaches the dashboards and the audit log."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from monitoring import queries, rollups
from monitoring.models import AuditEntry
from tests.workflows.conftest import Begin

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
