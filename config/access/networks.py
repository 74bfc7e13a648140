"""From where a key is used: a network that is new to it is a security event."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils.module_loading import import_string

from config.access import attempts
from config.access.callers import Caller

# Somebody who changes networks all the time is told of so often within the lock-out time.
MOST_TOLD = 5
_KEPT = 20_000
_known: set[tuple[str, str]] = set()

_SEEN = """
WITH made AS (
    INSERT INTO access_keynetwork (key_id, network) VALUES (%(key)s, %(network)s)
    ON CONFLICT (key_id, network) DO NOTHING RETURNING 1)
SELECT EXISTS (SELECT 1 FROM made),
       (SELECT count(*) FROM access_keynetwork WHERE key_id = %(key)s)
"""


def network_of(address: str) -> str:
    """The network that an address counts as: /24, or /48 of IPv6; empty for no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))


def note(caller: Caller, request: HttpRequest) -> None:
    """Remember from where a key is used; one that was known elsewhere only is told."""
    network = network_of(request.META.get("REMOTE_ADDR", ""))
    place = (str(caller.key_id), network)
    if not network or caller.key_id is None or place in _known:
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_SEEN, {"key": caller.key_id, "network": network})
            is_new, elsewhere = cursor.fetchone()
        if is_new and elsewhere and (attempts.count("key-network", place[0], MOST_TOLD) or 0) >= 0:
            import_string(settings.SECURITY_WRITER)(
                kind="key_misuse", severity="medium", actor=caller.principal,
                user_id=caller.user_id, client_id=caller.home_client_id,
                address=request.META["REMOTE_ADDR"],
                detail={"reason": "used from a network for the first time", "network": network},
            )  # fmt: skip
    if len(_known) >= _KEPT:
        _known.clear()
    _known.add(place)
