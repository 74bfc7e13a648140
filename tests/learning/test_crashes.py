"""A process that dies at any write leaves a transition whole or not begun; the next one does it."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from agents.models import Label, TrafficSplit
from config.access.callers import Caller
from config.errors import Conflict
from learning import experiments, improvements, rollouts
from learning.models import Experiment, Improvement, Rollout, Tombstone
from monitoring.models import AuditEntry
from tests.learning.ground import SLUG, make_agent, meet

WRITES = ("INSERT", "UPDATE", "DELETE")
STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.5, 1)]
LAST = [{"share": 1, "minimum_hours": 0, "minimum_units": 10}]
METRICS = [{"key": "success", "role": "primary"}]
GATED = [{**STAGES[0], "gate": True}, STAGES[1]]
POLICY = "incident policy"
MOST_WRITES = 80


class Died(BaseException):
    """The process is gone; nothing catches that."""


@dataclass
class Death:
    """Lets a transition's ``at``-th write through, and ends the process right after it."""

    at: int
    by_signal: bool = False
    seen: int = 0

    def __call__(self, execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if sql.lstrip().upper().startswith(WRITES):
            self.seen += 1
            if self.seen == self.at:
                if self.by_signal:
                    os.kill(os.getpid(), signal.SIGKILL)
                raise Died
        return found


@dataclass
class World:
    caller: Caller
    firm: Any
    agent: Any
    old: Any
    new: Any

    def propose(self):
        one, _ = improvements.propose(
            client_id=self.firm.pk, agent_slug=SLUG, kind="prompt", title="Better",
            proposal={"a": 1}, evidence={}, candidate_version_id=self.new.pk,
        )  # fmt: skip
        Improvement.objects.filter(pk=one.pk).update(state="approved")

    def begin(self, stages=STAGES):
        return rollouts.begin(
            client_id=self.firm.pk, agent_slug=SLUG, to_version=self.new.pk, strategy="custom",
            stages=stages, metrics=METRICS, improvement_id=Improvement.objects.get().pk,
        )  # fmt: skip

    def open(self, stages=STAGES):
        self.propose()
        return self.begin(stages)

    def meet(self, old, new, units=700):
        meet(self.agent, self.firm, units=units, success={self.old.pk: old, self.new.pk: new})

    def draft(self, **given):
        return experiments.create(
            caller=self.caller, agent_slug=SLUG, name="n", metrics=METRICS, autoconclude=True,
            plan={"minimum_days": 0}, **given,
            variants=[{"key": "a", "version": "1"}, {"key": "b", "version": "2"}],
        )  # fmt: skip

    def running(self):
        return experiments.start(caller=self.caller, experiment_id=self.draft().pk)

    def move(self, what, row, **given):
        name = "rollout_id" if isinstance(row, Rollout) else "experiment_id"
        room = rollouts if isinstance(row, Rollout) else experiments
        return getattr(room, what)(caller=self.caller, **{name: row.pk}, **given)

    def picture(self):
        """All that a transition changes."""
        split = TrafficSplit.objects.filter(agent=self.agent, closed_at=None).first()
        return (
            list(Rollout.objects.values("state", "stage", "state_by", "state_reason", "ended_at")),
            list(Experiment.objects.values("state", "state_reason", "ended_at", "gates")),
            list(Improvement.objects.values("state")), Tombstone.objects.count(),
            split and (split.epoch, split.arms), TrafficSplit.objects.count(),
            Label.objects.get(agent=self.agent, name="production").version_id,
            AuditEntry.objects.filter(action__startswith="learning.").count(),
        )  # fmt: skip

    def check_agrees(self):
        """Rows, split and label say the same, whatever died."""
        split = TrafficSplit.objects.filter(agent=self.agent, closed_at=None).first()
        wanted = None
        for row in Rollout.objects.filter(state__in=rollouts.OPEN):
            wanted = f"rollout {row.pk} stage {row.stage}"
        for one in Experiment.objects.filter(state="running"):
            wanted = f"experiment {one.pk}"
        assert (split.reason if split else None) == wanted
        done = Rollout.objects.filter(state="done").exists()
        production = Label.objects.get(agent=self.agent, name="production").version_id
        assert production == (self.new.pk if done else self.old.pk)


def held(world):
    row = world.open()
    assert rollouts.hold(row, by=POLICY, reason="x")
    row.refresh_from_db()
    return row


def frozen(world):
    row = world.running()
    assert experiments.freeze(row, by=POLICY, reason="x")
    row.refresh_from_db()
    return row


def a_day_later():
    return timezone.now() + timedelta(hours=25)


# name: (what stands before, what is done, what stands after)
TRANSITIONS = {
    "begin": (World.propose, lambda w, row: w.begin(), "running"),
    "advance": (World.open, lambda w, row: w.move("advance", row), "running"),
    "pause": (World.open, lambda w, row: w.move("pause", row, reason="x"), "paused"),
    "resume": (
        lambda w: w.move("pause", w.open()), lambda w, row: w.move("resume", row), "running"),
    "take back": (
        World.open, lambda w, row: w.move("rollback", row, reason="x"), "rolled_back"),
    "finish": (lambda w: w.open(LAST), lambda w, row: w.move("advance", row), "done"),
    "take back when done": (
        lambda w: w.move("advance", w.open(LAST)),
        lambda w, row: w.move("rollback", row, reason="x"), "rolled_back"),
    "sweep on": (
        lambda w: (w.open(), w.meet(0.8, 0.8)), lambda w, row: rollouts.sweep(), "running"),
    "sweep back": (
        lambda w: (w.open(), w.meet(0.9, 0.4)), lambda w, row: rollouts.sweep(), "rolled_back"),
    "sweep to the end": (
        lambda w: (w.open(LAST), w.meet(0.8, 0.8)), lambda w, row: rollouts.sweep(), "done"),
    "start": (World.draft, lambda w, row: w.move("start", row), "running"),
    "pause an experiment": (World.running, lambda w, row: w.move("pause", row), "paused"),
    "resume an experiment": (
        lambda w: w.move("pause", w.running()), lambda w, row: w.move("resume", row), "running"),
    "stop": (World.running, lambda w, row: w.move("stop", row, reason="x"), "stopped"),
    "conclude for harm": (
        lambda w: (w.running(), w.meet(0.9, 0.4)), lambda w, row: experiments.sweep(), "concluded"),
    "hold for an incident": (
        World.open, lambda w, row: rollouts.hold(row, by=POLICY, reason="x"), "paused"),
    "let go after an incident": (
        held, lambda w, row: rollouts.let_go(row, held_by=POLICY), "running"),
    "take back for an incident": (
        World.open, lambda w, row: rollouts.back(row, by=POLICY, reason="x"), "rolled_back"),
    "sweep back without data": (
        World.open, lambda w, row: rollouts.sweep(a_day_later()), "rolled_back"),
    "sweep to a gate": (
        lambda w: (w.open(GATED), w.meet(0.8, 0.8)), lambda w, row: rollouts.sweep(), "paused"),
    "freeze": (
        World.running, lambda w, row: experiments.freeze(row, by=POLICY, reason="x"), "paused"),
    "thaw": (frozen, lambda w, row: experiments.thaw(row, held_by=POLICY), "running"),
    "stop for an incident": (
        World.running, lambda w, row: experiments.stop_by_machine(row, by=POLICY, reason="x"),
        "stopped"),
    "conclude and roll out": (
        lambda w: (w.running(), w.meet(0.5, 0.9)), lambda w, row: experiments.sweep(), "concluded"),
}  # fmt: skip


@pytest.fixture
def world(engineer, firm):
    return World(engineer, firm, *make_agent())


def crash_at_each_write(world, name, attempt):
    """Die at the first write, the second …, until the transition gets through; how many died.

    A sweep that died after the transition's end has left it whole: only that, or nothing.
    """
    prepare, act, state = TRANSITIONS[name]
    row = prepare(world)
    before = world.picture()
    for number in range(1, MOST_WRITES):
        lived = attempt(lambda: act(world, row), number)
        world.check_agrees()
        after = world.picture()
        if lived or (after != before and "sweep" in act.__code__.co_names):
            assert after != before and state in {s["state"] for s in (*after[0], *after[1])}
            assert len(Tombstone.objects.all()) == (state == "rolled_back" or "harm" in name)
            return number - 1
        assert after == before, f"write {number} of {name} left something"
    raise AssertionError(f"{name} never got through")


@pytest.mark.django_db
@pytest.mark.parametrize("name", TRANSITIONS)
def test_an_end_at_any_write_leaves_nothing_half_done(world, name):
    def attempt(act, number):
        try:
            with connection.execute_wrapper(Death(number)):
                act()
        except Died:
            return False
        return True

    assert crash_at_each_write(world, name, attempt) >= 3


@pytest.mark.slow
@pytest.mark.chaos
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("name", TRANSITIONS)
def test_sigkill_at_any_write_leaves_nothing_half_done(world, name):
    def attempt(act, number):
        pid = os.fork()
        if pid:
            return os.waitpid(pid, 0)[1] == 0
        code = 1
        try:
            inherited = connection.connection  # the parent's: neither used nor closed here
            connection.connection = None
            with connection.execute_wrapper(Death(number, by_signal=True)):
                act()
            code = 0 if inherited is not None else 2
        finally:
            os._exit(code)

    assert crash_at_each_write(world, name, attempt) >= 3


def at_once(work, times=3):
    def one(_):
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "key"),
    [("sweep on", "advanced"), ("sweep back", "rolled_back"), ("sweep to the end", "advanced")],
)
def test_sweeps_at_once_move_a_rollout_once(world, name, key):
    prepare, _, state = TRANSITIONS[name]
    prepare(world)
    audited = AuditEntry.objects.filter(action__startswith="learning.rollout").count()
    assert sum(found[key] for found in at_once(rollouts.sweep)) == 1
    world.check_agrees()
    row = Rollout.objects.get()
    assert row.state == state and row.stage <= 1
    assert Tombstone.objects.count() == (state == "rolled_back")
    entries = AuditEntry.objects.filter(action__startswith="learning.rollout")
    assert entries.count() == audited + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["conclude for harm", "conclude and roll out"])
