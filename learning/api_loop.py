"""Doors of patterns, drift, examples, replays and cycles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors, interactive
from config import rest
from config.errors import InvalidInput
from learning import (
    cycles,
    drifting,
    examples,
    handoff,
    optimizer,
    patterns,
    replay,
)
from learning import shapes_loop as shapes
from learning.models import Cycle, Example, Pattern, Replay

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)
PAGES = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]
MOST_DAYS = 366


def checked(shape: Any, request: Request) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


def whole(rows: list[dict[str, Any]]) -> Response:
    """A short list, in the shape of a page."""
    return Response({"next": None, "previous": None, "results": rows})


def days_of(request: Request, default: int) -> int:
    """``?days=`` from 1 to 366."""
    text = request.query_params.get("days", str(default))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= MOST_DAYS:
        raise InvalidInput("days", text, f"from 1 to {MOST_DAYS}")
    return int(text)


class Patterns(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="patterns_list",
        parameters=[
            OpenApiParameter("kind", str, enum=Pattern.Kind.values),
            OpenApiParameter("agent", str), OpenApiParameter("days", int),
        ],
        responses=shapes.PatternDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Clusters of failures and complaints with trend, impact and examples, by frequency."""
        given = request.query_params
        kind = given.get("kind", "")
        if kind and kind not in Pattern.Kind.values:
            raise InvalidInput("kind", kind, f"one of {', '.join(Pattern.Kind.values)}")
        rows = patterns.listed(
            rest.caller_of(request), until=timezone.now().date(), kind=kind,
            days=days_of(request, 28), agent=given.get("agent", ""),
        )  # fmt: skip
        return whole(list(shapes.PatternDocument(rows, many=True).data))


