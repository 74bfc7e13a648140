"""What these doors have in common."""

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
PAGES = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]


def checked(shape: Any, request: Request) -> dict[str, Any]:
    """The request's body in the given shape; a bad one is a 422 that names the field."""
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


def page(request: Request, rows: Any, shape: Any) -> Response:
    """One page of ``rows``."""
    paginator = rest.CursorPagination()
    found: Any = paginator.paginate_queryset(rows, request)
    return paginator.get_paginated_response(shape(found or [], many=True).data)
