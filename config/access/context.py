"""What every page needs to know: who looks, and what must be said on every page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static

from config.access.callers import Caller


def shell(request: HttpRequest) -> dict[str, Any]:
    """For templates: whether the offline model answers (the page must say so), and what is seen.

    ``sees`` names the areas whose pages the navigation offers; the page itself asks again.
    """
    caller: Caller | None = getattr(request, "caller", None)
    return {
        "sees": {
            "monitoring": caller is not None and caller.has("monitoring:read"),
            "audit": caller is not None and caller.has("audit:read"),
        },
        "offline_model": settings.OFFLINE_MODEL_IN_USE,
        "installation": settings.INSTALLATION,
    }


def admin_style(request: HttpRequest) -> str:
    """The stylesheet that pages and admin share."""
    return static("ratchet/ratchet.css")
