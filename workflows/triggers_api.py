"""The HTTP API of what starts runs: schedules. Doors that only call services."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from workflows import schedules
from workflows import serializers as shapes
from workflows.api import KEY, PROBLEM, checked, paged
from workflows.models import Schedule, ScheduleTick

MATCH = OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)
# Ticks that a schedule's document shows.
SHOWN_TICKS = 10


class Schedules(APIView):
    scopes = {"GET": "runs:read", "POST": "runs:start"}

    @extend_schema(
        operation_id="schedules_list",
        parameters=[OpenApiParameter("workflow", str)],
        responses=shapes.ScheduleDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """Schedules of the clients that you may see."""
        rows = rest.caller_of(request).only_visible(Schedule.objects.select_related("runs_as"))
        if name := request.query_params.get("workflow"):
            rows = rows.filter(workflow_name=name)
        return paged(request, rows.order_by("-id"), lambda page: [document_of(s) for s in page])

    @extend_schema(
        parameters=[KEY],
        request=shapes.NewSchedule,
        responses={201: shapes.ScheduleDocument, 409: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Start a workflow at the times of a cron expression, in a time zone, on your behalf."""
        made = schedules.create_schedule(
            rest.caller_of(request), **checked(shapes.NewSchedule, request)
        )
        return _answer(made, status=201)


class OneSchedule(APIView):
    scopes = {"GET": "runs:read", "PATCH": "runs:start", "DELETE": "runs:start"}

    @extend_schema(responses=shapes.ScheduleDocument)
    def get(self, request: Request, schedule_id: UUID) -> Response:
        """One schedule with its latest ticks, and its ETag."""
        return _answer(schedules.find_schedule(rest.caller_of(request), schedule_id))

    @extend_schema(
        parameters=[MATCH],
        request=shapes.ScheduleBody(partial=True),
        responses={200: shapes.ScheduleDocument, 409: PROBLEM, 422: PROBLEM},
    )
    def patch(self, request: Request, schedule_id: UUID) -> Response:
        """Change what is given; the rest stays."""
        given = shapes.ScheduleBody(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if unknown := sorted(set(request.data) - set(given.fields)):
            raise serializers.ValidationError({unknown[0]: "cannot be changed"})
        changed = schedules.change_schedule(
            rest.caller_of(request), schedule_id, dict(given.validated_data),
            revision=_revision(request, schedule_id),
        )  # fmt: skip
        return _answer(changed)

    @extend_schema(responses={204: None, 404: PROBLEM})
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        """Start no more of its runs."""
        schedules.delete_schedule(rest.caller_of(request), schedule_id)
        return Response(status=204)


class SwitchSchedule(APIView):
    scopes = {"POST": "runs:start"}

    @extend_schema(
        operation_id="schedules_switch",
        parameters=[
            OpenApiParameter("action", str, OpenApiParameter.PATH, enum=["pause", "resume"]), KEY,
        ],
        request=None,
        responses={200: shapes.ScheduleDocument},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, schedule_id: UUID, action: str) -> Response:
        """Pause a schedule or let it go on; ticks in between are not made up for."""
        changed = schedules.change_schedule(
            rest.caller_of(request), schedule_id, {"is_paused": action == "pause"}
        )
        return _answer(changed)


def _revision(request: Request, schedule_id: UUID) -> int | None:
    """The revision that If-Match names; the service compares under its lock."""
    if "If-Match" not in request.headers or request.headers["If-Match"].strip() == "*":
        return None
    text = request.headers["If-Match"].strip().removeprefix("W/").strip('"')
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _answer(schedule: Schedule, *, status: int = 200) -> Response:
    response = Response(document_of(schedule), status=status)
    response["ETag"] = f'"{schedule.revision}"'
    return response


def document_of(schedule: Schedule) -> dict[str, Any]:
    """A schedule as clients see it."""
    ticks = ScheduleTick.objects.filter(schedule=schedule).order_by("-at")[:SHOWN_TICKS]
    return {
        "id": str(schedule.pk), "name": schedule.name, "workflow": schedule.workflow_name,
        "client_id": str(schedule.client_id), "inputs": schedule.inputs,
        "priority": schedule.priority, "cron": schedule.cron, "time_zone": schedule.time_zone,
        "missed": schedule.missed, "grace_seconds": schedule.grace_seconds,
        "overlap": schedule.overlap, "is_paused": schedule.is_paused,
        "runs_as": str(schedule.runs_as),
        "next_at": None if schedule.is_paused else schedule.next_at,
        "revision": schedule.revision, "created_at": schedule.created_at,
        "ticks": [
            {"at": t.at, "state": t.state, "run_id": str(t.run_id) if t.run_id else None,
             "error": t.error} for t in ticks
        ],
    }  # fmt: skip
