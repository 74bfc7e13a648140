"""Schedules: kept by people, ticked by beat, each tick decided once however often it is told.

``run_due`` is where beat's message, a second beat's and the sweep all come: it locks the
schedule, writes a row for each tick that has passed, and starts a run for those that the policy
lets start. A run's idempotency key is its tick, so a crash in between starts nothing twice.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from config import logs
from config.access import callers
from config.access.callers import Caller
from config.access.ids import uuid7
from config.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound
from monitoring import services as monitoring
from workflows import beat, given, rights, starting, versions
from workflows.database import database_time
from workflows.domain import ticks
from workflows.domain.ticks import Missed
from workflows.models import Run, Schedule, ScheduleTick
from workflows.plans import plan_for

logger = logging.getLogger(__name__)
State = ScheduleTick.State
# Schedules whose ticks one pass decides.
MOST_SCHEDULES = 200
# What a tick's run is deduplicated by begins with it.
KEY = "schedule:"
# What a change may set.
CHANGEABLE = (
    "name", "inputs", "priority", "cron", "time_zone", "missed", "grace_seconds", "overlap",
    "is_paused",
)  # fmt: skip


def visible_schedules(caller: Caller) -> QuerySet[Schedule]:
    """Schedules that the caller may see: its own, and those of workflows whose runs it may see."""
    rows = caller.only_visible(Schedule.objects.select_related("runs_as", "client"))
    if hidden := rights.workflows_hidden_from(caller):
        rows = rows.exclude(Q(workflow_name__in=hidden) & ~Q(runs_as_id=caller.user_id))
    return rows


def find_schedule(caller: Caller, schedule_id: UUID) -> Schedule:
    """A schedule that the caller may see; raises NotFound."""
    found = visible_schedules(caller).filter(pk=schedule_id).first()
    if found is None:
        raise NotFound("schedule", schedule_id)
    return found


@transaction.atomic
def create_schedule(
    caller: Caller, *, workflow: str, client_id: UUID | None = None, **settings: Any
) -> Schedule:
    """Start ``workflow`` at the times of ``cron`` from now on, as the caller.

    ``settings`` are those of ``CHANGEABLE``. Raises NotFound, Forbidden, InvalidInput (also for
    inputs that its runs would refuse), Conflict for a name that is taken.
    """
    client = client_id or caller.home_client_id
    rights.require_client(caller, client)
    if caller.user_id is None:
        raise Forbidden("keep a schedule", "a person on whose behalf it starts runs")
    made = Schedule(
        id=uuid7(), client_id=client, workflow_name=workflow, runs_as_id=caller.user_id, **settings
    )
    _check(caller, made)
    made.next_at = _next(made, database_time())
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise Conflict(f"the name {made.name!r}", "taken", "another name") from None
    beat.keep(made)
    timing = {"workflow": workflow, "cron": made.cron, "time_zone": made.time_zone}
    _audit(caller, made, "created", timing)
    return made


@transaction.atomic
def change_schedule(
    caller: Caller, schedule_id: UUID, changes: dict[str, Any], *, revision: int | None = None
) -> Schedule:
    """Change, pause or resume a schedule; ticks while it was paused are not made up for.

    Raises NotFound, Forbidden, InvalidInput, Conflict for a name that is taken or when it is no
    longer at ``revision``.
    """
    schedule = _mine(caller, schedule_id, "change")
    if revision is not None and schedule.revision != revision:
        raise Conflict(
            "this schedule", f"at revision {schedule.revision}", f"If-Match for revision {revision}"
        )
    timing = (schedule.cron, schedule.time_zone, schedule.is_paused)
    for name in CHANGEABLE:
        setattr(schedule, name, changes.get(name, getattr(schedule, name)))
    _check(caller, schedule)
    if timing != (schedule.cron, schedule.time_zone, schedule.is_paused):
        schedule.next_at = _next(schedule, database_time())
    schedule.revision += 1
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError:
        raise Conflict(f"the name {schedule.name!r}", "taken", "another name") from None
    beat.keep(schedule)
    _audit(caller, schedule, "changed", {"changed": sorted(changes)})
    return schedule


@transaction.atomic
def delete_schedule(caller: Caller, schedule_id: UUID) -> None:
    """Start no more of its runs; those that it started stay. Raises NotFound, Forbidden."""
    schedule = _mine(caller, schedule_id, "delete")
    beat.forget(schedule)
    _audit(caller, schedule, "deleted")
    schedule.delete()


def _mine(caller: Caller, schedule_id: UUID, action: str) -> Schedule:
    schedule = find_schedule(caller, schedule_id)
    caller.require("runs:start", f"{action} schedules")
    if schedule.runs_as_id != caller.user_id:
        caller.require("runs:control", f"{action} schedules of others")
    # Locked, so that no tick is decided by half-changed settings.
    return Schedule.objects.select_for_update(of=("self",)).get(pk=schedule.pk)


def _check(caller: Caller, schedule: Schedule) -> None:
    """Refuse what its runs would be refused for, and what is no schedule."""
    plan = plan_for(versions.current_version(schedule.workflow_name).pk)
    starting.require_start(caller, plan)
    if not isinstance(schedule.inputs, dict):
        raise InvalidInput("inputs", type(schedule.inputs).__name__, "must be an object")
    given.require_short(schedule.inputs)
    inputs = given.with_defaults(plan, schedule.inputs)
    given.check_inputs(plan, inputs, client_id=schedule.client_id)
    if schedule.priority and schedule.priority not in starting.PRIORITIES:
        raise InvalidInput(
            "priority", schedule.priority, f"one of {', '.join(starting.PRIORITIES)}"
        )
    if schedule.missed not in set(Missed):
        raise InvalidInput("missed", schedule.missed, f"one of {', '.join(Missed)}")
    if not schedule.name.strip():
        raise InvalidInput("name", schedule.name, "1 to 80 characters")
    _next(schedule, database_time())


def _next(schedule: Schedule, after: datetime) -> datetime:
    try:
        found = ticks.next_tick(schedule.cron, schedule.time_zone, after=after)
        beat.fields_of(schedule)
    except ValueError as error:
        field = "time_zone" if "time zone" in str(error) else "cron"
        raise InvalidInput(field, getattr(schedule, field), str(error)) from None
    return found


# ------------------------------------------------------------------ ticks
def run_due(schedule_id: UUID | None = None) -> int:
    """Decide the ticks that have passed, of one schedule or of all; how many runs it started."""
    now = database_time()
    due = Schedule.objects.filter(is_paused=False, next_at__lte=now)
    if schedule_id is not None:
        due = due.filter(pk=schedule_id)
    for key in list(due.order_by("next_at").values_list("pk", flat=True)[:MOST_SCHEDULES]):
        _decide(key, now)
    # Also those whose starter died. Two that start one tick at once get the same run.
    rows = ScheduleTick.objects.filter(state=State.DUE)
    if schedule_id is not None:
        rows = rows.filter(schedule_id=schedule_id)
    rows = rows.select_related("schedule__runs_as").order_by("at")[:MOST_SCHEDULES]
    return sum(_start(tick) for tick in list(rows))


@transaction.atomic
def _decide(schedule_id: UUID, now: datetime) -> None:
    """Write a row for each tick that has passed; whoever comes second finds nothing due."""
    schedule = (
        Schedule.objects.select_for_update(skip_locked=True)
        .filter(pk=schedule_id, is_paused=False, next_at__lte=now)
        .first()
    )
    if schedule is None:
        return
    passed, following = ticks.ticks_until(
        schedule.cron, schedule.time_zone, first=schedule.next_at, until=now
    )
    starts = ticks.to_start(
        passed, now=now, grace=timedelta(seconds=schedule.grace_seconds),
        missed=Missed(schedule.missed),
    )  # fmt: skip
    ScheduleTick.objects.bulk_create(
        [ScheduleTick(id=uuid7(), schedule=schedule, at=at,
                      state=State.DUE if at in starts else State.MISSED) for at in passed],
        ignore_conflicts=True,
    )  # fmt: skip
    Schedule.objects.filter(pk=schedule.pk).update(next_at=following)


def _start(tick: ScheduleTick) -> int:
    """Start the run of a tick, or say why not; 1 if a run was started."""
    schedule = tick.schedule
    if schedule.overlap == Schedule.Overlap.SKIP and _is_busy(schedule, tick):
        _settle(tick, State.OVERLAPPED)
        return 0
    try:
        run, created = starting.start_run(
            caller=_caller(schedule), workflow=schedule.workflow_name, inputs=schedule.inputs,
            client_id=schedule.client_id, priority=schedule.priority or None,
            idempotency_key=f"{KEY}{schedule.pk}:{tick.at.isoformat()}",
        )  # fmt: skip
    except AppError as error:
        _settle(tick, State.REFUSED, error=error.as_dict())
        logs.event(logger, "workflows.schedule.refused", level=logging.WARNING,
                   schedule=str(schedule.pk), code=error.code)  # fmt: skip
        return 0
    _settle(tick, State.STARTED, run=run)
    return int(created)


def _caller(schedule: Schedule) -> Caller:
    """Whoever keeps the schedule, with the rights that this person has now."""
    if not schedule.runs_as.is_active:
        raise Forbidden("start runs", f"an active account; {schedule.runs_as} has none")
    caller = callers.of_user(schedule.runs_as)
    if not caller.sees(schedule.client_id):
        raise Forbidden("start runs", f"that {schedule.runs_as} may see the client")
    return caller


def _is_busy(schedule: Schedule, tick: ScheduleTick) -> bool:
    started = ScheduleTick.objects.filter(schedule=schedule, state=State.STARTED, at__lt=tick.at)
    return started.filter(run__ended_at=None, run__isnull=False).exists()


def _settle(
    tick: ScheduleTick, state: str, *, run: Run | None = None, error: dict[str, Any] | None = None
) -> None:
    ScheduleTick.objects.filter(pk=tick.pk, state=State.DUE).update(
        state=state, run=run, error=error
    )


def _audit(caller: Caller, schedule: Schedule, what: str, after: Any = None) -> None:
    monitoring.audit(
        actor=caller.principal, action=f"workflows.schedule.{what}",
        target=f"schedule:{schedule.pk}", client_id=schedule.client_id, user_id=caller.user_id,
        after=after,
    )  # fmt: skip
