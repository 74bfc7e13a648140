"""The HTTP API of runs and of the dead letters among their steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import InvalidInput
from workflows import (
    again,
    controls,
    dead_letters,
    documents,
    queries,
    schedules,
    starting,
)
from workflows import serializers as shapes
from workflows.api.doors import KEY, PROBLEM, checked, paged, require_known
from workflows.models import Run


class Runs(APIView):
    scopes = {"GET": "runs:read", "POST": "runs:start"}

    @extend_schema(
        operation_id="runs_list",
        parameters=[
            OpenApiParameter("workflow", str),
            OpenApiParameter("state", str, description="One or several, with commas."),
            OpenApiParameter("client_id", UUID), OpenApiParameter("started_by", UUID),
            OpenApiParameter("priority", str, enum=["high", "default", "low"]),
            OpenApiParameter("since", datetime), OpenApiParameter("until", datetime),
            OpenApiParameter("parent_step_id", UUID, description="Runs inside a step."),
            OpenApiParameter("cursor", str), OpenApiParameter("page_size", int),
        ],
        responses=shapes.RunSummary(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Runs that you may see, newest first."""
        rows = queries.visible_runs(rest.caller_of(request))
        rows = queries.filtered_runs(rows, request.query_params)

        def render(page: list[Run]) -> list[dict[str, Any]]:
            found = queries.figures_of([run.pk for run in page])
            return [documents.run_summary(run, found.get(run.pk)) for run in page]

        return paged(request, rows, render)

    @extend_schema(
        parameters=[KEY], request=shapes.StartRun,
        responses={201: shapes.RunDocument, 200: shapes.RunDocument, 422: PROBLEM},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """Start a run. The same Idempotency-Key with the same inputs gives the same run."""
        data = checked(shapes.StartRun, request)
        if not isinstance(data["inputs"], dict):
            raise InvalidInput("inputs", type(data["inputs"]).__name__, "must be an object")
        key = request.headers.get("Idempotency-Key", "")
        if len(key) > 200:
            raise InvalidInput("Idempotency-Key", f"{len(key)} characters", "at most 200")
        if key.startswith(schedules.KEY):
            raise InvalidInput(
                "Idempotency-Key", key, f"{schedules.KEY}… is for ticks of schedules"
            )
        run, created = starting.start_run(
            caller=rest.caller_of(request),
            workflow=data["workflow"],
            inputs=data["inputs"],
            client_id=data.get("client_id"),
            idempotency_key=key or None,
            priority=data.get("priority"),
            deadline_at=data.get("deadline_at"),
            version=data.get("version"),
        )
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        document = documents.new_run_document(run) if created else documents.run_document(run)
        response = Response(document, status=code)
        response["Location"] = f"/api/v1/runs/{run.pk}"
        if not created:
            response["Idempotent-Replayed"] = "true"
        return response


class OneRun(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(
        parameters=[OpenApiParameter("items", str, description="`all` for every item")],
        responses=shapes.RunDocument,
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """One run with its steps and attempts."""
        run = controls.find_run(rest.caller_of(request), run_id)
        every = request.query_params.get("items") == "all"
        return Response(documents.run_document(run, all_items=every))


class RunControl(APIView):
    """Cancel, pause, resume, retry, fork or signal a run."""

    scopes = {"POST": "runs:read"}  # the service asks for the scope of the action

    @extend_schema(
        operation_id="runs_control",
        parameters=[
            OpenApiParameter("action", str, OpenApiParameter.PATH,
                             enum=["cancel", "pause", "resume", "retry", "fork", "signal"]), KEY,
        ],
        request=shapes.Cancel,
        responses={200: shapes.RunDocument, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, run_id: UUID, action: str) -> Response:
        """Ask something of a run; 409 says in which state it is and which it would need."""
        caller = rest.caller_of(request)
        if action == "signal":
            body = checked(shapes.SignalBody, request)
            controls.send_signal(caller, run_id, name=body["name"], payload=body["payload"])
            return Response(documents.run_document(controls.find_run(caller, run_id)), status=202)
        if action == "fork":
            body = checked(shapes.Fork, request)
            run = again.fork_run(
                caller, run_id, from_step=body["from_step"], inputs=body.get("inputs")
            )
            return Response(documents.run_document(run), status=201)
        if action == "cancel":
            body = checked(shapes.Cancel, request)
            run = controls.cancel_run(caller, run_id, reason=body["reason"], firm=body["firm"])
        else:
            require_known(request)
            act = {"pause": controls.pause_run, "resume": controls.resume_run,
                   "retry": again.retry_run}[action]  # fmt: skip
            run = act(caller, run_id)
        return Response(documents.run_document(run))


class DeadLetters(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(operation_id="dead_letters_list", responses=shapes.DeadLetter(many=True))
    def get(self, request: Request) -> Response:
        """Steps that were given out too often, or whose outcome is unknown."""
        rows = queries.dead_letters(rest.caller_of(request))
        return paged(request, rows, lambda page: [_dead(s) for s in page])


class Requeue(APIView):
    scopes = {"POST": "runs:control"}

    @extend_schema(
        request=shapes.Requeue, responses={202: None, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM}
    )
    @rest.idempotent
    def post(self, request: Request, step_id: UUID) -> Response:
        """Give a dead letter out again; of an unknown outcome, say what you found out."""
        asked = checked(shapes.Requeue, request)
        state = dead_letters.requeue(rest.caller_of(request), step_id, **asked)
        return Response({"id": str(step_id), "state": state}, status=202)


def _dead(step: Any) -> dict[str, Any]:
    return {
        "id": str(step.pk), "run_id": str(step.run_id), "key": step.key,
        "index": step.item if step.item >= 0 else None, "deliveries": step.deliveries,
        "error": step.error, "workflow": step.run.workflow_name,
    }  # fmt: skip
