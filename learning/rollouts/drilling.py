"""The rollback drill: a rollout of an agent of its own, taken back while calls come in.

Nothing is stood in for: the calls go the way of every call, the split decides, the graded answers
are scores, and the sweep that judges every rollout finds the harm. Only the grade is the drill's:
the candidate's answers count as wrong.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.utils import timezone

from agents import connections
from agents import services as agents
from agents.invoke import invoke
from config.access import callers
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import AppError, InvalidInput, Unavailable
from config.schedules import SCHEDULE
from learning import feedback
from learning.domain.drills import lost
from learning.models import Rollout
from learning.rollouts.judging import judge, watch_last_exposures
from learning.rollouts.moving import OPEN, back, begin

logger = logging.getLogger(__name__)
AGENT = "rollback-drill"
PROMPT = "Answer with one word."
BY = "drill"
METRIC, GRADER = "drill", "rollback drill 1"
STAGES: list[dict[str, Any]] = [
    {"share": 0.5, "minimum_hours": 1, "minimum_units": 20},
    {"share": 1, "minimum_hours": 1, "minimum_units": 20},
]
# Tuned to what a drill's callers send within seconds.
TEST = {"kind": "sequential", "difference_type": "absolute", "tuning": 60}
# Calls go on for so long after the rollback, to see that none meets the candidate.
AFTER_SECONDS = 3.0
# A drill waits for others: it holds one thread of an I/O worker while it lasts. These workers load
# ``learning.calling_tasks`` and nothing else of learning's tasks.
QUEUE = "default"
MOST_SECONDS, MOST_CALLERS = 600.0, 8
# Between two sweeps of comparisons (config.schedules); the calls under way take their time, too.
LOOKED_AT_EVERY: float = SCHEDULE["learning-comparisons"]["schedule"]
LEAST_SECONDS = 2 * LOOKED_AT_EVERY


@dataclass(slots=True)
class Traffic:
    """What the drill's callers met; threads write under its lock."""

    rollout_id: UUID
    candidate: UUID
    caller: Caller
    pause_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    calls: int = 0
    exposures: int = 0
    refused: int = 0

    def one(self) -> None:
        """Call until told to stop; every answer is graded at once."""
        try:
            while not self.stop.wait(self.pause_seconds):
                self._call()
        finally:
            connections.end_of_work()

    def _call(self) -> None:
        run = uuid7()
        try:
            answer = invoke(
                agents.Call(
                    agent=AGENT, inputs={"case": str(run)}, client_id=self.caller.home_client_id,
                    unit=str(run), is_demo=True, use_cache=False, max_output_tokens=16,
                )
            )  # fmt: skip
            is_candidate = answer.version_id == self.candidate
            feedback.score(
                caller=self.caller, subject_kind="invocation", subject_id=answer.invocation_id,
                name=METRIC, value=0.0 if is_candidate else 1.0, source="code",
                source_version=GRADER,
            )  # fmt: skip
        except AppError:
            with self.lock:
                self.refused += 1
            return
        with self.lock:
            self.calls += 1
            self.exposures += is_candidate


@transaction.atomic
def prepare(*, caller: Caller, seconds: float) -> Rollout:
    """The drill's agent, half of its calls at a fresh candidate; Conflict if a drill is open.

    One that nobody will end any more is closed first.
    """
    close_lost(timezone.now())
    agents.open_agent(AGENT, prompt=PROMPT, name="Rollback drill")
    version = agents.publish_prompt(AGENT, f"{PROMPT} Drill {uuid7()}.", by=caller.name)
    row = begin(
        client_id=caller.home_client_id, agent_slug=AGENT, to_version=version, strategy="custom",
        stages=STAGES, metrics=[{"key": f"score:{METRIC}", "role": "primary"}], test=TEST,
        by=caller.name, is_drill=True,
    )  # fmt: skip
    Rollout.objects.filter(pk=row.pk).update(postcheck={"drill_seconds": seconds})
    row.refresh_from_db()
    return row


@transaction.atomic
def begin_drill(*, caller: Caller, seconds: float) -> Rollout:
    """The same, and a worker sends the calls; raises InvalidInput too.

    The instance's sweep has to find the harm, so two of them must fit into the drill: the first
    may come before anybody has called.
    """
    check_limits(seconds, 1)
    if seconds < LEAST_SECONDS:
        raise InvalidInput("seconds", f"{seconds:g}", f"at least {LEAST_SECONDS:g}, because "
                           f"rollouts are judged every {LOOKED_AT_EVERY:g} s")  # fmt: skip
    row = prepare(caller=caller, seconds=seconds)
    transaction.on_commit(
        partial(
            current_app.send_task, "learning.rollback_drill", (str(row.pk), seconds), queue=QUEUE
        )
    )
    return row


