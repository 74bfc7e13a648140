"""Invocations, tools and the guardrails' scan."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import background, doors, interactive, queries, queries_calls, queries_tools
from agents import serializers as shapes
from agents.api.shared import KEY, PAGES, PROBLEM, checked, find_agent, page, whole
from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.pipeline import scan
from agents.invoke import Answer, Call, invoke
from agents.models import AsyncCall, Invocation
from config import rest
from config.access.hiding import of_visible_runs
from config.errors import InvalidInput, NotFound


class Invoke(APIView):
    scopes = {"POST": "agents:invoke"}

    @extend_schema(
        parameters=[
            KEY,
            OpenApiParameter("Prefer", str, OpenApiParameter.HEADER,
                             description="`respond-async`: 202, and the answer later."),
        ],
        request=shapes.NewInvocation,
        responses={200: shapes.AnswerDocument, 202: shapes.AnswerDocument, 402: PROBLEM,
                   409: PROBLEM, 422: PROBLEM, 429: PROBLEM, 503: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Ask an agent, and wait for the answer or come back for it."""
        caller = rest.caller_of(request)
        data = checked(shapes.NewInvocation, request)
        client_id = doors.client_for(caller, data.get("client_id"))
        doors.check_agent(caller, slug)
        conversation = doors.conversation_for(caller, data.get("conversation_id"))
        if _prefers_async(request):
            find_agent(slug)
            row = background.enqueue(
                caller=caller, agent=slug, inputs=data["inputs"], client_id=client_id,
                conversation_id=conversation, unit=data.get("unit") or "",
                max_output_tokens=data.get("max_output_tokens"),
            )  # fmt: skip
            response = Response({"id": str(row.pk), "state": row.state}, status=202)
            response["Location"] = f"/api/v1/invocations/{row.pk}"
            response["Preference-Applied"] = "respond-async"
            return response
        with interactive.place():
            answer = invoke(
                Call(
                    agent=slug,
                    inputs=data["inputs"],
                    client_id=client_id,
                    user_id=caller.user_id,
                    key_id=caller.key_id,
                    conversation_id=conversation,
                    unit=data.get("unit") or None,
                    max_output_tokens=data.get("max_output_tokens"),
                )
            )
        return Response(answer_document(answer))


class Invocations(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        operation_id="invocations_list",
        parameters=[
            OpenApiParameter("agent", str), OpenApiParameter("state", str),
            OpenApiParameter("run_id", UUID), OpenApiParameter("conversation_id", UUID), *PAGES,
        ],
        responses=shapes.InvocationSummary(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Calls that you may see, newest first."""
        rows = of_visible_runs(rest.caller_of(request), Invocation.objects.all())
        given = request.query_params
        if agent := given.get("agent"):
            rows = queries_calls.of_agent(rows, agent)
        if state := given.get("state"):
            rows = rows.filter(state__in=state.split(","))
        for name in ("run_id", "conversation_id"):
            if value := given.get(name):
                rows = rows.filter(**{name: _uuid(name, value)})
        return page(
            request,
            rows.only(*queries_calls.BRIEF),
            lambda found: shapes.InvocationSummary(found, many=True).data,
        )


class OneInvocation(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        responses={200: shapes.InvocationDocument, 202: shapes.AnswerDocument, 404: PROBLEM}
    )
    def get(self, request: Request, invocation_id: UUID) -> Response:
        """One call with its texts and its model and tool calls; 202 while it is queued."""
        caller = rest.caller_of(request)
        try:
            found = queries_calls.invocation_detail(caller, invocation_id)
        except NotFound:
            return _waiting(background.find(caller, invocation_id))
        body = dict(shapes.InvocationDocument(found).data)
        return Response(json.loads(json.dumps(body, default=_plain)))


class Tools(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        operation_id="tools_list",
        parameters=[
            OpenApiParameter("report", str, description="`slow`: dear and slow ones instead."),
            OpenApiParameter("days", int, description="Days that the report looks back (7)."),
        ],
        responses=shapes.ToolDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """Every tool with its schema and what it declares; or a report of the slow ones."""
        caller = rest.caller_of(request)
        report = request.query_params.get("report", "")
        if report == "slow":
            days = _whole_number("days", request.query_params.get("days", "7"), 1, 90)
            since = timezone.now() - timedelta(days=days)
            return whole(queries_tools.slow_tools(caller, since=since))
        if report:
            raise InvalidInput("report", report, "slow, or nothing")
        return whole(queries.tools(caller))


class GuardrailScan(APIView):
    scopes = {"POST": "guardrails:scan"}

    @extend_schema(request=shapes.ScanRequest, responses={200: shapes.ScanDocument, 422: PROBLEM})
    def post(self, request: Request) -> Response:
        """Look for injection, personal data and secrets in a text; nothing is kept."""
        data = checked(shapes.ScanRequest, request)
        return Response(scan(data["text"], source=Source(data["source"])).as_dict())


def answer_document(answer: Answer) -> dict[str, Any]:
    """An answer as the API gives it: money as a string with its currency."""
    return {
        "id": str(answer.invocation_id),
        "state": "fallback" if answer.is_fallback else "succeeded",
        "output": json.loads(json.dumps(answer.output, default=str)),
        "version_id": str(answer.version_id),
        "model": answer.model,
        "cost_usd": f"{answer.cost_usd:f}",
        "currency": "USD",
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "simulated": answer.simulated,
        "cached": answer.cached,
        "is_fallback": answer.is_fallback,
        "findings": answer.findings,
    }


def _plain(value: object) -> str:
    """Money and times of the rows below a call, as everywhere."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _prefers_async(request: Request) -> bool:
    """Whether ``Prefer`` (RFC 7240: a list, in any case, with parameters) says so."""
    asked = request.headers.get("Prefer", "").lower().replace(",", ";").split(";")
    return "respond-async" in (one.strip() for one in asked)


def _waiting(row: AsyncCall) -> Response:
    open_states = (AsyncCall.State.QUEUED, AsyncCall.State.RUNNING)
    body = {"id": str(row.pk), "state": row.state, "error": row.error}
    response = Response(body, status=202 if row.state in open_states else 200)
    if row.state in open_states:
        response["Retry-After"] = str(_seconds_until(row.due_at))
    return response


def _seconds_until(due: datetime | None) -> int:
    """When it is worth asking again, in whole seconds: at least 1."""
    return 1 if due is None else max(1, math.ceil((due - timezone.now()).total_seconds()))


def _whole_number(name: str, value: str, low: int, high: int) -> int:
    if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
        raise InvalidInput(name, value, f"a whole number from {low} to {high}")
    return int(value)


def _uuid(name: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidInput(name, value, "a UUID") from None
