"""Many questions to one agent that may wait: handed to the provider's Batch API, for less.

Each question goes the one path of a call (``agents.invoke``), pass by pass. A pass gives the
model's replies that are known; where the next is missing, the request goes into the provider's
batch and the money stays reserved. With its last reply the pass ends as any call does: guarded,
settled and recorded as an Invocation with the item's id. Tools run again in every pass, so an
agent whose tools have effects is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from agents import budgets, endpoints, resolving
from agents.budgets import Held
from agents.calls import Call, Pending
from agents.domain.cost import cost_usd
from agents.endpoints import Reply, Request, Served, Try, batches
from agents.endpoints.values import Failure
from agents.invoke import invoke
from agents.models import Agent, Batch, BatchItem, Label
from agents.versions import version_of
from config import logs
from config.access.callers import Caller
from config.access.ids import uuid7
from config.celery import app
from config.errors import AppError, InvalidInput, NotFound, Unavailable

logger = logging.getLogger(__name__)
MAX_ITEMS = 1_000
# The provider has a day; the money stays reserved a little longer.
HOLD_SECONDS = 26 * 3600.0
# Who works on a batch may die: after this another takes it up. A pass of a thousand takes less.
LEASE = timedelta(minutes=5)
# A batch is looked at again so soon after it was handed in; later by the sweep.
FIRST_LOOK_SECONDS = 2.0
TASK, QUEUE = "agents.run_batch", "low"
_LIVE = (Batch.State.OPEN, Batch.State.SUBMITTED, Batch.State.CANCELLING)


def submit(
    *, caller: Caller, agent: Agent, client_id: UUID, items: Sequence[Mapping[str, Any]]
) -> Batch:
    """Take ``items`` (each ``custom_id`` and ``inputs``) as one batch; it is worked on later.

    The agent's production version answers all of them, outside of experiments. Raises InvalidInput.
    """
    _check(items)
    version = version_of(agent, Label.Name.PRODUCTION)
    ready = resolving.version_by_id(version.pk)
    if unfit := sorted(t.name for t in ready.tools if not t.idempotent or t.wants_context):
        limit = "an agent whose tools have no effects and read no files"
        raise InvalidInput("agent", f"{agent.slug} with {', '.join(unfit)}", limit)
    batch = Batch(
        client_id=client_id, user_id=caller.user_id, key_id=caller.key_id,
        agent_slug=agent.slug, version_id=version.pk,
    )  # fmt: skip
    with transaction.atomic():
        batch.save(force_insert=True)
        BatchItem.objects.bulk_create(
            BatchItem(
                id=uuid7(), client_id=client_id, batch=batch, number=number,
                custom_id=item["custom_id"], inputs=item["inputs"],
            )
            for number, item in enumerate(items, start=1)
        )  # fmt: skip
        transaction.on_commit(lambda: _send(batch.pk))
    logs.event(logger, "agents.batch.accepted", batch=str(batch.pk), agent=agent.slug,
               items=len(items))  # fmt: skip
    return batch


def find(caller: Caller, batch_id: UUID) -> Batch:
    """The batch, as far as ``caller`` sees it; raises NotFound."""
    row = caller.only_visible(Batch.objects.filter(pk=batch_id)).first()
    if row is None:
        raise NotFound("batch", batch_id)
    found: Batch = row
    return found


def cancel(batch: Batch) -> None:
    """Stop a batch: what is answered stays, what is not is given back."""
    Batch.objects.filter(pk=batch.pk, state__in=(Batch.State.OPEN, Batch.State.SUBMITTED)).update(
        state=Batch.State.CANCELLING
    )
    transaction.on_commit(lambda: _send(batch.pk))


def forget(*, user_id: UUID) -> int:
    """Delete a person's batches and give back what they reserved; returns how many there were."""
    for item in BatchItem.objects.filter(batch__user_id=user_id, hold_id__isnull=False):
        budgets.settle(_held(item), cost_usd=Decimal(0))
    rows = Batch.objects.filter(user_id=user_id)
    gone = rows.count()
    rows.delete()
    return gone


def sweep() -> int:
    """Look at every batch that is not over and that nobody is on; returns how many."""
    free = Batch.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), state__in=_LIVE)
    ids = list(free.order_by("id").values_list("pk", flat=True)[:200])
    for batch_id in ids:
        _send(batch_id)
    return len(ids)


