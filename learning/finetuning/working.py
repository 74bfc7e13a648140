"""A worker's side of a fine-tuning job: hand it in, look, call it off, end it.

A job moves by conditional writes that name the worker's token: a worker that died is followed by
another after its lease, one that comes late finds its token gone. The provider's job bears our id,
so what was handed in by a dead worker is found again instead of being paid twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from agents import budgets
from agents.budgets import Held
from agents.endpoints import Served, training
from agents.endpoints.training import TrainingRefused
from config import logs
from config.errors import AppError, NotFound, Unavailable
from learning import tuned
from learning.finetuning.asking import send
from learning.finetuning.places import price_of, served_for
from learning.models import TuningJob
from workflows import artifacts

logger = logging.getLogger(__name__)
State = TuningJob.State
LEASE = timedelta(minutes=5)
# Money stays reserved while the provider trains.
HOLD_SECONDS = 3 * 24 * 3600.0
# How long a job waits between two looks, longer while the provider does not answer.
LOOK_EVERY, LONGEST_WAIT = timedelta(seconds=60), timedelta(hours=1)
# A provider that has not answered for so many looks in a row has lost the job.
MOST_TRIES = 48


def sweep() -> int:
    """Send every open job that is due; how many."""
    due = TuningJob.objects.filter(state__in=TuningJob.OPEN, next_at__lte=Now()).filter(free())
    ids = list(due.values_list("pk", flat=True))
    for job_id in ids:
        send(job_id)
    return len(ids)


def free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=Now())


def work(job_id: UUID) -> str:
    """Bring a job a step on; its state then. Does nothing if another worker is on it."""
    token = uuid4()
    won = TuningJob.objects.filter(free(), pk=job_id, state__in=TuningJob.OPEN).update(
        token=token, lease_until=Now() + LEASE
    )
    row = TuningJob.objects.get(pk=job_id)
    if not won:
        return row.state
    steps = {State.QUEUED: _hand_in, State.SUBMITTED: _look, State.CANCELLING: _call_off}
    try:
        steps[State(row.state)](row)
    except TrainingRefused as error:
        _end(row, State.FAILED, reason=str(error))
    except (Unavailable, NotFound) as error:
        _wait(row, str(error))
    except AppError as error:  # no money left, for instance: that does not pass by itself
        _end(row, State.FAILED, reason=str(error))
    row.refresh_from_db()
    return row.state


def _own(row: TuningJob) -> QuerySet[TuningJob]:
    """The row while this worker's token is on it."""
    return TuningJob.objects.filter(pk=row.pk, token=row.token, state__in=TuningJob.OPEN)


def _hand_in(row: TuningJob) -> None:
    served = served_for(row)
    _reserve(row, served)
    validation = (
        artifacts.read(row.validation_id, client_id=row.client_id) if row.validation_id else b""
    )
    external = training.submit(
        served, model=row.model, mark=str(row.pk), suffix=_suffix(row), validation=validation,
        training=artifacts.read(row.training_id, client_id=row.client_id),
    )  # fmt: skip
    handed = {"external_id": external, "submitted_at": Now(), "tries": 0}
    free = {"token": None, "lease_until": None, "next_at": Now()}
    if not _own(row).filter(state=State.QUEUED).update(state=State.SUBMITTED, **handed, **free):
        # Cancelled meanwhile: the next step needs to know what to call off.
        _own(row).filter(state=State.CANCELLING).update(**handed, **free)
    logs.event(logger, "learning.tuning.submitted", job=str(row.pk), external=external)


def _look(row: TuningJob) -> None:
    told = training.look(served_for(row), row.external_id)
    if not told.is_over:
        _own(row).update(tries=0, token=None, lease_until=None,
                         next_at=timezone.now() + LOOK_EVERY)  # fmt: skip
        return
    if told.state != "succeeded" or not told.model:
        _end(row, State.FAILED, reason=f"the provider says: {told.why or told.state}")
        return
    row.tuned_model, row.trained_tokens = told.model, told.trained_tokens
    found = tuned.bring_back(row)
    _end(row, State.SUCCEEDED, tokens=told.trained_tokens, tuned_model=told.model,
         reason=found.said[:500], candidate_version_id=found.version_id,
         improvement_id=found.improvement_id)  # fmt: skip


def _call_off(row: TuningJob) -> None:
    served = served_for(row)
    external = row.external_id or training.marked(served, str(row.pk))
    tokens = None
    if external:
        training.cancel(served, external)
        told = training.look(served, external)
        if not told.is_over:
            _wait(row, "the provider is asked to stop")
            return
        tokens = told.trained_tokens
        if told.model:
            training.forget(served, told.model)
    _end(row, State.CANCELLED, tokens=tokens, reason=row.reason or "cancelled")


def _wait(row: TuningJob, why: str) -> None:
    """Another look later; a provider that never answers ends the job."""
    if row.tries + 1 >= MOST_TRIES:
        _end(row, State.FAILED, reason=f"given up after {MOST_TRIES} tries: {why}")
        return
    wait = min(LOOK_EVERY * 2 ** min(row.tries, 6), LONGEST_WAIT)
    changes: dict[str, Any] = {} if row.state == State.CANCELLING else {"reason": why[:500]}
    _own(row).update(tries=F("tries") + 1, token=None, lease_until=None,
                     next_at=timezone.now() + wait, **changes)  # fmt: skip


def _end(row: TuningJob, state: str, *, tokens: int | None = None, **values: Any) -> bool:
    """The last write of a job, with its money settled; False if the token is no longer ours.

    A cancel that came while a success was brought back is too late: the success stands.
    """
    cost = price_of(served_for(row), tokens or 0) if tokens else Decimal(0)
    fresh = TuningJob.objects.get(pk=row.pk)
    with transaction.atomic():
        won = _own(row).update(
            state=state, ended_at=Now(), token=None, lease_until=None, cost_usd=cost,
            trained_tokens=tokens, hold_id=None, held_usd=0, budget_ids=[],
            **{**values, "reason": str(values.get("reason", ""))[:500]},
        )  # fmt: skip
        if won and fresh.hold_id is not None:
            held = Held(fresh.hold_id, tuple(fresh.budget_ids), fresh.held_usd)
            budgets.settle(held, cost_usd=cost)
    if won:
        logs.event(logger, "learning.tuning.ended", job=str(row.pk), state=state)
    return bool(won)


def _reserve(row: TuningJob, served: Served) -> None:
    """Hold the cap in the budgets that apply, once; raises BudgetExceeded."""
    if row.hold_id is not None:
        return
    keys = [("all", "all"), ("client", str(row.client_id)), ("agent", row.agent_slug)]
    held = budgets.hold(
        keys=keys, amount_usd=Decimal(row.data.get("estimated_usd", row.cap_usd)),
        client_id=row.client_id, invocation_id=row.pk, seconds=HOLD_SECONDS,
    )  # fmt: skip
    kept = _own(row).update(
        hold_id=held.id, held_usd=held.amount_usd, budget_ids=list(held.budget_ids)
    )
    if not kept:
        budgets.settle(held, cost_usd=Decimal(0))
        raise Unavailable(f"fine-tuning job {row.pk}", "another worker has it", 60)


def _suffix(row: TuningJob) -> str:
    """Letters that the provider puts into the model's name (18 at most everywhere)."""
    return row.agent_slug.replace("_", "-")[:18].strip("-")