def run(
    row: Rollout, *, seconds: float = 180.0, callers_at_once: int = 4,
    pause_seconds: float = 0.05, look_seconds: float | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Send calls until the rollout is taken back, and measure how far it reached.

    The instance's own sweep judges it, or with ``look_seconds`` this function does, so often. A
    drill that is not taken back within ``seconds`` is taken back by it, and ``found`` is false.
    One that is over already gets no call. Raises InvalidInput.
    """
    check_limits(seconds, callers_at_once)
    if not _begun(row):
        row.refresh_from_db()
        return result(row)
    traffic = Traffic(row.pk, row.to_version_id, callers.system(BY, row.client_id), pause_seconds)
    until = time.monotonic() + seconds
    with ThreadPoolExecutor(callers_at_once, thread_name_prefix="drill") as pool:
        for _ in range(callers_at_once):
            pool.submit(traffic.one)
        try:
            found = _taken_back(row, until, look_seconds)
            before = traffic.exposures
            time.sleep(AFTER_SECONDS)
        finally:
            traffic.stop.set()
    watch_last_exposures(timezone.now())
    counts = {
        "found": found, "calls": traffic.calls, "refused": traffic.refused,
        "exposures": traffic.exposures, "exposures_after_rollback": traffic.exposures - before,
    }  # fmt: skip
    Rollout.objects.filter(pk=row.pk).update(postcheck={**row.postcheck, "drill": counts})
    row.refresh_from_db()
    return result(row)


def wait(row: Rollout, *, seconds: float) -> dict[str, Any]:
    """The result of a drill that a worker does; raises Unavailable if it is not over in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        row.refresh_from_db()
        if "drill" in row.postcheck:
            return result(row)
        time.sleep(0.5)
    raise Unavailable("the drill", "no worker has ended it; is the instance running?", 60)


def check_limits(seconds: float, callers_at_once: int) -> None:
    """Raise InvalidInput for a drill that would be too long or too busy."""
    if not 0 < seconds <= MOST_SECONDS:
        raise InvalidInput("seconds", str(seconds), f"above 0, at most {MOST_SECONDS:g}")
    if not 1 <= callers_at_once <= MOST_CALLERS:
        raise InvalidInput("callers", callers_at_once, f"from 1 to {MOST_CALLERS}")


def close_lost(now: datetime) -> int:
    """Take back drills that no worker took up, or whose worker died; returns how many."""
    closed = 0
    for row in Rollout.objects.filter(state__in=OPEN, is_drill=True):
        begun = row.postcheck.get("drill_began_at")
        reason = lost(
            now, made=row.created_at, begun=datetime.fromisoformat(begun) if begun else None,
            lasts=timedelta(seconds=row.postcheck.get("drill_seconds", MOST_SECONDS)),
        )  # fmt: skip
        if reason and back(row, reason=reason, by=BY):
            closed += 1
            logger.warning("learning.drill.lost", extra={"fields": {"rollout": str(row.pk)}})
            kept = {**row.postcheck, "drill": {"found": False}}
            Rollout.objects.filter(pk=row.pk).update(postcheck=kept)
    return closed


def _begun(row: Rollout) -> bool:
    """Note that calls begin; False if the drill is over, or another worker sends them."""
    row.postcheck = {**row.postcheck, "drill_began_at": timezone.now().isoformat()}
    return bool(
        Rollout.objects.filter(pk=row.pk, state__in=OPEN)
        .exclude(postcheck__has_key="drill_began_at")
        .update(postcheck=row.postcheck)
    )


def _taken_back(row: Rollout, until: float, look_seconds: float | None) -> bool:
    """Wait until the rollout is over; whether somebody found the harm in time."""
    looked = time.monotonic()
    while time.monotonic() < until:
        time.sleep(0.1)
        if look_seconds is not None and time.monotonic() - looked >= look_seconds:
            looked = time.monotonic()
            judge(Rollout.objects.get(pk=row.pk))
        ended = Rollout.objects.filter(pk=row.pk).exclude(state__in=OPEN)
        if (by := ended.values_list("state_by", flat=True).first()) is not None:
            return by != BY
    back(row, reason="the drill's time was over and nobody had found its harm", by=BY)
    return False


def result(row: Rollout) -> dict[str, Any]:
    """A drill's times, seconds; None where a moment is not known."""

    def between(start: Any, end: Any) -> float | None:
        if start is None or end is None:
            return None
        return round(max(0.0, (end - start).total_seconds()), 3)

    return {
        "rollout_id": str(row.pk),
        "state": row.state,
        "reason": row.state_reason,
        "breached_at": row.breached_at.isoformat() if row.breached_at else None,
        "rolled_back_at": row.ended_at.isoformat() if row.ended_at else None,
        "last_exposure_at": row.last_exposure_at.isoformat() if row.last_exposure_at else None,
        "breach_to_rollback_seconds": between(row.breached_at, row.ended_at),
        "rollback_to_last_exposure_seconds": between(row.ended_at, row.last_exposure_at),
        "breach_to_last_exposure_seconds": between(row.breached_at, row.last_exposure_at),
        **row.postcheck.get("drill", {}),
    }