def run(batch_id: UUID) -> bool:
    """Bring a batch one step on; False if somebody else is on it or it is over."""
    token = uuid4()
    claimed = Batch.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()), pk=batch_id, state__in=_LIVE
    ).update(token=token, lease_until=Now() + LEASE)
    if not claimed:
        return False
    batch = Batch.objects.get(pk=batch_id)
    try:
        _advance(batch)
    except Unavailable as error:
        logs.event(logger, "agents.batch.delayed", level=logging.WARNING, batch=str(batch_id),
                   why=str(error))  # fmt: skip
    finally:
        Batch.objects.filter(pk=batch_id, token=token).update(lease_until=None, token=None)
    return True


def _advance(batch: Batch) -> None:
    if batch.state == Batch.State.CANCELLING:
        _give_up(batch)
        return
    if batch.state == Batch.State.SUBMITTED and not _taken_in(batch):
        return
    _pass(batch)
    open_items = list(batch.items.filter(state=BatchItem.State.WAITING))
    if not open_items:
        _end(batch, Batch.State.DONE)
        return
    served = _served(batch)
    bodies = {str(item.pk): item.body for item in open_items if item.body}
    external = batches.submit(served, bodies, f"{batch.pk}:{batch.round + 1}")
    moved = _move(batch, Batch.State.SUBMITTED, external_id=external, round=batch.round + 1,
                  submitted_at=Now())  # fmt: skip
    if moved:
        _send(batch.pk, FIRST_LOOK_SECONDS)


def _taken_in(batch: Batch) -> bool:
    """Whether the provider is done; its replies are then with their items."""
    served = _served(batch)
    told = batches.look(served, batch.external_id)
    if not told.is_over:
        return False
    with transaction.atomic():
        Batch.objects.select_for_update().get(pk=batch.pk)
        for item in batch.items.filter(state=BatchItem.State.WAITING):
            if len(item.replies) >= batch.round:  # another worker was here
                continue
            line = told.replies.get(str(item.pk), {"error": told.why or "left out"})
            line = {**line, "price_version": served.price.version}
            BatchItem.objects.filter(pk=item.pk).update(replies=[*item.replies, line], body=None)
        moved = _move(batch, Batch.State.OPEN)
    batches.delete_files(served, batch.external_id)  # the replies are ours now
    return moved


def _pass(batch: Batch) -> None:
    """Every open item one pass on: answered, failed, or with its next request."""
    ours = Batch.objects.filter(pk=batch.pk, state=Batch.State.OPEN, token=batch.token)
    for item in batch.items.filter(state=BatchItem.State.WAITING, body__isnull=True):
        if not ours.update(lease_until=Now() + LEASE):  # cancelled, or another worker's
            return
        try:
            invoke(_call(batch, item))
        except Pending as pending:
            _keep(batch, item, pending)
        except AppError as error:
            _close(item, BatchItem.State.FAILED, error.as_dict())
        else:
            _close(item, BatchItem.State.SUCCEEDED, None)


def _call(batch: Batch, item: BatchItem) -> Call:
    held = _held(item) if item.hold_id else None
    known = _Known(item.replies, (batch.endpoint, batch.model))
    return Call(
        agent=batch.agent_slug, inputs=item.inputs, client_id=batch.client_id,
        user_id=batch.user_id, key_id=batch.key_id, version_id=batch.version_id,
        effect_id=f"batch:{item.pk}", invocation_id=item.pk, allow_fallback=False,
        ask=known, held=held, hold_seconds=HOLD_SECONDS,
    )  # fmt: skip


@dataclass(slots=True)
class _Known:
    """Answers with what the model said in earlier rounds; then the request waits for the next."""

    replies: list[dict[str, Any]]
    place: tuple[str, str]
    given: int = 0

    def __call__(
        self, request: Request, served: Sequence[Served], note: Callable[[Try], None]
    ) -> Reply:
        if self.given >= len(self.replies):
            raise Pending(request, served)
        line = self.replies[self.given]
        one = _served_at(self.place)
        self.given += 1
        told: dict[str, Any] = {
            "endpoint": one.endpoint,
            "model": one.model,
            "started_at": timezone.now(),
            "duration_seconds": 0.0,
            "price_version": line.get("price_version", ""),
            "is_simulated": one.price.simulated,
            "messages": list(request.messages),
        }
        try:
            reply = batches.reply_from(line, one)
        except Failure as failure:
            note(Try(**told, error_code=failure.code, error=failure.why,
                     http_status=failure.http_status))  # fmt: skip
            raise Unavailable(f"endpoint {one.endpoint}", failure.why, 60) from failure
        note(Try(**told, reply=reply, cost_usd=cost_usd(reply.usage, one.price, batch=True)))
        return reply


