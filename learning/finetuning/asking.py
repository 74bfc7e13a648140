"""What people do with fine-tuning jobs: begin, cancel, look."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from agents import evidence
from agents.domain.context import estimate_tokens
from agents.endpoints import Served
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import examples
from learning.finetuning.places import price_of, served_by
from learning.models import TuningJob
from monitoring import services as monitoring
from workflows import artifacts

State = TuningJob.State
# Providers take no job with fewer.
MIN_LESSONS = 10
# Providers go over the set so often unless told otherwise.
EPOCHS = 3
MOST_CAP_USD = Decimal(500)


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
    again: bool = False,
) -> TuningJob:
    """Export the agent's approved examples and begin a job on them; a worker hands it in.

    ``endpoint`` and ``model`` name where and what to tune; else the cheapest model of the tier that
    the agent uses. Raises NotFound for an unknown agent or endpoint, InvalidInput for a cap out of
    range, Conflict for under MIN_LESSONS examples, an estimate over the cap, a twin under way, or
    one that has brought its model, unless it is asked for ``again``: the same would be paid twice.
    """
    caller.require("learning:decide", "begin a fine-tuning job")
    if not 0 < cap_usd <= MOST_CAP_USD:
        raise InvalidInput("cap_usd", str(cap_usd), f"above 0, at most {MOST_CAP_USD}")
    base = evidence.production(agent)
    served = served_by(str(base.model.get("tier", "standard")), endpoint, model)
    made = examples.export(
        caller, agent=agent, validation_ratio=validation_ratio, seed=seed, client_id=client_id
    )
    if made["training"] < MIN_LESSONS:
        raise Conflict(f"training examples of {agent}", str(made["training"]),
                       f"at least {MIN_LESSONS}")  # fmt: skip
    _check_twin(caller, agent, made["digest"], served, model or served.model, again=again)
    files = made["artifacts"]
    text = artifacts.read(files["training"], client_id=client_id)
    estimate = price_of(served, estimate_tokens(text.decode()) * EPOCHS)
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
            transaction.on_commit(partial(send, row.pk))
    except IntegrityError:
        raise Conflict(_job_on(agent), "under way", "its end") from None
    monitoring.audit(
        actor=caller.principal, action="learning.tuning.started", target=f"tuning:{row.pk}",
        client_id=client_id, user_id=caller.user_id, after={"agent": agent, "model": row.model},
    )  # fmt: skip
    row.refresh_from_db()
    return row


def _check_twin(
    caller: Caller, agent: str, digest: str, served: Served, model: str, *, again: bool
) -> None:
    """Raise Conflict, naming it, if a job that the caller may see has the same examples."""
    twins = visible(caller).filter(
        agent_slug=agent, digest=digest, endpoint=served.endpoint, model=model
    )
    open_one = twins.filter(state__in=TuningJob.OPEN).first()
    if open_one is not None:
        raise Conflict(_job_on(agent), f"under way, {open_one.pk}", "its end, or its cancellation")
    done = None if again else twins.filter(state=State.SUCCEEDED).first()
    if done is not None:
        raise Conflict(
            _job_on(agent), f"done, {done.pk}, and brought {done.tuned_model}",
            "other examples, another seed or model, or `again: true`",
        )  # fmt: skip


def _job_on(agent: str) -> str:
    return f"a fine-tuning job on these very examples of {agent}"


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
        send(row.pk)
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


def send(job_id: UUID) -> None:
    current_app.send_task("learning.fine_tune", (str(job_id),), queue="low")


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
