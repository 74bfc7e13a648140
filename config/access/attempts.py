"""Wrong passwords and wrong keys: counted in Redis for all processes, and answered with a wait.

Source of the algorithm: ``limits``, fixed windows. Without Redis nobody is locked out.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import time
from functools import cache
from ipaddress import ip_address
from types import ModuleType
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

# The package imports its asynchronous half, which nobody here uses: 0.3 s in every process.
sys.modules.setdefault("limits.aio", ModuleType("limits.aio"))

from limits import RateLimitItem, RateLimitItemPerSecond  # noqa: E402  after the line above
from limits.storage import storage_from_string  # noqa: E402
from limits.strategies import FixedWindowRateLimiter  # noqa: E402

from config import logs  # noqa: E402
from config.errors import TooManyRequests  # noqa: E402

logger = logging.getLogger(__name__)


def address_of(request: HttpRequest) -> str:
    """Who asks, as the connection says; a network of IPv6 counts as one."""
    given = request.META.get("REMOTE_ADDR", "")
    try:
        found = ip_address(given)
    except ValueError:
        return "unknown"
    return str(found) if found.version == 4 else found.exploded[:19]


def sign_in_wait(username: str, address: str) -> int:
    """Seconds until this account may be tried from this address again; 0 when it may be now."""
    return max(_wait(_of_account(), _account(username, address)), _wait(_of_address(), address))


def sign_in_failed(username: str, address: str, *, user_id: UUID | None = None) -> None:
    """Count a wrong password; the one that locks the account for this address is an event."""
    _hit(_of_address(), address)
    if _hit(_of_account(), _account(username, address)) == 0:
        _tell(
            kind="denied",
            severity="high",
            user_id=user_id,
            actor="sign-in",
            address=address,
            detail={"reason": "too many wrong passwords", "tries": settings.SIGN_IN_TRIES},
        )


def signed_in(username: str, address: str) -> None:
    """Forget the wrong passwords of an account that has got it right."""
    try:
        _limiter().clear(_of_account(), _account(username, address))
    except RedisError as error:
        _unreachable(error)


def wrong_key(token: str, address: str) -> int:
    """Count a key that opens nothing; seconds to wait once there were too many, else 0.

    Only wrong keys are refused: others behind the same address go on.
    """
    left = _hit(_of_address("key"), address)
    if left == 0:
        _tell(
            kind="key_misuse",
            severity="high",
            actor=f"key:{token[:10]}…",
            address=address,
            detail={"reason": "too many unknown keys", "tries": settings.ADDRESS_TRIES},
        )
    return _wait(_of_address("key"), address) if left is not None and left <= 0 else 0


def refuse_wrong_key(token: str, request: HttpRequest) -> None:
    """Count it, and raise TooManyRequests once its address has sent too many."""
    if wait := wrong_key(token, address_of(request)):
        raise TooManyRequests(
            "unknown keys from this address",
            f"{settings.ADDRESS_TRIES} in {settings.LOCK_OUT}",
            wait,
        )


def count(kind: str, name: str, most: int) -> int | None:
    """Count one of ``kind``; how many are left of ``most``, -1 for one too many, None unknown."""
    return _hit(_item(most, kind), name)


@cache
def _limiter() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(
        storage_from_string(settings.REDIS_URL, key_prefix=f"ratchet:{settings.INSTALLATION}")
    )


def _item(count: int, kind: str) -> RateLimitItem:
    seconds = max(1, round(settings.LOCK_OUT.total_seconds()))
    return RateLimitItemPerSecond(count, seconds, namespace=kind)


def _of_account() -> RateLimitItem:
    return _item(settings.SIGN_IN_TRIES, "sign-in")


def _of_address(kind: str = "sign-in-address") -> RateLimitItem:
    return _item(settings.ADDRESS_TRIES, kind)


def _account(username: str, address: str) -> str:
    # What people type there may be a password.
    return hashlib.sha256(f"{username.casefold()}\0{address}".encode()).hexdigest()[:32]


def _hit(item: RateLimitItem, name: str) -> int | None:
    """Count one; how many are left, -1 for one too many, None if nobody counts."""
    try:
        if not _limiter().hit(item, name):
            return -1
        return _limiter().get_window_stats(item, name).remaining
    except RedisError as error:
        _unreachable(error)
        return None


def _wait(item: RateLimitItem, name: str) -> int:
    try:
        stats = _limiter().get_window_stats(item, name)
    except RedisError as error:
        _unreachable(error)
        return 0
    return 0 if stats.remaining > 0 else max(1, round(stats.reset_time - time.time()))


def _unreachable(error: Exception) -> None:
    logs.event(logger, "access.attempts.unreachable", level=logging.WARNING, error=str(error))


def _tell(*, address: str, **event: Any) -> None:
    try:
        known: str | None = str(ip_address(address))
    except ValueError:
        known = None
    import_string(settings.SECURITY_WRITER)(address=known, **event)