def _keep(batch: Batch, item: BatchItem, pending: Pending) -> None:
    served, held = pending.served[0], pending.held
    if not batch.endpoint:
        batch.endpoint, batch.model = served.endpoint, served.model
        Batch.objects.filter(pk=batch.pk).update(endpoint=served.endpoint, model=served.model)
    body = {**batches.body_for(served, pending.request), "model": batch.model}
    fields: dict[str, Any] = {"body": body}
    if held is not None:
        fields |= {"hold_id": held.id, "budget_ids": list(held.budget_ids),
                   "held_usd": held.amount_usd}  # fmt: skip
    BatchItem.objects.filter(pk=item.pk).update(**fields)


def _close(item: BatchItem, state: str, error: dict[str, Any] | None) -> None:
    BatchItem.objects.filter(pk=item.pk).update(
        state=state, error=error, body=None, hold_id=None, held_usd=0
    )


def _give_up(batch: Batch) -> None:
    """Stop at the provider; settle what was answered on the way, give back the rest."""
    if batch.external_id:
        batches.cancel(_served(batch), batch.external_id)
    for item in batch.items.filter(state=BatchItem.State.WAITING):
        if item.hold_id is not None:
            budgets.settle(_held(item), cost_usd=_spent(batch, item))
        _close(item, BatchItem.State.CANCELLED, None)
    _end(batch, Batch.State.CANCELLED)


def _held(item: BatchItem) -> Held:
    assert item.hold_id is not None, "asked for an item that holds money"  # noqa: S101
    return Held(item.hold_id, tuple(item.budget_ids), item.held_usd)


def _spent(batch: Batch, item: BatchItem) -> Decimal:
    served, spent = _served(batch), Decimal(0)
    for line in item.replies:
        try:
            spent += cost_usd(batches.reply_from(line, served).usage, served.price, batch=True)
        except Failure:
            continue
    return spent


def _served(batch: Batch) -> Served:
    """The model that the batch is at."""
    return _served_at((batch.endpoint, batch.model))


def _served_at(place: tuple[str, str]) -> Served:
    for one in endpoints.directory():
        if "batch" in one.capabilities and (one.endpoint, one.model) == place:
            return one
    raise Unavailable(f"model {place[1]} of endpoint {place[0]}", "not in service", 60)


def _move(batch: Batch, state: str, **fields: Any) -> bool:
    """Move a batch that nobody cancelled meanwhile."""
    moved = Batch.objects.filter(pk=batch.pk, state=batch.state).update(state=state, **fields)
    batch.refresh_from_db()
    return bool(moved)


def _end(batch: Batch, state: str) -> None:
    Batch.objects.filter(pk=batch.pk).update(state=state, ended_at=Now())
    logs.event(logger, "agents.batch.ended", batch=str(batch.pk), state=state)


def _send(batch_id: UUID, after_seconds: float = 0.0) -> None:
    try:
        app.send_task(TASK, (str(batch_id),), queue=QUEUE, countdown=after_seconds or None)
    except Exception as error:  # the broker is away: the sweep sends it
        logs.event(logger, "agents.batch.unsent", level=logging.WARNING, batch=str(batch_id),
                   error=type(error).__name__)  # fmt: skip


def _check(items: Sequence[Mapping[str, Any]]) -> None:
    if not 0 < len(items) <= MAX_ITEMS:
        raise InvalidInput("items", f"{len(items)} items", f"from 1 to {MAX_ITEMS}")
    seen: set[str] = set()
    for number, item in enumerate(items):
        if item["custom_id"] in seen:
            raise InvalidInput(f"items[{number}].custom_id", item["custom_id"], "one of its own")
        seen.add(item["custom_id"])
