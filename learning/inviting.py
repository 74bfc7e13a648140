"""Asking one person for feedback by e-mail: a signed link that needs no signing in.

The link says who was asked and about what, and nothing else: it opens a form, and what is sent is
that person's feedback as if given on the page. It ends after two weeks.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from config.access import callers
from config.access.callers import Caller
from config.access.models import User
from config.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from config.partitions import time_of
from learning import feedback
from learning.models import FeedbackRequest
from monitoring import services as monitoring

SALT = "learning.feedback.request"
LASTS = timedelta(days=14)
# Who asks where no person does: the name of learning.following_up as a caller.
ITSELF = "system:feedback"
_WHAT = {"invocation": "an answer", "step": "a step", "run": "a run",
         "conversation": "a conversation"}  # fmt: skip


def ask(*, caller: Caller, subject_kind: str, subject_id: UUID, person: str) -> FeedbackRequest:
    """Mail ``person`` (name, address or id) a link to say how it was; once a person and subject.

    Raises NotFound for a subject that the caller, or a person who, may not see; InvalidInput for
    a person without an address; Conflict if asked before; Unavailable if the mail does not go out.
    """
    about = feedback.subject(caller, subject_kind, subject_id)
    user = _person(person)
    if not user.email:
        raise InvalidInput("person", person, "somebody with an e-mail address")
    try:
        feedback.subject(_caller_of(user), subject_kind, subject_id)
    except AppError:
        raise NotFound("person who may see it", person) from None
    try:
        with transaction.atomic():
            row = FeedbackRequest.objects.create(
                client_id=about["client_id"], subject_kind=subject_kind, subject_id=subject_id,
                user=user, asked_by=caller.name[:80],
            )  # fmt: skip
    except IntegrityError:
        raise Conflict(f"feedback of {user}", "asked for before", "one request") from None
    try:
        EmailMessage(
            subject=f"How was {_WHAT[subject_kind]}?", body=body_of(row), to=[user.email]
        ).send(fail_silently=False)
    except OSError as error:
        FeedbackRequest.objects.filter(pk=row.pk).delete()
        raise Unavailable("the mail server", type(error).__name__, 60) from error
    monitoring.audit(
        actor=caller.principal, action="learning.feedback.asked_for",
        target=f"{subject_kind}:{subject_id}", client_id=row.client_id, user_id=caller.user_id,
        after={"of": str(user.pk)},
    )  # fmt: skip
    row.refresh_from_db()
    return row


def body_of(row: FeedbackRequest) -> str:
    """What the mail says: nothing of the work itself, which may be confidential."""
    lines = [
        f"You are asked how {about(row)} was that Ratchet gave you.",
        "",
        f"{settings.PUBLIC_URL}/feedback/{token_of(row)}",
        "",
        f"The link is yours alone, needs no password and works for {LASTS.days} days.",
    ]
    if row.asked_by == ITSELF:
        lines += ["Ratchet asks this by itself when a run has ended. Behind the link you can "
                  "say that you want no such mails."]  # fmt: skip
    return "\n".join(lines)


def about(row: FeedbackRequest) -> str:
    """What is asked about, by its kind and when it began: one of several is told so."""
    what = _WHAT[row.subject_kind].split()[-1]
    return f"the {what} of {time_of(row.subject_id):%d %B %Y, %H:%M} UTC"


def token_of(row: FeedbackRequest) -> str:
    return signing.dumps(str(row.pk), salt=SALT)


def opened(token: str) -> tuple[FeedbackRequest, Caller]:
    """The request behind a link, and the person it was sent to.

    Raises NotFound for a link that was made up or has ended, Forbidden for somebody who left.
    """
    try:
        key = signing.loads(token, salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        raise NotFound("request behind this link", "it was made up or has ended") from None
    row = FeedbackRequest.objects.select_related("user").filter(pk=key).first()
    if row is None:
        raise NotFound("request behind this link", key)
    return row, _caller_of(row.user)


def decline(row: FeedbackRequest) -> None:
    """Send this person no more mails that nobody asked for; only once, whoever opens the link."""
    FeedbackRequest.objects.filter(pk=row.pk, declined_at=None).update(declined_at=Now())


def answered(row: FeedbackRequest) -> None:
    FeedbackRequest.objects.filter(pk=row.pk, answered_at=None).update(answered_at=Now())


def _caller_of(user: User) -> Caller:
    if not user.is_active:
        raise Forbidden("give feedback", "an active account")
    return callers.of_user(user)


def _person(named: str) -> User:
    asked = Q(username=named) | Q(email__iexact=named)
    try:
        asked |= Q(pk=UUID(named))
    except ValueError:
        pass
    found = User.objects.filter(asked, is_active=True).exclude(username="").order_by("id").first()
    if found is None or not named:
        raise NotFound("person", named)
    return found
