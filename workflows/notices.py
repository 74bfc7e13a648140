"""Telling people that their answer is needed: who is told, by mail or by web hook, once each.

A sweep finds approvals whose turn it is and whose approvers have not been told, writes a message
for each receiver and sends them. A message says what waits, for whom and where; nothing of what
the approver will be shown.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from config import logs
from config.access import callers
from config.access.models import User
from config.access.roles import ROLES, may_act_as
from monitoring import posting
from workflows import decisions
from workflows.database import database_time
from workflows.models import Approval, ApprovalNotice, ApprovalWebhook
from workflows.plans import plan_for

logger = logging.getLogger(__name__)
State = ApprovalNotice.State
# Seconds until the next try: about an hour in all, then it has failed for good.
PAUSES = (15, 60, 300, 900, 1800)
# A try that never reported back may be made again after this.
CLAIMED_FOR = timedelta(minutes=2)
# Nobody wants a mail that goes to more.
MOST_PEOPLE = 50
ASKED, ESCALATED = "asked", "escalated"


def tell() -> dict[str, int]:
    """One pass: write what is to be told, send what is due. Safe to run twice at once."""
    return {"written": announce(), "sent": deliver()}


@transaction.atomic
def announce() -> int:
    """Write a notice for every receiver of approvals that wait and were not announced."""
    earlier = Approval.objects.filter(
        step_id=OuterRef("step_id"), turn=OuterRef("turn"), level__lt=OuterRef("level")
    )
    news = Q(escalated_at=None, told="") | (Q(escalated_at__isnull=False) & ~Q(told=ESCALATED))
    rows = (
        Approval.objects.filter(news, state=Approval.State.WAITING)
        .exclude(Exists(earlier.exclude(state=Approval.State.APPROVED)))
        .select_for_update(skip_locked=True, of=("self",))
        .select_related("run")
        .order_by("id")[:100]
    )
    written = 0
    for approval in rows:
        name = ASKED if approval.escalated_at is None else ESCALATED
        notices = [
            *(ApprovalNotice(approval=approval, name=name, user=user) for user in asked(approval)),
            *(ApprovalNotice(approval=approval, name=name, webhook=hook)
              for hook in _webhooks(approval)),
        ]  # fmt: skip
        ApprovalNotice.objects.bulk_create(notices, ignore_conflicts=True)
        Approval.objects.filter(pk=approval.pk).update(told=name)
        written += len(notices)
    return written


def asked(approval: Approval) -> list[User]:
    """People with an address who may answer this approval now."""
    roles = [role for role in ROLES if may_act_as(frozenset({role}), approval.role)]
    found: list[User] = []
    people = (
        User.objects.filter(is_active=True, memberships__role__in=roles)
        .filter(Q(memberships__client_id=approval.client_id) | Q(memberships__client__is_firm=True))
        .exclude(email="")
        .distinct()
        .order_by("id")
    )
    for user in people:
        caller = callers.of_user(user)
        if caller.sees(approval.client_id) and not decisions.may_answer(caller, approval):
            found.append(user)
        if len(found) == MOST_PEOPLE:
            break
    return found


def _webhooks(approval: Approval) -> list[ApprovalWebhook]:
    return list(
        ApprovalWebhook.objects.filter(
            Q(client=None) | Q(client_id=approval.client_id),
            Q(role="") | Q(role=approval.role),
            is_active=True,
        )
    )


def deliver() -> int:
    """Send what is due; returns how many messages went out."""
    sent = 0
    now = database_time()
    due = ApprovalNotice.objects.filter(state=State.WAITING, next_at__lte=now)
    for key in list(due.order_by("next_at").values_list("pk", flat=True)[:100]):
        claimed = ApprovalNotice.objects.filter(
            pk=key, state=State.WAITING, next_at__lte=now
        ).update(next_at=now + CLAIMED_FOR)
        if claimed:
            sent += _send(
                ApprovalNotice.objects.select_related(
                    "approval__run", "approval__step", "approval__client", "user", "webhook"
                ).get(pk=key)
            )
    return sent


def _send(notice: ApprovalNotice) -> bool:
    row = ApprovalNotice.objects.filter(pk=notice.pk)
    if notice.approval.state != Approval.State.WAITING:
        row.update(state=State.DROPPED)
        return False
    body = body_of(notice)
    if settings.DATABASE_POOL and not connection.in_atomic_block:
        connection.close()  # nothing is held while waiting
    error, hopeless = "", False
    try:
        _through(notice, body)
    except Exception as caught:  # whatever a mail server or a web hook may do
        error = f"{type(caught).__name__}: {caught}"[:300]
        hopeless = isinstance(caught, posting.AddressRefused)
    tries, now = notice.tries + 1, database_time()
    if not error:
        row.update(state=State.SENT, tries=tries, sent_at=now, last_error="")
        return True
    final = hopeless or tries > len(PAUSES)
    row.update(
        state=State.FAILED if final else State.WAITING, tries=tries, last_error=error,
        next_at=now + timedelta(seconds=0 if final else PAUSES[tries - 1]),
    )  # fmt: skip
    logs.event(logger, "workflows.notice.failed", level=logging.WARNING, notice=str(notice.pk),
               tries=tries, final=final)  # fmt: skip
    return False


def _through(notice: ApprovalNotice, body: dict[str, Any]) -> None:
    if notice.user is not None:
        EmailMessage(
            subject=body["text"].splitlines()[0][:150], body=body["text"], to=[notice.user.email]
        ).send(fail_silently=False)
        return
    hook = notice.webhook
    assert hook is not None  # noqa: S101  the table's own constraint
    raw = json.dumps(body, sort_keys=True).encode()
    at = int(timezone.now().timestamp())
    headers = posting.signature(str(notice.pk), at, raw, hook.secret)
    posting.post(hook.url, raw, headers, may_be_private=hook.may_be_private)


def body_of(notice: ApprovalNotice) -> dict[str, Any]:
    """What a receiver is told: what waits, in which role, until when, and the link to it."""
    approval = notice.approval
    plan = plan_for(approval.run.version_id)
    step = plan.steps.get(approval.step.key)
    title = step.title if step else approval.step.key
    level = f", level {approval.level} of {approval.levels}" if approval.levels > 1 else ""
    expires = approval.expires_at
    lines = [
        f"Approval needed: {title} – {plan.title}",
        "",
        f"For {approval.client.name}, as {approval.role.replace('_', ' ')}{level}.",
        "Nobody answered in time, so it now comes to you." if notice.name == ESCALATED else "",
        f"It expires on {expires:%Y-%m-%d at %H:%M} UTC." if expires else "",
        "",
        f"{settings.PUBLIC_URL}/dashboard/approvals/{approval.pk}",
    ]
    return {
        "type": f"approval.{notice.name}",
        "approval": str(approval.pk),
        "run": str(approval.run_id),
        "workflow": approval.run.workflow_name,
        "step": approval.step.key,
        "role": approval.role,
        "level": approval.level,
        "levels": approval.levels,
        "expires_at": expires.isoformat() if expires else None,
        "url": f"{settings.PUBLIC_URL}/dashboard/approvals/{approval.pk}",
        "text": "\n".join(line for n, line in enumerate(lines) if line or n in (1, 5)),
    }
