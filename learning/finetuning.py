"""Fine-tuning jobs: an exported set handed to a provider, its model brought back for review.

A job moves by conditional writes that name the worker's token: a worker that died is followed by
another after its lease, one that comes late finds its token gone. The provider's job bears our id,
so what was handed in by a dead worker is found again instead of being paid twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from agents import budgets, endpoints, evidence
from agents.budgets import Held
from agents.domain.context import estimate_tokens
from agents.endpoints import Served, training
from agents.endpoints.training import TrainingRefused
from config import logs
from config.access.callers import Caller
from config.errors import AppError, Conflict, InvalidInput, NotFound, Unavailable
from learning import examples, tuned
from learning.models import TuningJob
from monitoring import services as monitoring
from workflows import artifacts

logger = logging.getLogger(__name__)
State = TuningJob.State
# Providers take no job with fewer.
MIN_LESSONS = 10
# Providers go over the set so often unless told otherwise.
EPOCHS = 3
MOST_CAP_USD = Decimal(500)
LEASE = timedelta(minutes=5)
# Money stays reserved while the provider trains.
HOLD_SECONDS = 3 * 24 * 3600.0
# How long a job waits between two looks, longer while the provider does not answer.
LOOK_EVERY, LONGEST_WAIT = timedelta(seconds=60), timedelta(hours=1)
# A provider that has not answered for so many looks in a row has lost the job.
MOST_TRIES = 48


def start(
    caller: Caller,
    *,
    agent: str,
    client_id: UUID,
    cap_usd: Decimal,
    validation_ratio: float = 0.2,
    seed: str = "1",
    endpoint: str = "",
    model: str = "",
) -> TuningJob:
    """Export the agent's approved examples and begin a job on them; a worker hands it in.

    ``endpoint`` and ``model`` name where and what to tune; else the cheapest model of the tier that
    the agent uses. Raises NotFound for an unknown agent or endpoint, InvalidInput for a cap out of
    range, Conflict for under MIN_LESSONS examples, an estimate over the cap, or a twin under way.
    """
    caller.require("learning:decide", "begin a fine-tuning job")
    if not 0 < cap_usd <= MOST_CAP_USD:
        raise InvalidInput("cap_usd", str(cap_usd), f"above 0, at most {MOST_CAP_USD}")
    base = evidence.production(agent)
    served = _served(str(base.model.get("tier", "standard")), endpoint, model)
    made = examples.export(
        caller, agent=agent, validation_ratio=validation_ratio, seed=seed, client_id=client_id
    )
    if made["training"] < MIN_LESSONS:
        raise Conflict(f"training examples of {agent}", str(made["training"]),
                       f"at least {MIN_LESSONS}")  # fmt: skip
    files = made["artifacts"]
    text = artifacts.read(files["training"], client_id=client_id)
    estimate = _price(served, estimate_tokens(text.decode()) * EPOCHS)
    if estimate > cap_usd:
        raise Conflict(f"a job for about {estimate:.2f} USD", f"over the cap of {cap_usd} USD",
                       "a higher cap or fewer examples")  # fmt: skip
    row = TuningJob(
        client_id=client_id, agent_slug=agent, base_version_id=base.pk, endpoint=served.endpoint,
        served_as=served.model, model=model or served.model, digest=made["digest"],
        training_id=files["training"], validation_id=files.get("validation"),
        card_id=files["data_card"], lessons=made["training"], cap_usd=cap_usd,
        data={"training": made["training"], "validation": made["validation"],
              "leak_rate": made["leak_rate"], "estimated_usd": f"{estimate:f}"},
        asked_by=caller.name[:80],
    )  # fmt: skip
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            transaction.on_commit(partial(_send, row.pk))
    except IntegrityError:
        raise Conflict(f"a job on these examples of {agent}", "under way", "none") from None
    monitoring.audit(
        actor=caller.principal, action="learning.tuning.started", target=f"tuning:{row.pk}",
        client_id=client_id, user_id=caller.user_id, after={"agent": agent, "model": row.model},
    )  # fmt: skip
    row.refresh_from_db()
    return row


def cancel(caller: Caller, job_id: UUID, *, reason: str = "") -> TuningJob:
    """Ask for a job to be cancelled; raises NotFound, or Conflict for one that has ended."""
    caller.require("learning:decide", "cancel a fine-tuning job")
    row = find(caller, job_id)
    asked = TuningJob.objects.filter(
        pk=row.pk, state__in=[State.QUEUED, State.SUBMITTED]
    ).update(state=State.CANCELLING, reason=reason[:500], next_at=Now())  # fmt: skip
    row.refresh_from_db()
    if not asked and row.state != State.CANCELLING:
        raise Conflict(f"fine-tuning job {job_id}", row.state, "queued or submitted")
    if asked:
        monitoring.audit(
            actor=caller.principal, action="learning.tuning.cancelled", target=f"tuning:{row.pk}",
            client_id=row.client_id, user_id=caller.user_id, after={"reason": reason},
        )  # fmt: skip
        _send(row.pk)
    return row


def visible(caller: Caller) -> QuerySet[TuningJob]:
    """Jobs of the clients that the caller may see, newest first."""
    return caller.only_visible(TuningJob.objects.all()).order_by("-id")


def find(caller: Caller, job_id: UUID) -> TuningJob:
    """One job that the caller may see; raises NotFound."""
    found = visible(caller).filter(pk=job_id).first()
    if found is None:
        raise NotFound("fine-tuning job", job_id)
    return found


def _send(job_id: UUID) -> None:
    current_app.send_task("learning.fine_tune", (str(job_id),), queue="low")


def sweep() -> int:
    """Send every open job that is due; how many."""
    due = TuningJob.objects.filter(state__in=TuningJob.OPEN, next_at__lte=Now()).filter(_free())
    ids = list(due.values_list("pk", flat=True))
    for job_id in ids:
        _send(job_id)
    return len(ids)


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=Now())


def work(job_id: UUID) -> str:
    """Bring a job a step on; its state then. Does nothing if another worker is on it."""
    token = uuid4()
    won = TuningJob.objects.filter(_free(), pk=job_id, state__in=TuningJob.OPEN).update(
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
    served = _served_for(row)
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
    told = training.look(_served_for(row), row.external_id)
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
    served = _served_for(row)
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
    cost = _price(_served_for(row), tokens or 0) if tokens else Decimal(0)
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


def _price(served: Served, tokens: int) -> Decimal:
    return (tokens * served.price.training / Decimal(1_000_000)).quantize(Decimal("1e-9"))


def _served(tier: str, endpoint: str, model: str) -> Served:
    """The model to tune: of the named endpoint, or the cheapest of the tier."""
    fitting = [
        s for s in endpoints.directory()
        if not s.is_named_only and (not endpoint or s.endpoint == endpoint)
        and (s.model == model if any(o.model == model for o in endpoints.directory())
             else s.tier == tier)
    ]  # fmt: skip
    if not fitting:
        raise NotFound(f"a {tier} model to tune at endpoint", endpoint or "any")
    return min(fitting, key=lambda s: (s.priority, s.price.training, s.endpoint, s.model))


def _served_for(row: TuningJob) -> Served:
    for one in endpoints.directory():
        if one.endpoint == row.endpoint and one.model == row.served_as:
            return one
    raise NotFound(f"model {row.served_as} at endpoint", row.endpoint)


def _suffix(row: TuningJob) -> str:
    """Letters that the provider puts into the model's name (18 at most everywhere)."""
    return row.agent_slug.replace("_", "-")[:18].strip("-")


def document(row: TuningJob) -> dict[str, Any]:
    """A job as the API gives it."""
    names = (
        "id", "endpoint", "model", "state", "reason", "tuned_model", "trained_tokens",
        "candidate_version_id", "improvement_id", "created_at", "submitted_at", "ended_at",
    )  # fmt: skip
    base = evidence.version(row.agent_slug, row.base_version_id)
    return {
        **{name: getattr(row, name) for name in names},
        "agent": row.agent_slug, "data": row.data, "digest": row.digest,
        "cap_usd": f"{row.cap_usd:f}", "cost_usd": f"{row.cost_usd:f}", "currency": "USD",
        "artifacts": {"training": str(row.training_id), "data_card": str(row.card_id),
                      **({"validation": str(row.validation_id)} if row.validation_id else {})},
        "version": base.number,
    }  # fmt: skip
