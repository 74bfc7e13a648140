"""A signed POST to an address that was checked: nothing inside this network unless allowed.

The name is resolved once, all its addresses are looked at, and the connection goes to the one
that was looked at: a name that answers differently the next time gains nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from config.authorities import authorities
from config.errors import AppError

TIMEOUT_SECONDS = 5.0


class AddressRefused(AppError):
    """A URL that leads inside this network, or nowhere."""

    code, http_status = "address_refused", 422

    def __init__(self, host: str, why: str) -> None:
        super().__init__(host, why)
        self.host, self.why = host, why

    def __str__(self) -> str:
        return f"{self.host!r} {self.why}"


class NotAccepted(AppError):
    """The other side answered, and not with success."""

    code, http_status, retryable = "not_accepted", 502, True

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"the receiver answered {self.status}"


def signature(message_id: str, at: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: id, time (Unix seconds) and an HMAC-SHA256.

    ``secret`` is ``whsec_`` and base64, or any text.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = secret.encode()
    signed = f"{message_id}.{at}.".encode() + body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{digest}",
    }


def resolve(url: str, *, may_be_private: bool) -> tuple[str, str]:
    """The host of ``url`` and the address to connect to.

    Raises AddressRefused for another scheme, a name without an address, or an address that is
    not public (unless ``may_be_private``).
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise AddressRefused(url[:80], "is not an http(s) URL")
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressRefused(host, "has no address") from None
    addresses = [str(entry[4][0]) for entry in found]
    if not may_be_private and not all(ip_address(a.partition("%")[0]).is_global for a in addresses):
        raise AddressRefused(host, "leads to an address inside this network")
    return host, addresses[0]


def post(url: str, body: bytes, headers: Mapping[str, str], *, may_be_private: bool) -> None:
    """POST JSON. Raises AddressRefused, NotAccepted (redirects are not followed), or httpx's."""
    host, address = resolve(url, may_be_private=may_be_private)
    target = httpx.URL(url).copy_with(host=address)
    with httpx.Client(
        timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False, verify=authorities()
    ) as client:
        request = client.build_request(
            "POST",
            target,
            content=body,
            headers={"Host": urlsplit(url).netloc.rpartition("@")[2],
                     "Content-Type": "application/json", **headers},
            extensions={"sni_hostname": host},
        )  # fmt: skip
        answer = client.send(request)
    if not answer.is_success:
        raise NotAccepted(answer.status_code)
