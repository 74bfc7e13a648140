"""The HTTP API of what starts runs, or offers to: schedules, watches and suggestions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.access.callers import Caller
from config.errors import InvalidInput, NotFound
from workflows import documents, rights, schedules, versions, watches
from workflows import serializers as run_shapes
from workflows import trigger_serializers as shapes
from workflows.api.doors import KEY, PROBLEM, checked, paged
from workflows.models import Schedule, ScheduleTick, Suggestion, Watch
from workflows.plans import plan_for

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
        rows = schedules.visible_schedules(rest.caller_of(request))
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
        changed = schedules.change_schedule(
            rest.caller_of(request), schedule_id, _changes(shapes.ScheduleBody, request),
            revision=_revision(request),
        )  # fmt: skip
        return _answer(changed)

    @extend_schema(responses={204: None, 404: PROBLEM})
    def delete(self, request: Request, schedule_id: UUID) -> Response:
        """Start no more of its runs."""
        schedules.delete_schedule(rest.caller_of(request), schedule_id)
        return Response(status=204)


class Watches(APIView):
    scopes = {"GET": "runs:read", "POST": "workflows:write"}

    @extend_schema(operation_id="watches_list", responses=shapes.WatchDocument(many=True))
    def get(self, request: Request) -> Response:
        """Watches over your clients."""
        rows = watches.visible_watches(rest.caller_of(request)).order_by("-id")
        return paged(request, rows, lambda page: [_watch(one) for one in page])

    @extend_schema(
        parameters=[KEY],
        request=shapes.NewWatch,
        responses={201: shapes.WatchDocument, 409: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Look for a condition, and offer a workflow when it holds."""
        made = watches.create_watch(rest.caller_of(request), **checked(shapes.NewWatch, request))
        return Response(_watch(made), status=201)


class OneWatch(APIView):
    scopes = {"GET": "runs:read", "PATCH": "workflows:write", "DELETE": "workflows:write"}

    @extend_schema(responses=shapes.WatchDocument)
    def get(self, request: Request, watch_id: UUID) -> Response:
        """One watch, and the error of its last look if there was one."""
        found = watches.visible_watches(rest.caller_of(request)).filter(pk=watch_id).first()
        if found is None:
            raise NotFound("watch", watch_id)
        return Response(_watch(found))

    @extend_schema(
        request=shapes.WatchBody(partial=True),
        responses={200: shapes.WatchDocument, 422: PROBLEM},
    )
    def patch(self, request: Request, watch_id: UUID) -> Response:
        """Change what is given; it looks again at the next sweep."""
        changes = _changes(shapes.WatchBody, request)
        return Response(_watch(watches.change_watch(rest.caller_of(request), watch_id, changes)))

    @extend_schema(responses={204: None, 404: PROBLEM})
    def delete(self, request: Request, watch_id: UUID) -> Response:
        """Look no more; its suggestions go with it."""
        watches.delete_watch(rest.caller_of(request), watch_id)
        return Response(status=204)


class Suggestions(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(
        operation_id="suggestions_list",
        parameters=[
            OpenApiParameter("state", str, enum=Suggestion.State.values,
                             description="open unless given"),
            OpenApiParameter("workflow", str),
        ],
        responses=shapes.SuggestionDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """What watches offer you to start, newest first."""
        caller = rest.caller_of(request)
        state = request.query_params.get("state", Suggestion.State.OPEN)
        if state not in Suggestion.State.values:
            raise InvalidInput("state", state, f"one of {', '.join(Suggestion.State.values)}")
        rows = watches.visible_suggestions(caller).filter(state=state)
        if name := request.query_params.get("workflow"):
            rows = rows.filter(workflow_name=name)
        return paged(request, rows, lambda page: [suggested(caller, one) for one in page])


class OneSuggestion(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(responses=shapes.SuggestionDocument)
    def get(self, request: Request, suggestion_id: UUID) -> Response:
        """One suggestion with its evidence."""
        caller = rest.caller_of(request)
        return Response(suggested(caller, watches.find_suggestion(caller, suggestion_id)))


class StartSuggestion(APIView):
    scopes = {"POST": "runs:start"}

    @extend_schema(
        parameters=[KEY], request=shapes.StartSuggestion,
        responses={201: run_shapes.RunDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, suggestion_id: UUID) -> Response:
        """Start the run that is offered."""
        given = checked(shapes.StartSuggestion, request)
        _, run = watches.start_suggestion(
            rest.caller_of(request), suggestion_id, inputs=given.get("inputs")
        )
        return Response(documents.new_run_document(run), status=201)


class DismissSuggestion(APIView):
    scopes = {"POST": "runs:start"}

    @extend_schema(
        parameters=[KEY], request=run_shapes.Reason,
        responses={200: shapes.SuggestionDocument, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, suggestion_id: UUID) -> Response:
        """Offer this no more for a while."""
        caller = rest.caller_of(request)
        reason = checked(run_shapes.Reason, request)["reason"]
        done = watches.dismiss_suggestion(caller, suggestion_id, reason=reason)
        return Response(suggested(caller, done))


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


def _changes(shape: Any, request: Request) -> dict[str, Any]:
    """What a PATCH changes; anything else is refused rather than ignored."""
    given = shape(data=request.data, partial=True)
    given.is_valid(raise_exception=True)
    if unknown := sorted(set(request.data) - set(given.fields)):
        raise serializers.ValidationError({unknown[0]: "cannot be changed"})
    return dict(given.validated_data)


def _revision(request: Request) -> int | None:
    """The revision that If-Match names; the service compares under its lock."""
    if "If-Match" not in request.headers or request.headers["If-Match"].strip() == "*":
        return None
    text = request.headers["If-Match"].strip().removeprefix("W/").strip('"')
    return int(text) if text.isdecimal() and len(text) < 10 else 0


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


def _watch(watch: Watch) -> dict[str, Any]:
    return {
        "id": str(watch.pk), "slug": watch.slug, "title": watch.title,
        "workflow": watch.workflow_name,
        "client_id": str(watch.client_id) if watch.client_id else None,
        "condition": watch.condition, "inputs": watch.inputs,
        "every_seconds": watch.every_seconds, "cooldown_seconds": watch.cooldown_seconds,
        "is_active": watch.is_active, "evaluated_at": watch.evaluated_at,
        "last_error": watch.last_error, "created_at": watch.created_at,
    }  # fmt: skip


def suggested(caller: Caller, one: Suggestion) -> dict[str, Any]:
    """A suggestion as clients see it, and whether this caller may start it."""
    try:
        plan = plan_for(versions.current_version(one.workflow_name).pk)
        may_start = caller.has("runs:start") and rights.may(caller, plan, "start")
    except NotFound:  # none of its versions is current any more
        may_start = False
    return {
        "id": str(one.pk), "watch": one.watch.slug, "client_id": str(one.client_id),
        "title": one.title, "why": one.why, "evidence": one.evidence,
        "workflow": one.workflow_name, "inputs": one.inputs, "state": one.state,
        "may_start": may_start,
        "reason": one.reason, "decided_by": str(one.decided_by) if one.decided_by_id else None,
        "decided_at": one.decided_at, "run_id": str(one.run_id) if one.run_id else None,
        "created_at": one.created_at,
    }  # fmt: skip
