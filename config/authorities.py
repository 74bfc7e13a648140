"""Who is trusted to say who a server is."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """The authorities of TLS, read once in a process: reading them takes 40 ms of CPU.

    The environment's own (SSL_CERT_FILE) are not asked.
    """
    return httpx.create_ssl_context(trust_env=False)
