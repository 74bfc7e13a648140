"""Addresses that no view reads: PostgreSQL holds no NUL, so nothing has one in its name."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class AddressMiddleware:
    """Answer 400 to an address with a NUL character, in its path or in what it asks."""

    # As those beside it: all of them in one thread.
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("the address holds a NUL character")
        return self.get_response(request)
