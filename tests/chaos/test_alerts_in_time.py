"""From a cause, over beat and real workers, to a person who is told; prints how long it took."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from monitoring.models import Alert, Channel, Heartbeat
from monitoring.services import Measurement, record, security_event
from tests.monitoring.receiver import receiving
from tests.workflows.workers import ROOT, wait_for, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.worker]
SHIPPED = ("error-rate", "endpoint-error-rate", "availability-fast-burn", "latency-over-baseline",
           "cost-over-expected", "accuracy-under-baseline", "budget-used", "drift",
           "security-events", "run-failures")  # fmt: skip


@contextmanager
def beat(environment: dict[str, str], log: Path) -> Iterator[None]:
    argv = [sys.executable, "-m", "celery", "-A", "config", "beat", "--pidfile="]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=out,
                                   stderr=subprocess.STDOUT)  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def history() -> None:
    """A week in which all was well."""
    for hours in range(3, 150, 3):
        at = timezone.now() - timedelta(hours=hours)
        record([Measurement(
            {"invocations": 20, "invocation_errors": 0, "invocation_duration_seconds": [1.0] * 20,
             "cost_usd": [0.01] * 20, "accuracy_ratio": [0.95] * 20},
            {"agent": "a", "endpoint": "one", "domain": "tax"}, at,
        )])  # fmt: skip


def breach() -> None:
    """Everything that the shipped rules know goes wrong at once."""
    labels = {"agent": "a", "endpoint": "one", "domain": "tax", "code": "timeout"}
    numbers = {"invocations": 1.0, "invocation_errors": 1.0, "invocation_duration_seconds": 9.0,
               "cost_usd": 1.0, "accuracy_ratio": 0.5}  # fmt: skip
    record([Measurement(numbers, labels)] * 150)
    record([Measurement({"budget_used_ratio": 1.0}, {"budget": "client:x:month"})])
    record([Measurement({"drift_score": 0.4}, {"agent": "a"})])
    record([Measurement({"runs": 1, "run_errors": 1}, {"workflow": "w"})] * 10)
    for _ in range(25):
        security_event(kind="injection", severity="medium")


def test_what_the_shipped_rules_watch_is_told_soon_after_it_happens(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    call_command("load_monitoring", verbosity=0)
    history()
    with (
        receiving() as (url, got),
        worker(process_environment, tmp_path, queues="control,low,default,analysis") as working,
        beat(process_environment, tmp_path / "beat.log"),
    ):
        Channel.objects.create(name="team", kind="slack", address=url, may_be_private=True)
        # A whole pass has gone by: what follows is not helped by a start.
        wait_for(lambda: Heartbeat.objects.filter(name="task:monitoring.watch").exists(), 400,
                 lambda: working.said + (tmp_path / "beat.log").read_text())  # fmt: skip
        began = timezone.now()
        breach()
        wait_for(
            lambda: (
                {*Alert.objects.filter(state="firing").values_list("rule__slug", flat=True)}
                >= set(SHIPPED)
            ),
            300,
            lambda: str(set(SHIPPED) - {*Alert.objects.values_list("rule__slug", flat=True)}),
        )
        wait_for(lambda: got, 300)
        told = timezone.now()
    for slug in SHIPPED:
        alert = Alert.objects.filter(rule__slug=slug, state="firing").order_by("fired_at")[0]
        print(f"{slug}: fired {(alert.fired_at - began).total_seconds():.0f} s after its cause")
    print(f"told after {(told - began).total_seconds():.0f} s, {len(got)} message(s)")
