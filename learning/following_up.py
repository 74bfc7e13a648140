"""Asking by itself how a run was: whoever started it, once, by mail, where a policy allows it.

A run that its workflow hides is never asked about, a mail would tell of it; nor one that the person
has said something about. Nobody gets more mails a week than the policy says, and none after
having asked for no more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from config import logs
from config.access import callers
from config.access.callers import Caller
from config.access.models import Client, User
from config.errors import AppError, Forbidden, InvalidInput, Unavailable
from learning import inviting
from learning.domain.splits import digest_of
from learning.models import AskingPolicy, Feedback, FeedbackRequest, Subject
from monitoring import services as monitoring
from workflows import queries as workflows
from workflows.queries import Ended

logger = logging.getLogger(__name__)
# After its time a run is asked about for so long: a mail server that is away costs no answer.
LATELY = timedelta(days=1)
# Runs of each wait that one pass looks at, and mails that it sends.
MOST_RUNS, MOST_MAILS = 500, 50
WEEK = timedelta(days=7)


def sweep(now: datetime | None = None) -> int:
    """Ask about runs that ended long enough ago; how many mails went out."""
    at = now or timezone.now()
    policies = {(one.workflow_name, one.client_id): one for one in AskingPolicy.objects.all()}
    waits = [one.after_hours for one in policies.values() if one.is_enabled]
    if not waits:
        return 0
    ended: dict[UUID, Ended] = {}
    for hours in sorted(set(waits)):
        until = at - timedelta(hours=hours)
        found = workflows.ended_openly(until - LATELY, until, limit=MOST_RUNS)
        ended |= {run.id: run for run in found}
    due = [(r, policy) for r in ended.values() if (policy := _due(r, policies, at)) is not None]
    sent = 0
    try:
        for run, policy in _still_silent(due):
            if sent < MOST_MAILS and _may_be_asked(run.person_id, policy, at):
                sent += _ask(run)
    except Unavailable as error:  # it is away for all the others too; the next pass tries again
        logs.event(logger, "learning.asking.failed", level=logging.WARNING, code=error.code)
    return sent


def _due(
    run: Ended, policies: dict[tuple[str, UUID | None], AskingPolicy], at: datetime
) -> AskingPolicy | None:
    """The policy that has this run asked about now."""
    names = ((run.workflow, run.client_id), (run.workflow, None), ("", run.client_id), ("", None))
    policy = next((policies[name] for name in names if name in policies), None)
    if policy is None or not policy.is_enabled or not _is_drawn(run.id, policy.share_ratio):
        return None
    due_at = run.ended_at + timedelta(hours=policy.after_hours)
    return policy if due_at <= at < due_at + LATELY else None


def _is_drawn(run_id: UUID, share_ratio: float) -> bool:
    """The same for a run however often it is asked, so that a later pass makes it no likelier."""
    return int(digest_of([str(run_id)])[:8], 16) < share_ratio * 16**8


def _still_silent(
    due: Iterable[tuple[Ended, AskingPolicy]],
) -> list[tuple[Ended, AskingPolicy]]:
    """Those whose person has an address, was not asked, and has said nothing of the run."""
    listed = list(due)
    ids = [run.id for run, _ in listed]
    asked = set(
        FeedbackRequest.objects.filter(subject_kind=Subject.RUN, subject_id__in=ids).values_list(
            "subject_id", "user_id"
        )
    )
    people = set(
        User.objects.filter(pk__in=[run.person_id for run, _ in listed], is_active=True)
        .exclude(email="")
        .values_list("pk", flat=True)
    )
    listed = [
        (run, policy) for run, policy in listed
        if run.person_id in people and (run.id, run.person_id) not in asked
    ]  # fmt: skip
    parts = workflows.parts_of([run.id for run, _ in listed])
    within = {part: run_id for run_id, found in parts.items() for part in found}
    said = {
        (within[subject], author)
        for subject, author in Feedback.objects.filter(
            subject_id__in=list(within), author_id__in=people
        ).values_list("subject_id", "author_id")
    }
    return [(run, policy) for run, policy in listed if (run.id, run.person_id) not in said]


def _may_be_asked(person_id: UUID, policy: AskingPolicy, at: datetime) -> bool:
    """Whether the person wants mails, and has had fewer than the policy allows a week."""
    rows = FeedbackRequest.objects.filter(user_id=person_id)
    if rows.filter(declined_at__isnull=False).exists():
        return False
    lately = rows.filter(created_at__gte=at - WEEK, asked_by=inviting.ITSELF)
    return bool(lately.aggregate(n=Count("id"))["n"] < policy.most_a_week)


def _ask(run: Ended) -> bool:
    caller = callers.system("feedback", run.client_id)
    try:
        inviting.ask(caller=caller, subject_kind=Subject.RUN, subject_id=run.id,
                     person=str(run.person_id))  # fmt: skip
    except Unavailable:
        raise
    except AppError as error:  # has left, or may not see it any more
        logs.event(logger, "learning.asking.refused", run=str(run.id), code=error.code)
        return False
    return True


@transaction.atomic
def set_policy(
    *, caller: Caller, workflow: str, client: Client | None, **rules: Any
) -> AskingPolicy:
    """Put a policy in the place of the one of the same workflow and client.

    Raises Forbidden for whoever is no administrator, InvalidInput for an unknown workflow.
    """
    if not caller.may_act_as("administrator"):
        raise Forbidden("say whom Ratchet asks by itself", "an administrator")
    if caller.client_ids is not None and (client is None or not caller.sees(client.pk)):
        raise Forbidden("set this policy", "an administrator who sees every client")
    check_policy(AskingPolicy(workflow_name=workflow, client=client, **rules))
    row, _ = AskingPolicy.objects.update_or_create(
        workflow_name=workflow, client=client,
        defaults={**rules, "changed_by": caller.name[:80]},
    )  # fmt: skip
    note_policy(row, caller)
    row.refresh_from_db()
    return row


def visible_policies(caller: Caller) -> QuerySet[AskingPolicy]:
    """Those of all clients, and of the ones that the caller sees."""
    rows = AskingPolicy.objects.all()
    if caller.client_ids is None:
        return rows
    return rows.filter(Q(client=None) | Q(client__in=caller.client_ids))


def check_policy(policy: AskingPolicy) -> None:
    """Raise InvalidInput for a policy of a workflow that there is not."""
    name = policy.workflow_name
    if name and not workflows.is_workflow(name):
        raise InvalidInput("workflow_name", name, "a workflow's name, or nothing for all others")


def note_policy(policy: AskingPolicy, caller: Caller) -> None:
    """Say in the audit log who has whom asked."""
    monitoring.audit(
        actor=caller.principal, action="learning.asking_policy.changed", user_id=caller.user_id,
        target=f"asking_policy:{policy.pk}",
        after={"of": str(policy), "enabled": policy.is_enabled,
               "share": policy.share_ratio, "most_a_week": policy.most_a_week},
    )  # fmt: skip
