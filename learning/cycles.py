"""Learning cycles: analyse every agent side by side, then rank and report.

Celery's own chain and chord carry a cycle. Each piece writes one row when it is done, so what a
lost chord leaves undone is sent again by a sweep, and a piece that comes twice does nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import chain, chord, current_app, group
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from agents import queries
from config import logs
from config.access.callers import Caller
from config.access.models import Client
from config.errors import AppError, InvalidInput, NotFound
from learning import (
    coverage,
    drifting,
    examples,
    history,
    judging,
    patterns,
    report_mails,
    reporting,
    searching,
    trials,
)
from learning.models import Cycle, CycleStep, Improvement

logger = logging.getLogger(__name__)
QUEUE = "analysis"
# A cycle whose pieces have stood still for so long is sent again, so many times at most.
LOST_AFTER = timedelta(minutes=15)
MOST_SENDS = 20
# A report whose process died before it was mailed is still news for so long.
MAILED_FOR = timedelta(days=2)
# Candidates that one weekly cycle replays, and proposals that it looks at for them.
MOST_REPLAYS, MOST_LOOKED_AT = 5, 200
# What a cycle is about, in days before its tick.
DAYS = {Cycle.Cadence.DAILY: 1, Cycle.Cadence.WEEKLY: 7, Cycle.Cadence.MONTHLY: 30}


def run(cadence: str, tick: date | None = None) -> Cycle:
    """The cycle of this tick, made and sent out if there is none yet; once a tick.

    ``tick`` is the day it is about up to (UTC midnight), today unless given. Raises InvalidInput
    for an unknown cadence or a day that has not begun.
    """
    if cadence not in Cycle.Cadence.values:
        raise InvalidInput("cadence", cadence, f"one of {', '.join(Cycle.Cadence.values)}")
    today = timezone.now().date()
    day = tick or today
    if day > today:
        raise InvalidInput("tick", day.isoformat(), f"at most {today.isoformat()}")
    try:
        with transaction.atomic():
            made = Cycle.objects.create(cadence=cadence, tick=day)
            transaction.on_commit(partial(_send, made.pk))
    except IntegrityError:
        return Cycle.objects.get(cadence=cadence, tick=day)
    logs.event(logger, "learning.cycle.started", cycle=str(made.pk), cadence=cadence)
    return made


def _send(cycle_id: UUID) -> None:
    """Send what is still to do as a chain: patterns first, all agents side by side, the report."""
    cycle = Cycle.objects.get(pk=cycle_id)
    first, side_by_side = _pending(cycle)
    Cycle.objects.filter(pk=cycle.pk).update(sent_at=Now(), sends=F("sends") + 1)
    last = _signature("learning.cycle_report", str(cycle.pk))
    pieces = [_signature("learning.cycle_step", str(cycle.pk), name) for name in side_by_side]
    joined = chord(group(pieces), last) if pieces else last
    before = [_signature("learning.cycle_step", str(cycle.pk), name) for name in first]
    chain(*before, joined).apply_async() if before else joined.apply_async()


def _signature(name: str, *arguments: str) -> Any:
    return current_app.signature(name, args=arguments, immutable=True, queue=QUEUE)


def _pending(cycle: Cycle) -> tuple[list[str], list[str]]:
    done = set(cycle.steps.values_list("name", flat=True))
    common = ["patterns", "examples"] if cycle.cadence != Cycle.Cadence.MONTHLY else ["history"]
    # One that comes while it runs (the writer of a tool, for instance) has no piece in it.
    known = queries.known_agents(born_by=cycle.created_at)
    agents = [f"agent:{slug}" for slug in sorted(known)]
    if cycle.cadence == Cycle.Cadence.MONTHLY:
        agents = []
    return [n for n in common if n not in done], [n for n in agents if n not in done]


def do_step(cycle_id: UUID, name: str) -> bool:
    """Do one piece of a cycle and keep what it found; False if that was done before."""
    cycle = Cycle.objects.get(pk=cycle_id)
    if cycle.state != Cycle.State.RUNNING or cycle.steps.filter(name=name).exists():
        return False
    result: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    try:
        result = _work_for(cycle, name)()
    except AppError as fault:
        error = fault.as_dict()
    except Exception as fault:  # one agent's data must not stop the report on all others
        logger.exception("learning.cycle.step_crashed", extra={"fields": {"step": name}})
        error = {"code": "step_crashed", "message": f"{type(fault).__name__}: {fault}"[:300]}
    _, created = CycleStep.objects.get_or_create(
        cycle=cycle, name=name, defaults={"result": result, "error": error}
    )
    return created


def _work_for(cycle: Cycle, name: str) -> Callable[[], dict[str, Any]]:
    until = until_of(cycle)
    if name == "patterns":
        return lambda: dict(patterns.find_patterns(_up_to(cycle)))
    if name == "history":
        return lambda: history.compare(settings.LAKE_URL, until.date())
    if name == "examples":
        since = until - timedelta(days=DAYS[Cycle.Cadence.WEEKLY])
        return lambda: {
            "collected": examples.collect(since, _up_to(cycle)),
            "judges": judging.remeasure(),
        }  # fmt: skip
    slug = name.removeprefix("agent:")
    if cycle.cadence == Cycle.Cadence.DAILY:
        return lambda: {
            **drifting.find_drift(slug, until, incidents=drifting.incident_periods(until)),
            **coverage.measure(slug, until, client_id=_firm()),
        }
    return lambda: searching.propose(slug, until, client_id=_firm(), asked_by=f"cycle {cycle}")


def freshen(now: datetime) -> dict[str, int]:
    """Find the week's patterns and collect corrections up to ``now``.

    Both count anew what they look at, so the daily cycle comes to the same. Drift waits for whole
    days, because its windows must not overlap.
    """
    found = patterns.find_patterns(now)
    return {**found, "collected": examples.collect(now - timedelta(days=1), now)}


def until_of(cycle: Cycle) -> datetime:
    """The end of what a cycle is about: its tick's midnight, UTC."""
    return datetime(cycle.tick.year, cycle.tick.month, cycle.tick.day, tzinfo=UTC)