class DriftWindows(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="drift_list",
        parameters=[
            OpenApiParameter("agent", str), OpenApiParameter("metric", str),
            OpenApiParameter("confirmed", bool), OpenApiParameter("days", int),
        ],
        responses=shapes.DriftDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Windows of each version's figures beside their reference, newest first."""
        given = request.query_params
        rows = drifting.listed(
            since=timezone.now() - timedelta(days=days_of(request, 14)),
            agent=given.get("agent", ""),
            metric=given.get("metric", ""),
            confirmed=given.get("confirmed", "").lower() in ("1", "true"),
        )
        return whole(list(shapes.DriftDocument(rows, many=True).data))


class Examples(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="examples_list",
        parameters=[
            OpenApiParameter("agent", str),
            OpenApiParameter("state", str, enum=Example.State.values), *PAGES,
        ],
        responses=shapes.ExampleDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """The library of corrected answers, newest first."""
        given = request.query_params
        rows = examples.visible(
            rest.caller_of(request), agent=given.get("agent", ""), state=given.get("state", "")
        )
        paginator = rest.CursorPagination()
        page: Any = paginator.paginate_queryset(rows, request)
        return paginator.get_paginated_response(shapes.ExampleDocument(page or [], many=True).data)


class DecideExample(APIView):
    scopes = {"POST": "learning:decide"}
    STATES = {"approve": "approved", "reject": "rejected", "retire": "retired"}

    @extend_schema(
        operation_id="examples_decide",
        parameters=[
            OpenApiParameter("action", str, OpenApiParameter.PATH, enum=list(STATES)), KEY,
        ],
        request=shapes.ExampleDecision,
        responses={200: shapes.ExampleDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, example_id: UUID, action: str) -> Response:
        """Approve, reject or retire an example. Only approved ones are ever used."""
        data = checked(shapes.ExampleDecision, request)
        row = examples.decide(
            rest.caller_of(request), example_id, state=self.STATES[action], reason=data["reason"]
        )
        return Response(shapes.ExampleDocument(row).data)


class ExportExamples(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        parameters=[KEY], request=shapes.ExportRequest,
        responses={201: shapes.ExportDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """A fine-tuning set in the OpenAI chat format: training, validation and a data card."""
        caller = rest.caller_of(request)
        body = examples.export(
            caller, client_id=caller.home_client_id, **checked(shapes.ExportRequest, request)
        )
        return Response(shapes.ExportDocument(body).data, status=201)


class Replays(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="replays_list", parameters=[OpenApiParameter("agent", str), *PAGES],
        responses=shapes.ReplayDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Replays, newest first."""
        rows = Replay.objects.order_by("-id")
        if agent := request.query_params.get("agent"):
            rows = rows.filter(agent_slug=agent)
        paginator = rest.CursorPagination()
        page: Any = paginator.paginate_queryset(rows, request)
        found = [replay.document(row) for row in page or []]
        return paginator.get_paginated_response(shapes.ReplayDocument(found, many=True).data)

    @extend_schema(
        parameters=[KEY], request=shapes.ReplayRequest,
        responses={202: shapes.ReplayDocument, 404: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Let a candidate and the baseline answer recorded questions; look at the result later."""
        data, caller = checked(shapes.ReplayRequest, request), rest.caller_of(request)
        made = replay.start(
            agent=data["agent"],
            candidate_id=data["candidate"],
            baseline_id=data.get("baseline"),
            most_recorded=data["most_recorded"],
            cap_usd=data["cap_usd"],
            client_id=doors.client_for(caller, None),
            asked_by=caller.name,
        )
        response = Response(shapes.ReplayDocument(replay.document(made)).data, status=202)
        response["Location"] = f"/api/v1/replays/{made.pk}"
        return response


class OneReplay(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(responses={200: shapes.ReplayDocument, 404: PROBLEM})
    def get(self, request: Request, replay_id: UUID) -> Response:
        """One replay with every case's scores and what was missing."""
        found = replay.document(replay.find(replay_id), caller=rest.caller_of(request))
        return Response(shapes.ReplayDocument(found).data)


class PromptVariations(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="agents_prompt_variations",
        parameters=[KEY], request=shapes.VariationsRequest,
        responses={200: shapes.VariationsDocument, 404: PROBLEM, 422: PROBLEM, 429: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Bottlenecks, other wordings and their effect on graded cases, within a spending cap."""
        data, caller = checked(shapes.VariationsRequest, request), rest.caller_of(request)
        with interactive.place():
            body = optimizer.vary(
                agent=slug, client_id=caller.home_client_id, asked_by=caller.name, **data
            )
        return Response(shapes.VariationsDocument(body).data)


class Cycles(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="cycles_list",
        parameters=[OpenApiParameter("cadence", str, enum=Cycle.Cadence.values), *PAGES],
        responses=shapes.CycleDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Learning cycles with their reports, newest first."""
        rows = Cycle.objects.order_by("-id")
        if cadence := request.query_params.get("cadence"):
            rows = rows.filter(cadence=cadence)
        paginator = rest.CursorPagination()
        page: Any = paginator.paginate_queryset(rows, request)
        return paginator.get_paginated_response(shapes.CycleDocument(page or [], many=True).data)

    @extend_schema(
        parameters=[KEY], request=shapes.CycleRequest,
        responses={202: shapes.CycleDocument, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Begin a cycle now, unless that of this day has begun; look at the report later."""
        data = checked(shapes.CycleRequest, request)
        made = cycles.run(data["cadence"], data.get("tick"))
        made.refresh_from_db()
        response = Response(shapes.CycleDocument(made).data, status=202)
        response["Location"] = f"/api/v1/cycles/{made.pk}"
        return response


class OneCycle(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(responses={200: shapes.CycleDocument, 404: PROBLEM})
    def get(self, request: Request, cycle_id: UUID) -> Response:
        """One cycle with its figures and its report in Markdown."""
        return Response(shapes.CycleDocument(cycles.find(cycle_id)).data)


class Patch(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="improvements_patch",
        responses={(200, "text/x-patch"): OpenApiTypes.STR, 404: PROBLEM, 409: PROBLEM},
    )
    def get(self, request: Request, improvement_id: UUID) -> HttpResponse:
        """A patch of the catalogue for `git am`, with the evidence in its message."""
        patch = handoff.patch(rest.caller_of(request), improvement_id)
        return HttpResponse(patch.text, content_type="text/x-patch; charset=utf-8", headers={
            "Content-Disposition": f'attachment; filename="{patch.name}"'})  # fmt: skip


class Handoff(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="improvements_work_item", responses={200: shapes.WorkItem, 404: PROBLEM}
    )
    def get(self, request: Request, improvement_id: UUID) -> Response:
        """The improvement as an issue tracker's webhook takes it."""
        body = handoff.work_item(rest.caller_of(request), improvement_id)
        return Response(shapes.WorkItem(body).data)

    @extend_schema(
        operation_id="improvements_work_item_send", parameters=[KEY], request=None,
        responses={200: shapes.WorkItem, 409: PROBLEM, 503: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID) -> Response:
        """Send the work item to the configured issue tracker."""
        caller = rest.caller_of(request)
        handoff.post(caller, improvement_id)
        return Response(shapes.WorkItem(handoff.work_item(caller, improvement_id)).data)
