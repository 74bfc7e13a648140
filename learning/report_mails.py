"""The mails with a cycle's report: who gets one, and who gets it at another attempt."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPDataError, SMTPNotSupportedError, SMTPRecipientsRefused
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from config import logs
from config.access import callers
from config.access.models import User
from learning.models import Cycle
from learning.reporting import as_text

logger = logging.getLogger(__name__)
# Between two attempts at a mail server that does not take all.
MAILED_AGAIN = timedelta(hours=1)
# Who gets the report: these roles at the firm and superusers, of those who see every client.
READERS = ("reviewer", "platform_engineer", "administrator")
# What a mail server says of one address or letter; after all else it takes no other one either.
OF_ONE = (SMTPRecipientsRefused, SMTPDataError, SMTPNotSupportedError)
# RFC 5321: the server closes the connection; codes from 500 on are for good.
CLOSING, FOR_GOOD = 421, 500


def send(cycle_id: UUID) -> int:
    """Send the report to its readers, once each; how many got it now.

    Whom the mail server did not take yet is tried again by the sweep: everybody where it took
    none at all, else those whom it did not refuse for good.
    """
    again = Q(mailed_at__lt=timezone.now() - MAILED_AGAIN) & ~Q(mail_error="")
    rows = Cycle.objects.filter(Q(mailed_at=None) | again, pk=cycle_id)
    if not rows.update(mailed_at=Now(), mail_error=""):
        return 0
    cycle = Cycle.objects.get(pk=cycle_id)
    people = _readers()
    if cycle.mail_left:
        people = {address: pk for address, pk in people.items() if pk in cycle.mail_left}
    sent, left, fault = _deliver(cycle, sorted(people))
    readers = (cycle.readers or 0) + sent
    Cycle.objects.filter(pk=cycle_id).update(
        readers=readers, mail_error="" if readers and not left else fault,
        mail_left=[people[address] for address in left] if readers else [],
    )  # fmt: skip
    return sent


def _readers() -> dict[str, UUID]:
    """Address → who reads reports there."""
    of_the_firm = Q(memberships__client__is_firm=True, memberships__role__in=READERS)
    rows = (
        User.objects.filter(of_the_firm | Q(is_superuser=True), is_active=True, is_demo=False)
        .exclude(email="")
        .distinct()
    )
    return {one.email: one.pk for one in rows if callers.of_user(one).client_ids is None}


def _deliver(cycle: Cycle, waiting: list[str]) -> tuple[int, list[str], str]:
    """How many of these addresses got the report, which may get it later, and the last fault."""
    sent, left, fault = 0, list[str](), ""
    while waiting:
        address, *waiting = waiting
        try:
            send_mail(f"Ratchet: {cycle.cadence} learning report, {cycle.tick}", _body(cycle),
                      settings.DEFAULT_FROM_EMAIL, [address])  # fmt: skip
            sent += 1
        except OSError as error:
            fault = type(error).__name__
            logs.event(logger, "learning.cycle.mail_failed", level=logging.WARNING, error=fault)
            codes = _codes(error)
            if not isinstance(error, OF_ONE) or CLOSING in codes:
                # The server's fault: each of the others would wait for it, too.
                return sent, [*left, address, *waiting], fault
            if any(code < FOR_GOOD for code in codes):
                left.append(address)
    return sent, left, fault


def _body(cycle: Cycle) -> str:
    """The report, and where to go on from it."""
    here = f"{settings.PUBLIC_URL}/dashboard/learning"
    return "\n".join([
        as_text(cycle.report).rstrip(), "", "## Go on", "",
        f"- This report as a page: {here}/reports/{cycle.pk}",
        f"- What waits for a decision, what is tried and rolled out: {here}", "",
    ])  # fmt: skip


def _codes(error: OSError) -> list[int]:
    """What the server answered, of each address."""
    if isinstance(error, SMTPRecipientsRefused):
        return [code for code, _ in error.recipients.values()]
    return [error.smtp_code] if isinstance(error, SMTPDataError) else []
