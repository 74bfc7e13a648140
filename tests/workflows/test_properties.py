"""Whatever the definition, and wherever it crashes, a run comes out as the contract says.

The real engine runs random definitions on PostgreSQL. The process "dies" before or after a write
or a message of Hypothesis' choice: what is in memory is gone, what is committed stays. Messages
are lost, repeated and reordered. Then leases end, and the sweep finds what is left.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models import Max
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from config.access.callers import Caller
from config.errors import InvalidDocument
from tests.workflows import effects
from tests.workflows.dags import CHILD, Dag, Expected, dags, interpret, may_be_withdrawn
from tests.workflows.test_faults import grow_old
from workflows import database, dispatch, publishing, starting, steps, sweeps
from workflows.models import Run, RunEvent, StepRun

FINAL = {"succeeded", "failed", "skipped", "unreachable", "cancelled"}


class Death(BaseException):
    """The process ends here; no handler of the engine may catch it."""


@dataclass
class World:
    """A broker that loses, repeats and reorders, and a process that dies when told to."""

    dies_at: list[tuple[int, bool]]
    random: random.Random
    messages: list[tuple[UUID, list[str]]] = field(default_factory=list)
    wakes: list[UUID] = field(default_factory=list)
    calls: int = 0
    deaths: int = 0

    def write(self, statement: str, parameters: dict[str, Any]) -> Any:
        return self._at_risk(lambda: _execute(statement, parameters))

    def send(self, messages: list[tuple[UUID, str, list[str], float]]) -> None:
        def deliver() -> None:
            for run_id, _, ids, _ in messages:
                copies = self.random.choice([0, 1, 1, 1, 1, 1, 2])
                self.messages += [(run_id, ids)] * copies

        self._at_risk(deliver)

    def wake(self, step_id: UUID, run_id: UUID) -> None:
        self._at_risk(lambda: self.wakes.append(step_id))

    def _at_risk(self, act: Any) -> Any:
        self.calls += 1
        dies = [took_effect for at, took_effect in self.dies_at if at == self.calls]
        if dies and not dies[0]:
            self.deaths += 1
            raise Death
        result = act()
        if dies:
            self.deaths += 1
            raise Death
        return result

    def deliver_one(self) -> bool:
        """Hand one waiting message to the engine; False if there is none."""
        if self.wakes:
            sweeps.wake(self.wakes.pop(self.random.randrange(len(self.wakes))))
        elif self.messages:
            run_id, ids = self.messages.pop(self.random.randrange(len(self.messages)))
            steps.run_steps([UUID(step_id) for step_id in ids], run_id)
        else:
            return False
        return True


_execute = database.execute


@contextmanager
def inside(world: World) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        for name, module in list(sys.modules.items()):
            if name.startswith("workflows.") and getattr(module, "execute", None) is _execute:
                patched.setattr(module, "execute", world.write)
        patched.setattr(dispatch, "_send", world.send)
        patched.setattr(dispatch, "_send_wake", world.wake)
        yield


def play(dag: Dag, world: World, caller: Caller, ledger: Path) -> Run:
    publishing.publish(CHILD)
    try:
        publishing.publish(dag.source(str(ledger)))
    except InvalidDocument as refused:
        # A join that no run can meet is refused when it is published: there is nothing to run.
        assert all("can never be met" in fault["message"] for fault in refused.faults)
        reject()
    key = uuid4().hex
    run: Run | None = None
    with inside(world):
        for _ in range(400):
            try:
                if run is None:
                    run, _ = starting.start_run(
                        caller=caller, workflow="dag", inputs={}, idempotency_key=key
                    )
                if world.deliver_one():
                    continue
                if not Run.objects.filter(ended_at=None).exists():
                    break
                grow_old()
                sweeps.sweep()
            except Death:
                continue
    assert run is not None
    run.refresh_from_db()
    return run


def check(dag: Dag, run: Run, ledger: Path, deaths: int) -> None:
    assert not Run.objects.filter(ended_at=None).exists()
    rows = list(StepRun.objects.filter(run=run).exclude(kind__in=["end", "chunk"]))
    withdrawn = {row.key for row in rows if row.item == -1 and _was_withdrawn(row)}
    assert withdrawn <= may_be_withdrawn(dag)
    expected = interpret(dag, frozenset(withdrawn))
    assert run.state == expected.run, run.error
    assert {row.state for row in rows} <= FINAL
    called = list(effects.calls(ledger))
    if expected.run == "succeeded":
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


deaths = st.lists(st.tuples(st.integers(1, 120), st.booleans()), max_size=5)


@pytest.fixture
def quiet(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.MAX_DELIVERIES = 100
    caplog.set_level("CRITICAL")


def run_example(
    dag: Dag, dies_at: list[tuple[int, bool]], seed: int, caller: Caller, folder: Path
) -> None:
    ledger = folder / uuid4().hex
    world = World(dies_at, random.Random(seed))
    run = play(dag, world, caller, ledger)
    try:
        check(dag, run, ledger, world.deaths)
    except AssertionError as error:
        rows = StepRun.objects.filter(run=run).order_by("id")
        found = [f"{r.key}[{r.item}]#{r.iteration} {r.kind} {r.state}" for r in rows]
        error.add_note(
            "\n".join([*map(repr, dag.nodes), repr(interpret(dag)), *found, repr((dies_at, seed))])
        )
        raise


@pytest.mark.django_db(transaction=True)
@settings(
    max_examples=30,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
)
@given(dag=dags(), dies_at=deaths, seed=st.integers(0, 2**32))
def test_a_run_comes_out_as_the_contract_says_wherever_it_crashes(
    dag: Dag,
    dies_at: list[tuple[int, bool]],
    seed: int,
    caller: Caller,
    quiet: None,
    tmp_path: Path,
) -> None:
    run_example(dag, dies_at, seed, caller, tmp_path)
