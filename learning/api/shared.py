"""What these doors have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from config import rest
from config.errors import InvalidInput

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)
ANY = {"type": "object", "additionalProperties": True}
PAGES = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]
MOST_DAYS = 366


def checked(shape: Any, request: Request) -> dict[str, Any]:
    """The request's body in the given shape; a bad one is a 422 that names the field."""
    return rest.validated(shape(data=request.data))


def page(
    request: Request, rows: Any, shape: Any, document: Callable[[Any], Any] | None = None
) -> Response:
    """One page of ``rows``, each first made a ``document`` of where one is given."""
    paginator = rest.CursorPagination()
    found: Any = paginator.paginate_queryset(rows, request) or []
    if document is not None:
        found = [document(row) for row in found]
    return paginator.get_paginated_response(shape(found, many=True).data)


def whole(rows: list[dict[str, Any]]) -> Response:
    """A short list, in the shape of a page."""
    return Response({"next": None, "previous": None, "results": rows})


def choice_of(request: Request, name: str, choices: Sequence[str]) -> str:
    """``?name=``, one of ``choices``; empty if it is not given. A slip would list nothing."""
    found = request.query_params.get(name, "")
    if found and found not in choices:
        raise InvalidInput(name, found, f"one of {', '.join(choices)}")
    return found


def days_of(request: Request, default: int) -> int:
    """``?days=`` from 1 to 366."""
    text = request.query_params.get("days", str(default))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_DAYS:
        raise InvalidInput("days", text, f"from 1 to {MOST_DAYS}")
    return int(text)
