"""What every page needs to know: who looks, and what must be said on every page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static

from config.access.callers import Caller

_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


def shell(request: HttpRequest) -> dict[str, Any]:
    """For templates: whether the offline model answers (the page must say so), and what is seen.

    ``sees`` names the areas whose pages the navigation offers; the page itself asks again.
    """
    caller: Caller | None = getattr(request, "caller", None)
    return {
        "sees": {
            "monitoring": caller is not None and caller.has("monitoring:read"),
            "incidents": caller is not None and caller.client_ids is None,  # of the whole fleet
            "audit": caller is not None and caller.has("audit:read"),
        },
        "offline_model": settings.OFFLINE_MODEL_IN_USE,
        "installation": settings.INSTALLATION,
        "flower_url": _flower_for(request),
    }


def _flower_for(request: HttpRequest) -> str:
    """Flower's address where the reader's browser can reach it, or nothing.

    One that serves this machine only would lead a reader on another to their own.
    """
    url = settings.FLOWER_URL
    if not url or urlsplit(url).hostname not in _HERE:
        return str(url)
    return str(url) if urlsplit(f"//{request.get_host()}").hostname in _HERE else ""


def icon(request: HttpRequest) -> str:
    """The mark that pages and admin share; without one a browser asks for /favicon.ico."""
    return static("ratchet/mark.svg")


def admin_style(request: HttpRequest) -> str:
    """The stylesheet that pages and admin share."""
    return static("ratchet/ratchet.css")
