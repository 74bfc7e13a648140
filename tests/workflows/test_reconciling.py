"""What the benchmark counts afterwards is counted right, and what is wrong does not pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client as Browser

from tests.benchmarks import noting, workloads
from tests.benchmarks.reconciling import Notes, Wrong, reconcile
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import start
from workflows.models import StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    monkeypatch.setenv("BENCH_NOTES", str(tmp_path / "notes"))
    return Notes(tmp_path / "notes")


@pytest.mark.parametrize("light", [True, False])
def test_rows_effects_results_and_order_are_reconciled_one_by_one(
    web: Browser,
    key: Key,
    broker: Broker,
    notes: Notes,
    light: bool,
) -> None:
    assert noting.note.__module__ == noting.__name__
    who, items = key(), list(range(70))
    sources = [(workloads.random_dag(light=light, size=30), {}),
               (workloads.wide(light=light), {"xs": items})]  # fmt: skip
    done: list[tuple[list[str], dict[str, Any], int, list[str]]] = []
    for source, inputs in sources:
        source = workloads.noted(source)
        run = start(web, who, source, inputs=inputs)["id"]
        broker.drain()
        done.append(([run], json.loads(source)["steps"], len(inputs.get("xs", ())), notes.new()))
    assert [reconcile(rows, *one) for one in done] == [30, 71]

    dag, wide = done
    for noted, says in (
        (wide[3][1:], "effects: 1 missing"),
        ([*wide[3], wide[3][0]], "effects: 1 happened again"),
        ([*wide[3], dag[3][0]], "effects: 1 of no step"),
    ):
        with pytest.raises(Wrong, match=says):
            reconcile(rows, *wide[:3], noted)
    StepRun.objects.filter(item=3).update(output={"value": "another's"})
    with pytest.raises(Wrong, match="70 right"):
        reconcile(rows, *wide)
    StepRun.objects.filter(key="s0").update(ended_at=Now())
    with pytest.raises(Wrong, match=r"[1-9][0-9]* before what they need"):
        reconcile(rows, *dag)
