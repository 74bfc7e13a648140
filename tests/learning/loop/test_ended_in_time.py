"""What beat looks for by its end is found by an index, however many runs are on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.access.models import User
from learning import tasks
from learning.models import AskingPolicy
from tests.rows import insert
from workflows import publishing
from workflows.models import Run, StepRun

pytestmark = pytest.mark.django_db
ONE = "name: one\nsteps: {say: {tool: core.echo, with: {value: 1}}}\n"
MANY = 3000


@pytest.fixture
def record(firm: Any) -> None:
    """Runs and steps that ended over a year, a step in a hundred of which failed."""
    version, _ = publishing.publish(ONE)
    ada = User.objects.create_user("ada", password="x")
    now = timezone.now()
    ends = [now - timedelta(days=365 * n / MANY) for n in range(MANY)]
    runs = insert(
        Run(
            client=firm,
            version=version,
            workflow_name="one",
            state="succeeded",
            ended_at=at,
            started_by=ada,
        )
        for at in ends
    )
    insert(
        StepRun(run=run, key="say", kind="tool", ended_at=run.ended_at,
                state="succeeded" if n % 100 else "failed")
        for n, run in enumerate(runs)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workflows_run")
        cursor.execute("ANALYZE workflows_steprun")


def plans_of(work: Any, table: str) -> str:
    """How the statements that ``work`` sent and that filter by an end in ``table`` are done."""
    with CaptureQueriesContext(connection) as sent:
        work()
    found = [one["sql"] for one in sent if f'"{table}"."ended_at" >=' in one["sql"]]
    assert found
    plans = []
    with connection.cursor() as cursor:
        for sql in found:
            cursor.execute(f"EXPLAIN {sql}")
            plans += [line for (line,) in cursor.fetchall()]
    return "\n".join(plans)


def test_runs_that_ended_lately_are_found_by_their_end(record: None) -> None:
    AskingPolicy.objects.create(workflow_name="", is_enabled=True)
    assert "run_ended" in plans_of(tasks.follow_up, "workflows_run")


def test_steps_that_failed_lately_are_found_by_their_end(record: None) -> None:
    assert "step_failed" in plans_of(tasks.freshen, "workflows_steprun")
