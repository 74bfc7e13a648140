"""What the ground knows of a person: the account, memberships, keys, invitations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db.models import Q

from config.access import exports
from config.access.models import (
    ApiKey,
    IdempotencyRecord,
    Invitation,
    KeyNetwork,
    Membership,
    User,
)
from config.errors import Conflict
from config.privacy import ERASED, Subject, as_rows

# Digests open nothing by themselves, but nobody else may have them.
_SECRET = ("password", "digest")


def export_subject(subject: Subject) -> dict[str, list[dict[str, Any]]]:
    """Account, memberships, keys (without what opens them), invitations, admin changes."""
    found = {
        "account": User.objects.filter(pk=subject.id),
        "memberships": Membership.objects.filter(user_id=subject.id),
        "keys": ApiKey.objects.filter(user_id=subject.id),
        "key_networks": KeyNetwork.objects.filter(key__user_id=subject.id),
        "invitations": _invitations(subject),
        "admin_changes": LogEntry.objects.filter(user_id=subject.id),
        "requests": IdempotencyRecord.objects.filter(principal__in=_principals(subject)),
    }
    return {
        name: [{k: v for k, v in row.items() if k not in _SECRET} for row in as_rows(rows)]
        for name, rows in found.items()
    }


def erase_subject(subject: Subject, *, keep_records: bool) -> dict[str, int]:
    """Empty the account and close it. Raises Conflict for the last active administrator."""
    done = {"exports": exports.forget_subject(subject)}
    user = User.objects.select_for_update().filter(pk=subject.id).first()
    if user is None:
        return done
    if _is_last_administrator(user):
        raise Conflict("user", "the last active administrator", "another administrator first")
    principals = _principals(subject)
    done |= {
        "requests": IdempotencyRecord.objects.filter(principal__in=principals).delete()[0],
        "keys": ApiKey.objects.filter(user=user).delete()[0],
        "memberships": Membership.objects.filter(user=user).delete()[0],
        "invitations": _invitations(subject).delete()[0],
        "admin_changes": LogEntry.objects.filter(
            Q(user_id=subject.id) | Q(object_id=str(subject.id))
        ).exclude(object_repr=ERASED).update(object_repr=ERASED, change_message=""),
    }  # fmt: skip
    user.audiences.clear()
    shell = f"{ERASED}-{user.pk}"
    if user.username != shell:
        done["account"] = 1
        user.username, user.first_name, user.last_name, user.email = shell, "", "", ""
        user.is_active = user.is_staff = user.is_superuser = False
        user.last_login = None
        user.set_unusable_password()  # which ends every session, too
        user.save()
    return done


def _invitations(subject: Subject) -> Any:
    by_mail = Q(email__iexact=subject.email) if subject.email else Q(pk=None)
    return Invitation.objects.filter(by_mail)


def _principals(subject: Subject) -> list[str]:
    keys: list[UUID] = list(ApiKey.objects.filter(user_id=subject.id).values_list("id", flat=True))
    return [subject.principal, *(f"key:{key}" for key in keys)]


def _is_last_administrator(user: User) -> bool:
    def administers() -> Q:
        return Q(is_superuser=True) | Q(memberships__role="administrator")

    everyone = User.objects.filter(administers(), is_active=True).distinct()
    return everyone.filter(pk=user.pk).exists() and everyone.count() == 1
