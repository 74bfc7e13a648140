"""Who stands behind an endpoint's address."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract

OFFLINE = "offline"
NAME = r"^[a-z0-9:][a-z0-9.:_-]*\Z"


def provider_of(base_url: str) -> str:
    """The name of an address's owner: ``openai.com`` of ``https://api.openai.com/v1``.

    An address in numbers, or a name of one part, is its own owner; of a name that is not public,
    the last two parts are.
    """
    found = _owners()(base_url)
    owner = found.top_domain_under_public_suffix or found.ipv4 or found.ipv6
    parts = [part for part in (found.subdomain, found.domain, found.suffix) if part]
    return (owner or ".".join(".".join(parts).split(".")[-2:])).lower()[:64]


@cache
def _owners() -> TLDExtract:
    """By the public suffix list that comes with the library: nothing is fetched, nothing kept."""
    # Not at the start of every process: it imports an HTTP client, which is not used here.
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None)
