"""Pages are closed unless they say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequired
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Doors that check for themselves: keys and scopes (API), a token (webhooks), or nothing (health).
SELF_CHECKED = (
    "/api/",
    "/v1/",
    "/mcp",
    "/webhooks/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/static/",
)


class LoginRequiredMiddleware(DjangoLoginRequired):
    """Every page needs a session, except the doors that check keys themselves."""

    # Innermost, so that all middleware around it runs in one thread: under ASGI each of Django's
    # would otherwise hop into one and out again, twice (4 ms a request, measured).
    async_capable = False

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        if request.path.startswith(SELF_CHECKED) and not request.path.startswith(
            ("/api/docs", "/api/schema")
        ):
            return None
        if request.path == settings.LOGIN_URL:
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


class NobodySignedInMiddleware:
    """What the middleware of sessions says of a request that has none."""

    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.user = AnonymousUser()
        return self.get_response(request)