def _up_to(cycle: Cycle) -> datetime:
    """The end of what is counted anew in each pass: of a cycle of today, now.

    Whoever begins one by hand has just said something.
    """
    now = timezone.now()
    return now if cycle.tick == now.date() else until_of(cycle)


def conclude(cycle_id: UUID) -> bool:
    """Rank, send candidates to replays, write the report and mail it; once a cycle.

    False if pieces are missing (a sweep sends them again) or it was concluded before.
    """
    cycle = Cycle.objects.get(pk=cycle_id)
    if cycle.state != Cycle.State.RUNNING or any(_pending(cycle)):
        return False
    if cycle.cadence == Cycle.Cadence.WEEKLY:
        begin_replays(cycle)
    figures = reporting.figures(cycle, until_of(cycle), days=DAYS[Cycle.Cadence(cycle.cadence)])
    won = Cycle.objects.filter(pk=cycle.pk, state=Cycle.State.RUNNING).update(
        state=Cycle.State.DONE, ended_at=Now(), figures=figures,
        report=reporting.markdown(cycle, figures),
    )  # fmt: skip
    if won:
        logs.event(logger, "learning.cycle.ended", cycle=str(cycle.pk), cadence=cycle.cadence)
        report_mails.send(cycle.pk)
    return bool(won)


def begin_replays(cycle: Cycle) -> None:
    """Replays for the most urgent proposals whose candidate was not replayed as things are now.

    An edited candidate counts anew, and so does each where another version is in production.
    """
    rows = Improvement.objects.filter(
        state__in=[Improvement.State.PROPOSED, Improvement.State.APPROVED],
        candidate_version_id__isnull=False,
    )  # fmt: skip
    begun = 0
    for row in rows.order_by("-priority")[:MOST_LOOKED_AT]:
        begun += trials.begin_missing_replay(row, asked_by=f"cycle {cycle}")
        if begun >= MOST_REPLAYS:
            return


def sweep() -> int:
    """Send cycles again whose pieces have stood still; how many. Mails reports that were not."""
    quiet = timezone.now() - LOST_AFTER
    unsent = Cycle.objects.filter(
        Q(mailed_at=None) | ~Q(mail_error=""),
        state=Cycle.State.DONE, ended_at__lt=quiet, ended_at__gte=quiet - MAILED_FOR,
    )  # fmt: skip
    for pk in unsent.values_list("pk", flat=True):
        report_mails.send(pk)
    sent = 0
    for cycle in Cycle.objects.filter(
        state=Cycle.State.RUNNING, sent_at__lt=quiet, sends__lt=MOST_SENDS
    ):
        if cycle.steps.filter(created_at__gte=quiet).exists():
            continue
        _send(cycle.pk)
        sent += 1
    return sent


def visible(caller: Caller) -> QuerySet[Cycle]:
    """Cycles that the caller may read: all of them or none.

    A report is about the work of every client, so it is for those who see every client.
    """
    return Cycle.objects.all() if caller.client_ids is None else Cycle.objects.none()


def find(caller: Caller, cycle_id: UUID) -> Cycle:
    """One cycle; raises NotFound."""
    found = visible(caller).filter(pk=cycle_id).first()
    if found is None:
        raise NotFound("cycle", cycle_id)
    return found


def _firm() -> UUID:
    firm = Client.objects.filter(is_firm=True).first()
    if firm is None:
        raise NotFound("client", "the firm")
    return firm.pk
