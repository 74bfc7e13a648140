"""Which addresses a tool may reach: public ones, and private ones that the operator named."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from agents.errors import NotReached
from config.errors import Forbidden, InvalidInput


def checked(url: str) -> tuple[SplitResult, str]:
    """The parts of ``url`` and the address to connect to, resolved once.

    Raises InvalidInput for what is no http(s) URL, Forbidden for a private, loopback or link-local
    address that TOOL_PRIVATE_HOSTS does not name, NotReached for a name that does not resolve.
    """
    parts, port, allowed = check_form(url)
    host = str(parts.hostname)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotReached(host, f"its name does not resolve ({error})", 30) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allowed and not all(ipaddress.ip_address(one).is_global for one in addresses):
        raise Forbidden(f"reach {host}", "a public address, or TOOL_PRIVATE_HOSTS")
    return parts, addresses[0]


def check_form(url: str) -> tuple[SplitResult, int, bool]:
    """The parts of ``url``, its port, and whether TOOL_PRIVATE_HOSTS names it; nothing is resolved.

    Raises InvalidInput for what is no http(s) URL, Forbidden for one without TLS that is not named.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise InvalidInput("url", url, "an http or https address without credentials in it")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    named = {parts.hostname, f"{parts.hostname}:{port}"} & set(settings.TOOL_PRIVATE_HOSTS)
    allowed = bool(named)
    if parts.scheme == "http" and not allowed:
        raise Forbidden(f"reach {parts.hostname} without TLS", "https, or TOOL_PRIVATE_HOSTS")
    return parts, port, allowed


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: a page that follows must stay with the page before it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname, port
