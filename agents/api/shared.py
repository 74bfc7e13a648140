"""What the doors of agents have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.request import Request
from rest_framework.response import Response

from agents import bodies
from agents.models import Agent
from config import rest
from config.errors import InvalidInput, NotFound

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)
MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, required=True, description="The ETag that you saw."
)
PAGES = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]


def checked(shape: Any, request: Request) -> dict[str, Any]:
    """The request's body in the given shape; a bad one is a 422 that names the field.

    Objects without a shape of their own (inputs, settings) hold texts that no serializer looks at.
    """
    data = rest.validated(shape(data=request.data))
    bodies.check_texts(data)
    return data


def check_names(shape: Any, request: Request) -> None:
    """Raise InvalidInput for a name that ``shape`` does not have: of a change in which everything
    may be left out, a word that nobody reads would seem to be done."""
    given: Any = request.data
    names = sorted(shape().fields)
    unknown = sorted(set(given) - set(names)) if isinstance(given, dict) else []
    if unknown:
        raise InvalidInput(unknown[0], given[unknown[0]], f"only {', '.join(names)}")


def page(request: Request, rows: Any, render: Callable[[Any], Any]) -> Response:
    """One page of ``rows``."""
    paginator = rest.CursorPagination()
    found: Any = paginator.paginate_queryset(rows, request)
    return paginator.get_paginated_response(render(found or []))


def whole(rows: list[dict[str, Any]]) -> Response:
    """A short list, in the shape of a page."""
    return Response({"next": None, "previous": None, "results": rows})


def find_agent(slug: str) -> Agent:
    """The agent; raises NotFound."""
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise NotFound("agent", slug)
    return agent


def etag_of(agent: Agent) -> str:
    """Changes with every edit of the agent."""
    return f'"{agent.updated_at.timestamp():.6f}"'
