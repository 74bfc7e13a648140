"""Whatever the definition, and wherever it crashes, a run comes out as the contract says.

The real engine runs random definitions on PostgreSQL. The process "dies" before or after a write,
a commit or a message of Hypothesis' choice: what is in memory is gone, what is committed stays.
Messages are lost, repeated and reordered. People approve and refuse, send signals, and pause,
resume or cancel the run. Then leases end, and the sweep finds what is left. The short form plays
the same examples each time; the long one (``make chaos``) plays new ones.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import Max
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from config.access.callers import Caller
from tests.workflows import effects
from tests.workflows.dags import Dag, Expected, dags, interpret, may_be_withdrawn
from tests.workflows.worlds import People, World, play
from workflows import dispatch
from workflows.models import Run, RunEvent, StepRun

# Examples of the long form.
LONG = int(os.environ.get("PROPERTY_EXAMPLES", "600"))
FINAL = {"succeeded", "failed", "skipped", "unreachable", "cancelled"}


def check(people: People, run: Run, ledger: Path) -> None:
    dag, deaths = people.dag, people.world.deaths
    assert not Run.objects.filter(ended_at=None).exists()
    rows = list(StepRun.objects.filter(run=run).exclude(kind__in=["end", "chunk"]))
    withdrawn = {row.key for row in rows if row.item == -1 and _was_withdrawn(row)}
    assert withdrawn <= may_be_withdrawn(dag)
    expected = interpret(dag, frozenset(withdrawn))
    if run.state == "cancelled":
        assert people.asked_to_cancel
    else:
        assert run.state == expected.run, run.error
        assert not people.cancelled
    assert {row.state for row in rows} <= FINAL
    called = list(effects.calls(ledger))
    if run.state == "succeeded":
        _states_are(expected, run, rows)
        _effects_are(expected, rows, called)
    else:
        _is_compensated(dag, rows)
    _every_effect_has_its_row(dag, rows, called)
    _none_is_repeated_without_a_death(ledger, deaths)
    _order_holds(dag, rows, called)
    _history_agrees(run, rows)


def _was_withdrawn(row: StepRun) -> bool:
    return row.state == "cancelled" and (row.error or {}).get("code") == "not_needed"


def _states_are(expected: Expected, run: Run, rows: list[StepRun]) -> None:
    last = {r.key: r for r in sorted(rows, key=lambda r: r.iteration) if r.item == -1}
    assert {key: row.state for key, row in last.items()} == expected.states
    cancelled = {row.key for row in rows if row.item == -1 and row.state == "cancelled"}
    assert cancelled == {key for key, state in expected.states.items() if state == "cancelled"}


def _effects_are(expected: Expected, rows: list[StepRun], called: list[str]) -> None:
    """Each step's effect happened, and none of another id."""
    found = Counter[str]()
    parents = {str(r.pk): r.key for r in rows if r.kind == "workflow"}
    inner = dict(
        StepRun.objects.filter(run__parent_step_id__in=list(parents)).values_list(
            "id", "run__parent_step_id"
        )
    )
    keys = {str(r.pk): r.key for r in rows}
    for effect in called:
        if effect in keys:
            found[keys[effect]] += 1
        elif UUID(effect) in inner:
            found[parents[str(inner[UUID(effect)])]] += 1
    # A fan-out that goes to a handler stops its other items wherever they are.
    stopped = {k for k, state in expected.states.items() if state in ("failed", "cancelled")}
    for key, count in expected.effects.items():
        if key not in stopped:
            assert found[key] == count, key


def _every_effect_has_its_row(dag: Dag, rows: list[StepRun], called: list[str]) -> None:
    known = {str(pk) for pk in StepRun.objects.values_list("id", flat=True)}
    assert set(called) <= known
    never = {str(r.pk) for r in rows if r.state in ("skipped", "unreachable")}
    assert not never & set(called)
    fans = {node.key for node in dag.nodes if node.items is not None}
    done = {
        str(r.pk)
        for r in rows
        if r.kind == "tool" and r.state == "succeeded" and (r.item >= 0 or r.key not in fans)
    }
    assert done <= set(called)


def _none_is_repeated_without_a_death(ledger: Path, deaths: int) -> None:
    again = sum(count - 1 for count in effects.calls(ledger).values())
    # One death may take a bundle of light steps with it, each of which is then done again.
    assert again <= deaths * dispatch.BUNDLE


def _order_holds(dag: Dag, rows: list[StepRun], called: list[str]) -> None:
    """A step is first called after every need (or as many as it wanted) has been."""
    place = {effect: number for number, effect in enumerate(called)}
    first: dict[str, int] = {}
    for row in rows:
        if row.kind == "tool" and str(row.pk) in place:
            first[row.key] = min(first.get(row.key, 10**9), place[str(row.pk)])
    ended = {r.key: r for r in sorted(rows, key=lambda r: r.iteration) if r.item == -1}
    for node in dag.nodes:
        row = ended[node.key]
        if row.started_at is None or row.state == "cancelled":
            continue
        before = [ended[need] for need in node.needs]
        done = [b for b in before if b.ended_at is not None and b.ended_at <= row.started_at]
        good = sum(1 for b in done if b.state == "succeeded")
        wanted = {"all": len(before), "any": min(1, len(before)), "at_least": node.needed}
        assert (len(done) if node.mode == "all" else good) >= wanted[node.mode], node.key
        if node.mode == "all" and node.key in first:
            assert all(first[b.key] < first[node.key] for b in before if b.key in first)


