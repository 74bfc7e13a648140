"""What the doors share: a checked body, a page of rows, parameters and problems."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from config import rest

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)


def checked(shape: Any, request: Request) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


def paged(request: Request, rows: Any, render: Any) -> Response:
    paginator = rest.CursorPagination()
    page: list[Any] | None = paginator.paginate_queryset(rows, request)
    return paginator.get_paginated_response(render(page or []))
