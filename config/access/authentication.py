"""Authentication and permission classes of the API: a session or a bearer key, and scopes."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from config.access import attempts, callers, networks
from config.access.callers import Caller


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer rk_…``."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        caller = callers.of_key(token.strip())
        if caller is None:
            attempts.refuse_wrong_key(token.strip(), request)
            raise exceptions.AuthenticationFailed(
                "this key is unknown, revoked or expired; make a new one under /admin"
            )
        networks.note(caller, request)
        return callers.User(id=caller.user_id, is_active=True), caller

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with CSRF protection."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user, _ = found
        return user, callers.of_user(user)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(permissions.BasePermission):
    """The view names a scope per method in ``scopes``; a method without one is refused."""

    message = "this needs a scope that you do not have"

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Caller):
            raise exceptions.NotAuthenticated("sign in, or send Authorization: Bearer rk_…")
        method = "GET" if request.method == "HEAD" else str(request.method)
        scope = getattr(view, "scopes", {}).get(method)
        if method == "OPTIONS":
            return True
        if scope is None:
            raise exceptions.MethodNotAllowed(method)
        if not request.auth.has(scope):
            self.message = f"this needs the scope {scope}"
            return False
        return True


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "config.access.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "rk_…"}


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "config.access.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
