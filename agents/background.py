"""Calls without a waiting caller: queued as a row, done by a worker, found by the same id."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.errors import CallsLimited
from agents.invoke import Call, invoke
from agents.models import AsyncCall
from agents.sight import hidden_invocations
from config import logs
from config.access.callers import Caller
from config.celery import app
from config.errors import AppError, NotFound
from monitoring import services
from monitoring.services import Measurement

logger = logging.getLogger(__name__)
# Longer than any call: who is still running then has died.
ABANDONED_AFTER = timedelta(minutes=10)
LOST_AFTER = timedelta(seconds=60)
MAX_ATTEMPTS = 3
# A call that finds a limit full waits as it says, this long in all; then it fails with it.
LONGEST_WAIT = timedelta(hours=1)
TASK = "agents.invoke_async"
QUEUE = "default"


def enqueue(
    *,
    caller: Caller,
    agent: str,
    inputs: dict[str, Any],
    client_id: UUID,
    conversation_id: UUID | None = None,
    unit: str = "",
    max_output_tokens: int | None = None,
) -> AsyncCall:
    """Queue a call; its message leaves when the row is there."""
    row = AsyncCall(
        client_id=client_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        agent_slug=agent,
        inputs=inputs,
        conversation_id=conversation_id,
        unit=unit,
        max_output_tokens=max_output_tokens,
    )
    with transaction.atomic():
        row.save(force_insert=True)
        transaction.on_commit(lambda: _send(row.pk))
    return row


def run(call_id: UUID) -> bool:
    """Do a queued call; False if somebody else has it, or it is over or not yet due."""
    claimed = AsyncCall.objects.filter(_is_due(), pk=call_id, state=AsyncCall.State.QUEUED).update(
        state=AsyncCall.State.RUNNING, attempt=F("attempt") + 1, started_at=Now()
    )
    if not claimed:
        return False
    row = AsyncCall.objects.get(pk=call_id)
    try:
        invoke(
            Call(
                agent=row.agent_slug,
                inputs=row.inputs,
                client_id=row.client_id,
                user_id=row.user_id,
                key_id=row.key_id,
                conversation_id=row.conversation_id,
                unit=row.unit or None,
                max_output_tokens=row.max_output_tokens,
                effect_id=f"async:{row.pk}",
                invocation_id=row.pk if row.attempt == 1 else None,
            )
        )
    except CallsLimited as error:
        if not _put_off(row, error.retry_after_seconds):
            _end(row, AsyncCall.State.FAILED, error.as_dict())
    except AppError as error:
        _measure_wait(row)
        _end(row, AsyncCall.State.FAILED, error.as_dict())
    else:
        _measure_wait(row)
        _end(row, AsyncCall.State.DONE, None)
    return True


def _measure_wait(row: AsyncCall) -> None:
    """How long the call had waited when it began; another attempt is no wait of the queue."""
    if row.attempt == 1 and row.started_at is not None:
        waited = max((row.started_at - row.created_at).total_seconds(), 0.0)
        labels = {"agent": row.agent_slug, "client": str(row.client_id), "queue": QUEUE}
        services.record([Measurement({"queue_wait_seconds": waited}, labels)])


def find(caller: Caller, call_id: UUID) -> AsyncCall:
    """A queued call that ``caller`` may see; raises NotFound, also where its record is hidden."""
    row = caller.only_visible(AsyncCall.objects.filter(pk=call_id)).first()
    hidden = hidden_invocations(caller)
    if row is None or (hidden is not None and hidden.filter(pk=call_id).exists()):
        raise NotFound("invocation", call_id)
    found: AsyncCall = row
    return found


def sweep() -> int:
    """Send lost messages again and give up what died too often; returns how many were sent."""
    now = timezone.now()
    AsyncCall.objects.filter(
        state=AsyncCall.State.RUNNING,
        started_at__lt=now - ABANDONED_AFTER,
        attempt__gte=MAX_ATTEMPTS,
    ).update(state=AsyncCall.State.FAILED, ended_at=Now(), error={"code": "abandoned"})
    AsyncCall.objects.filter(
        state=AsyncCall.State.RUNNING, started_at__lt=now - ABANDONED_AFTER
    ).update(state=AsyncCall.State.QUEUED)
    lost = AsyncCall.objects.filter(
        Q(due_at__lte=Now()) | Q(due_at=None, created_at__lt=now - LOST_AFTER),
        state=AsyncCall.State.QUEUED,
    )
    ids = list(lost.order_by("created_at").values_list("pk", flat=True)[:200])
    for call_id in ids:
        _send(call_id)
    return len(ids)


def _send(call_id: UUID) -> None:
    try:
        app.send_task(TASK, (str(call_id),), queue=QUEUE)
    except Exception as error:  # the broker is away: the sweep sends it again
        logs.event(logger, "agents.call.unsent", level=logging.WARNING, call=str(call_id),
                   error=type(error).__name__)  # fmt: skip


def _is_due() -> Q:
    return Q(due_at=None) | Q(due_at__lte=Now())


def _put_off(row: AsyncCall, wait_seconds: int) -> bool:
    """Queue a call that was refused at the door again, as if it had not been tried; False if it
    has waited too long. The sweep sends it when it is due."""
    due = timezone.now() + timedelta(seconds=wait_seconds)
    if due > row.created_at + LONGEST_WAIT:
        return False
    AsyncCall.objects.filter(pk=row.pk, attempt=row.attempt).update(
        state=AsyncCall.State.QUEUED, attempt=row.attempt - 1, due_at=due
    )
    logs.event(logger, "agents.call.put_off", call=str(row.pk), wait_seconds=wait_seconds)
    return True


def _end(row: AsyncCall, state: str, error: dict[str, Any] | None) -> None:
    AsyncCall.objects.filter(pk=row.pk, attempt=row.attempt).update(
        state=state, error=error, ended_at=Now()
    )
