"""Who is calling, as one value that services take instead of a request."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from config.access.models import ApiKey, Client, Membership, User
from config.access.roles import may_act_as, scopes_of
from config.errors import Forbidden, InvalidInput, NotFound

KEY_PREFIX = "rk_"


@dataclass(frozen=True, slots=True)
class Caller:
    """A user or key, the clients it may see (None: all of them), its roles and scopes."""

    user_id: UUID | None
    name: str
    home_client_id: UUID
    client_ids: frozenset[UUID] | None
    roles: frozenset[str]
    scopes: frozenset[str]
    key_id: UUID | None = None

    @property
    def principal(self) -> str:
        """A stable name for limits and records: the key, or else the user, or the machine."""
        if self.key_id:
            return f"key:{self.key_id}"
        return f"user:{self.user_id}" if self.user_id else self.name

    def has(self, scope: str) -> bool:
        return scope in self.scopes

    def require(self, scope: str, action: str) -> None:
        """Raise Forbidden unless the caller holds ``scope``."""
        if scope not in self.scopes:
            raise Forbidden(action, f"the scope {scope}")

    def may_act_as(self, role: str) -> bool:
        return may_act_as(self.roles, role)

    def sees(self, client_id: UUID) -> bool:
        return self.client_ids is None or client_id in self.client_ids

    def only_visible(self, rows: QuerySet[Any], field: str = "client_id") -> QuerySet[Any]:
        """``rows`` of the clients that this caller may see."""
        if self.client_ids is None:
            return rows
        return rows.filter(**{f"{field}__in": self.client_ids})


def system(name: str, client_id: UUID) -> Caller:
    """The caller that a part of Ratchet itself is; it sees every client and holds no scope."""
    return Caller(None, f"system:{name}", client_id, None, frozenset(), frozenset())


def any_reader() -> Caller:
    """Whoever may read: it sees every client, and no run that a definition limits to some.

    For what is written once and read by many.
    """
    nobody = UUID(int=0)
    return Caller(nobody, "system:any reader", nobody, None, frozenset(), frozenset())


def of_user(user: User) -> Caller:
    """The caller that a signed-in person is."""
    if user.is_superuser:
        firm = Client.objects.filter(is_firm=True).values_list("id", flat=True).first()
        if firm is None:
            raise NotFound("client", "the firm (run the set-up first)")
        roles = frozenset({"administrator"})
        return Caller(user.pk, str(user), firm, None, roles, scopes_of(roles))
    rows = list(
        Membership.objects.filter(user=user)
        .order_by("-client__is_firm", "id")
        .values_list("client_id", "role", "client__is_firm")
    )
    if not rows:
        raise Forbidden("use Ratchet", "a membership at a client; ask an administrator")
    roles = frozenset(role for _, role, _ in rows)
    clients: frozenset[UUID] | None = frozenset(client for client, _, _ in rows)
    if any(is_firm for _, _, is_firm in rows):
        clients = _clients_of_staff(user)
    return Caller(user.pk, str(user), rows[0][0], clients, roles, scopes_of(roles))


def _clients_of_staff(user: User) -> frozenset[UUID] | None:
    """All clients, or those that share an audience with the user if the user has any."""
    audiences = list(user.audiences.values_list("id", flat=True))
    if not audiences:
        return None
    own = Membership.objects.filter(user=user).values_list("client_id", flat=True)
    shared = Client.objects.filter(audiences__in=audiences).values_list("id", flat=True)
    return frozenset(own) | frozenset(shared)


def of_key(token: str) -> Caller | None:
    """The caller behind a bearer key; None if it is unknown, revoked or expired.

    A key that was good is taken as good for another KEY_KEPT_SECONDS (settings) by this process.
    """
    if not token.startswith(KEY_PREFIX):
        return None
    digest, now = digest_of(token), time.monotonic()
    kept = _kept.get(digest)
    if kept is not None and kept[0] > now:
        return kept[1]
    caller = _look_up(digest)
    if caller is None:
        _kept.pop(digest, None)
    elif settings.KEY_KEPT.total_seconds() > 0:
        if len(_kept) > _KEPT_KEYS:
            _kept.clear()
        _kept[digest] = (now + settings.KEY_KEPT.total_seconds(), caller)
    return caller


_kept: dict[str, tuple[float, Caller]] = {}
_KEPT_KEYS = 10_000


def _look_up(digest: str) -> Caller | None:
    key = (
        ApiKey.objects.select_related("user", "client")
        .filter(digest=digest, revoked_at=None, expires_at__gt=timezone.now())
        .first()
    )
    if key is None or not key.user.is_active:
        return None
    ApiKey.objects.filter(pk=key.pk).exclude(
        last_used_at__gt=timezone.now() - timedelta(minutes=1)
    ).update(last_used_at=timezone.now())
    person = of_user(key.user)
    scopes = person.scopes & frozenset(key.scopes)
    everything = person.client_ids is None and key.client.is_firm
    if not everything and not person.sees(key.client_id):
        return None
    clients = None if everything else frozenset({key.client_id})
    return Caller(key.user_id, str(key.user), key.client_id, clients, person.roles, scopes, key.pk)


def create_key(
    *, user: User, client: Client, name: str, scopes: list[str], days: int = 90
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is shown once and never stored."""
    if not 1 <= days <= 366:
        raise InvalidInput("days", days, "a key lives from 1 to 366 days")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        user=user,
        client=client,
        name=name,
        scopes=sorted(scopes),
        prefix=secret[:10],
        digest=digest_of(secret),
        expires_at=timezone.now() + timedelta(days=days),
    )
    return key, secret


def digest_of(secret: str) -> str:
    """What is stored of a key: it has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
