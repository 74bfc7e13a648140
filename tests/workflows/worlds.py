"""A world in which processes die, messages are lost, and people answer when it suits them."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from hypothesis import reject

from config.access.callers import Caller
from config.errors import Conflict, InvalidDocument
from tests.workflows.dags import CHILD, Dag
from tests.workflows.test_faults import grow_old
from workflows import (
    controls,
    database,
    decisions,
    dispatch,
    publishing,
    starting,
    steps,
    sweeps,
)
from workflows.models import Approval, Run, Signal

# So many looks at a run are plenty; one that has not ended then never ends.
LOOKS = 600
# How often a person does something while messages are on their way.
EAGER = 0.25


class Death(BaseException):
    """The process ends here; no handler of the engine may catch it."""


@dataclass
class World:
    """A broker that loses, repeats and reorders, and a process that dies when told to.

    ``dies_after`` has a number of calls for each death, from the start or from the death before,
    and whether what was called took effect. A call is a statement of the engine, a write of the
    ORM, a commit or a message.
    """

    dies_after: list[tuple[int, bool]]
    random: random.Random
    messages: list[tuple[UUID, list[str]]] = field(default_factory=list)
    wakes: list[UUID] = field(default_factory=list)
    calls: int = 0
    deaths: int = 0

    def write(self, statement: str, parameters: dict[str, Any]) -> Any:
        return self._at_risk(lambda: _execute(statement, parameters))

    def orm(self, act: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        if str(sql).lstrip().startswith(("INSERT", "UPDATE", "DELETE")):
            return self._at_risk(lambda: act(sql, params, many, context))
        return act(sql, params, many, context)

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
        after, took_effect = self.dies_after[0] if self.dies_after else (0, False)
        if self.calls != after:
            return act()
        self.calls = 0
        del self.dies_after[0]
        self.deaths += 1
        if took_effect:
            act()
        raise Death

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
    commit, rollback = connection._commit, connection._rollback

    def commit_at_risk() -> None:
        try:
            world._at_risk(commit)
        except Death:
            rollback()  # nothing, if it was committed
            raise

    with pytest.MonkeyPatch.context() as patched, connection.execute_wrapper(world.orm):
        for name, module in list(sys.modules.items()):
            if name.startswith("workflows.") and getattr(module, "execute", None) is _execute:
                patched.setattr(module, "execute", world.write)
        patched.setattr(connection, "_commit", commit_at_risk)
        patched.setattr(dispatch, "_send", world.send)
        patched.setattr(dispatch, "_send_wake", world.wake)
        yield


@dataclass
class People:
    """Who answers approvals, sends signals, and stops a run or lets it go on.

    ``meddling`` says at which look at the run somebody does what.
    """

    dag: Dag
    caller: Caller
    world: World
    meddling: list[tuple[int, str]]
    asked_to_cancel: bool = False
    cancelled: bool = False

    def meddle(self, run: Run, look: int) -> None:
        for at, what in self.meddling:
            if at == look:
                self._control(run, what)

    def _control(self, run: Run, what: str) -> None:
        try:
            if what == "cancel":
                self.asked_to_cancel = True
                controls.cancel_run(self.caller, run.pk, reason="no")
                self.cancelled = True
            else:
                act = controls.pause_run if what == "pause" else controls.resume_run
                act(self.caller, run.pk)
        except Conflict:
            return  # in another state by now

    def act(self, run: Run) -> bool:
        """Answer something that waits, or send a signal; False if there is nothing to do."""
        waiting = Approval.objects.filter(run=run, state="waiting").order_by("level")
        first: dict[UUID, Approval] = {}
        for approval in waiting.select_related("step"):
            first.setdefault(approval.step_id, approval)
        sent = set(Signal.objects.filter(run=run).values_list("name", flat=True))
        calls = [node.key for node in self.dag.nodes if node.calls and node.key not in sent]
        some: list[Approval | str] = [*first.values(), *calls]
        if not some:
            return False
        one = self.world.random.choice(some)
        try:
            if isinstance(one, str):
                controls.send_signal(self.caller, run.pk, name=one, payload={"value": 1})
            else:
                self._answer(one)
        except Conflict:
            return False  # the run has ended, or stops
        return True

    def _answer(self, approval: Approval) -> None:
        node = next(n for n in self.dag.nodes if n.key == approval.step.key)
        good = not node.refused or approval.level < approval.levels
        decisions.answer_approval(self.caller, approval.pk, approve=good, reason="because")

    def let_go(self, run: Run) -> bool:
        """Let a run go on that somebody has paused."""
        run.refresh_from_db()
        if run.state != "paused":
            return False
        self._control(run, "resume")
        return True


def play(people: People, ledger: Path) -> Run:
    """The run of a random definition in its world, when nothing is left to do."""
    world = people.world
    publishing.publish(CHILD)
    try:
        publishing.publish(people.dag.source(str(ledger)))
    except InvalidDocument as refused:
        # A join that no run can meet is refused when it is published: there is nothing to run.
        assert all("can never be" in fault["message"] for fault in refused.faults)
        reject()
    key = uuid4().hex
    run: Run | None = None
    with inside(world):
        for look in range(LOOKS):
            try:
                if run is None:
                    run, _ = starting.start_run(
                        caller=people.caller, workflow="dag", inputs={}, idempotency_key=key
                    )
                people.meddle(run, look)
                if world.random.random() < EAGER:
                    people.act(run)
                if world.deliver_one():
                    continue
                if not Run.objects.filter(ended_at=None).exists():
                    break
                if people.let_go(run) or people.act(run):
                    continue
                grow_old()
                sweeps.sweep()
            except Death:
                connection.run_on_commit.clear()  # with the memory of the process
                continue
    assert run is not None
    run.refresh_from_db()
    return run