def test_sweeps_at_once_conclude_an_experiment_once(world, name):
    TRANSITIONS[name][0](world)
    assert sum(at_once(experiments.sweep)) == 1
    world.check_agrees()
    assert Tombstone.objects.count() + Rollout.objects.count() == 1


PEOPLES = [name for name, (_, act, _) in TRANSITIONS.items()
           if {"move", "hold", "let_go", "back", "freeze", "thaw", "stop_by_machine"}
           & set(act.__code__.co_names)]  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", PEOPLES)
def test_three_at_once_make_one_transition(world, name):
    """Each row was read before another one moved it: only the conditional write tells them."""
    prepare, act, state = TRANSITIONS[name]
    row = prepare(world)
    kind = type(row)
    audited = AuditEntry.objects.filter(action__startswith="learning.").count()

    def work():
        try:
            return act(world, kind.objects.get(pk=row.pk)) not in (False, None)
        except Conflict:
            return False

    won = sum(at_once(work))
    # Whoever opens the next stage last may find it open already, and opens the one after it.
    assert won == 1 or (name == "advance" and won <= 2)
    world.check_agrees()
    assert kind.objects.get().state in (state, "done")
    entries = AuditEntry.objects.filter(action__startswith="learning.").count()
    assert entries == audited + won


@pytest.mark.django_db
def test_a_pause_that_a_person_took_over_is_not_let_go_by_a_machine(world):
    row = held(world)
    world.move("resume", row)
    world.move("pause", row, reason="a person looks")
    assert not rollouts.let_go(row, held_by=POLICY)
    assert Rollout.objects.get().state == "paused"


@pytest.mark.django_db(transaction=True)
def test_a_rollout_that_begins_beside_an_experiment_s_start_is_refused(world, api):
    """Both are asked for at once: neither sees what the other has not committed yet."""
    body = {"agent": SLUG, "version": "2", "strategy": "custom", "stages": STAGES}
    row = world.draft()
    assert api("get", "rollouts").status_code == 200  # its key is there before both

    def begin():
        try:
            return api("post", "rollouts", body)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert api("post", f"experiments/{row.pk}/start", {}).status_code == 200
            answer = pool.submit(begin)
            wait_for_a_lock()
        refused = answer.result(90)
    assert refused.status_code == 409 and "in the experiment" in refused.json()["detail"]
    world.check_agrees()
    assert not Rollout.objects.exists()


def wait_for_a_lock():
    """Until another connection waits for what this one holds."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    until = time.monotonic() + 90
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(query)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waited")