def _is_compensated(dag: Dag, rows: list[StepRun]) -> None:
    """What was done and can be undone has been undone, the latest first."""
    fans = {node.key for node in dag.nodes if node.items is not None}
    done = [
        r
        for r in rows
        if r.kind != "compensate" and r.state == "succeeded" and (r.key in fans) == (r.item >= 0)
    ]
    last = {(r.key, r.item): r for r in sorted(done, key=lambda r: r.iteration)}
    undoes = {node.key for node in dag.nodes if node.undo}
    rows = [r for r in rows if r.kind == "compensate"]
    assert all(r.state == "succeeded" for r in rows)
    of = {r.pk: (r.key.removesuffix(".compensate"), r.item) for r in rows}
    undone = [r for r in rows if (of[r.pk][0] in fans) == (r.item >= 0)]
    assert sorted(of[r.pk] for r in undone) == sorted(one for one in last if one[0] in undoes)
    ends = [last[of[r.pk]].ended_at for r in sorted(undone, key=lambda r: r.started_at)]
    assert ends == sorted(ends, reverse=True)


def _history_agrees(run: Run, rows: list[StepRun]) -> None:
    events = RunEvent.objects.filter(run_id=run.pk)
    ends = Counter(
        events.filter(name__in=[f"step.{s}" for s in FINAL]).values_list("step_id", "name")
    )
    for row in rows:
        if row.state == "cancelled":
            continue
        assert ends[row.pk, f"step.{row.state}"] == 1, (row.key, row.item, row.state)
    by_step = Counter(step for step, _ in ends.elements() if step is not None)
    assert all(count == 1 for count in by_step.values())
    assert events.filter(name=f"run.{run.state}").count() == 1
    latest = dict(events.exclude(step_id=None).values_list("step_id").annotate(Max("attempt")))
    assert all(latest.get(r.pk, r.attempt) <= r.attempt for r in rows)


# Each so many calls after the one before: anywhere in a run, however long it is by then.
deaths = st.lists(st.tuples(st.integers(1, 90), st.booleans()), max_size=6)
_ACTS = ["pause", "pause", "resume", "cancel"]
meddling = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(_ACTS)), max_size=3)
# Half of all runs are left alone by whoever could stop them.
worlds = {
    "dag": dags(people=True), "dies_after": deaths, "seed": st.integers(0, 2**32),
    "acts": st.one_of(st.just([]), meddling),
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "deadline": None, "database": None, "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate], "report_multiple_bugs": False,
}  # fmt: skip


@pytest.fixture
def quiet(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.MAX_DELIVERIES = 100
    caplog.set_level("CRITICAL")


def comes_out_right(
    dag: Dag, dies_after: list[tuple[int, bool]], seed: int, acts: list[tuple[int, str]],
    caller: Caller, folder: Path,
) -> None:  # fmt: skip
    ledger = folder / uuid4().hex
    people = People(dag, caller, World(list(dies_after), random.Random(seed)), acts)
    run = play(people, ledger)
    try:
        check(people, run, ledger)
    except AssertionError as error:
        rows = StepRun.objects.filter(run=run).order_by("id")
        found = [f"{r.key}[{r.item}]#{r.iteration} {r.kind} {r.state}" for r in rows]
        told = [*map(repr, dag.nodes), repr(interpret(dag)), *found]
        error.add_note("\n".join([*told, repr((dies_after, seed, acts))]))
        raise


@pytest.mark.django_db(transaction=True)
@settings(max_examples=30, derandomize=True, **SETTINGS)
@given(**worlds)
def test_a_run_comes_out_as_the_contract_says_wherever_it_crashes(
    dag: Dag,
    dies_after: list[tuple[int, bool]],
    seed: int,
    acts: list[tuple[int, str]],
    caller: Caller,
    quiet: None,
    tmp_path: Path,
) -> None:
    comes_out_right(dag, dies_after, seed, acts, caller, tmp_path)


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@settings(max_examples=LONG, derandomize=False, **SETTINGS)
@given(**worlds)
def test_so_does_any_of_hundreds_of_runs_that_nobody_has_seen_before(
    dag: Dag,
    dies_after: list[tuple[int, bool]],
    seed: int,
    acts: list[tuple[int, str]],
    caller: Caller,
    quiet: None,
    tmp_path: Path,
) -> None:
    comes_out_right(dag, dies_after, seed, acts, caller, tmp_path)
