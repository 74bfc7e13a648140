"""What the doors share: a checked body, a page of rows, parameters and problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import cache
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config import rest

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)


def checked(shape: Any, request: Request) -> dict[str, Any]:
    """The body as ``shape`` says; raises ValidationError, also for keys that it does not know."""
    given = copy(_made(shape))
    given.initial_data = request.data
    require_known(request, given.fields)
    return rest.validated(given)


@cache
def _made(shape: Any) -> Any:
    """One of a kind: its fields, which a check does not change, are dear to copy each time."""
    made = shape()
    made.fields  # noqa: B018  (copied and bound here, not in each copy)
    return made


def require_known(request: Request, known: Iterable[str] = ()) -> None:
    """Raise ValidationError for keys of the body that are not ``known``: they would do nothing."""
    words = ", ".join(known)
    said = f"is not known here; known are {words}" if words else "is not known here; send no body"
    given = request.data
    if not isinstance(given, Mapping):
        if given:
            raise serializers.ValidationError({"body": "must be an object"})
        given = {}
    if unknown := {str(name): said for name in given if name not in known}:
        raise serializers.ValidationError(unknown)


def paged(request: Request, rows: Any, render: Any) -> Response:
    paginator = rest.CursorPagination()
    page: list[Any] | None = paginator.paginate_queryset(rows, request)
    return paginator.get_paginated_response(render(page or []))
