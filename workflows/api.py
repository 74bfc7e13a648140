"""The HTTP API of runs, approvals, artifacts and workflows: doors that only call services."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import Forbidden, InvalidInput, NotFound
from monitoring.sight import sight
from monitoring.stretch import RANGES, stretch
from workflows import (
    artifacts,
    controls,
    decisions,
    figures,
    publishing,
    queries,
    rights,
    starting,
)
from workflows import serializers as shapes
from workflows.models import Artifact, Run, WorkflowVersion
from workflows.plans import plan_for

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
            return [queries.run_summary(run, found.get(run.pk)) for run in page]

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
        document = queries.new_run_document(run) if created else queries.run_document(run)
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
        return Response(queries.run_document(run, all_items=every))


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
            return Response(queries.run_document(controls.find_run(caller, run_id)), status=202)
        if action == "fork":
            body = checked(shapes.Fork, request)
            run = controls.fork_run(
                caller, run_id, from_step=body["from_step"], inputs=body.get("inputs")
            )
            return Response(queries.run_document(run), status=201)
        if action == "cancel":
            body = checked(shapes.Cancel, request)
            run = controls.cancel_run(caller, run_id, reason=body["reason"], firm=body["firm"])
        else:
            act = {"pause": controls.pause_run, "resume": controls.resume_run,
                   "retry": controls.retry_run}[action]  # fmt: skip
            run = act(caller, run_id)
        return Response(queries.run_document(run))


class Approvals(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(operation_id="approvals_list", responses=shapes.ApprovalDocument(many=True))
    def get(self, request: Request) -> Response:
        """Approvals that wait; ``?mine=true`` only those that you may answer."""
        caller = rest.caller_of(request)
        rows = queries.open_approvals(caller)

        def render(page: list[Any]) -> list[dict[str, Any]]:
            documents = [
                {**queries.approval_document(a), "may_answer": not decisions.may_answer(caller, a)}
                for a in page
            ]
            mine = request.query_params.get("mine") == "true"
            return [d for d in documents if d["may_answer"] or not mine]

        return paged(request, rows, render)


class OneApproval(APIView):
    scopes = {"GET": "runs:read", "POST": "approvals:decide"}

    @extend_schema(responses=shapes.ApprovalDocument)
    def get(self, request: Request, approval_id: UUID) -> Response:
        """One approval, with its ETag."""
        approval = decisions.find_approval(rest.caller_of(request), approval_id)
        response = Response(queries.approval_document(approval))
        response["ETag"] = f'"{approval.state}"'
        return response

    @extend_schema(
        parameters=[KEY, OpenApiParameter("If-Match", str, OpenApiParameter.HEADER)],
        request=shapes.Answer,
        responses={200: shapes.ApprovalDocument, 403: PROBLEM, 409: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request, approval_id: UUID) -> Response:
        """Approve or reject; a rejection says why."""
        data = checked(shapes.Answer, request)
        caller = rest.caller_of(request)
        if "If-Match" in request.headers:
            approval = decisions.find_approval(caller, approval_id)
            rest.require_match(request, f'"{approval.state}"', "this approval")
        approval = decisions.answer_approval(
            caller,
            approval_id,
            approve=data["decision"] == "approve",
            answer=data["answer"] or None,
            reason=data["reason"],
        )
        return Response(queries.approval_document(approval))


class Artifacts(APIView):
    scopes = {"GET": "runs:read", "POST": "runs:start"}

    @extend_schema(operation_id="artifacts_list", responses=shapes.ArtifactDocument(many=True))
    def get(self, request: Request) -> Response:
        """Stored files that you may see."""
        rows = queries.visible_artifacts(rest.caller_of(request))
        return paged(request, rows, lambda page: [_artifact(a) for a in page])

    @extend_schema(
        parameters=[KEY],
        request={"multipart/form-data": shapes.Upload},
        responses={201: shapes.ArtifactDocument, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Upload a file; the same content of a client is stored once."""
        data = checked(shapes.Upload, request)
        caller = rest.caller_of(request)
        client = data.get("client_id") or caller.home_client_id
        if not caller.sees(client):
            raise NotFound("client", client)
        file = data["file"]
        kept = artifacts.save(
            client_id=client,
            name=data.get("name") or file.name,
            content=file.read(),
            content_type=file.content_type or "application/octet-stream",
            user_id=caller.user_id,
        )
        return Response(_artifact(kept), status=201)


class OneArtifact(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(responses={(200, "application/octet-stream"): bytes})
    def get(self, request: Request, artifact_id: UUID) -> HttpResponse:
        """The content of a stored file."""
        rows = queries.visible_artifacts(rest.caller_of(request))
        found = rows.filter(pk=artifact_id).first()
        if found is None:
            raise NotFound("artifact", artifact_id)
        content = artifacts.read(found.pk, client_id=found.client_id)
        response = HttpResponse(content, content_type="application/octet-stream")
        # What a client uploaded is never shown as a page of ours.
        response["Content-Disposition"] = f'attachment; filename="{found.pk}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response


class Workflows(APIView):
    scopes = {"GET": "workflows:read", "POST": "workflows:write"}

    @extend_schema(operation_id="workflows_list", responses=shapes.VersionDocument(many=True))
    def get(self, request: Request) -> Response:
        """Current versions of all workflows."""
        rows = queries.visible_versions().filter(is_current=True).order_by("-id")
        return paged(request, rows, lambda page: [_version(v) for v in page])

    @extend_schema(
        parameters=[KEY],
        request=shapes.Source,
        responses={201: shapes.VersionDocument, 200: shapes.VersionDocument, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Publish a definition; the same text again changes nothing. Faults are all listed."""
        caller = rest.caller_of(request)
        text = checked(shapes.Source, request)["definition"]
        with transaction.atomic():
            version, new = publishing.publish(text, user_id=caller.user_id, by=caller)
        return Response(_version(version, source=True), status=201 if new else 200)


class Versions(APIView):
    scopes = {"GET": "workflows:read", "POST": "workflows:write"}

    @extend_schema(operation_id="workflow_versions", responses=shapes.VersionDocument(many=True))
    def get(self, request: Request, name: str) -> Response:
        """All versions of a workflow; ``?diff=1..2`` compares two."""
        rows = queries.visible_versions().filter(workflow__name=name).order_by("-id")
        if not rows.exists():
            raise NotFound("workflow", name)
        if span := request.query_params.get("diff"):
            older, newer = (_numbered(rows, name, part) for part in [*span.split(".."), ""][:2])
            return Response({"diff": publishing.diff(older, newer)})
        return paged(request, rows, lambda page: [_version(v, source=True) for v in page])

    @extend_schema(
        request=shapes.LabelVersion,
        responses={200: shapes.VersionDocument},
        operation_id="workflow_versions_set",
    )
    def post(self, request: Request, name: str) -> Response:
        """Make a version the current one, deprecate it, or give it a label or take one away."""
        caller = rest.caller_of(request)
        data = checked(shapes.LabelVersion, request)
        number, action = data["number"], data["action"]
        if action in ("label", "unlabel"):
            act = publishing.label if action == "label" else publishing.unlabel
            return Response(_version(act(name, number, data["label"], by=caller)))
        move = publishing.make_current if action == "current" else publishing.deprecate
        return Response(_version(move(name, number, by=caller)))


class Statistics(APIView):
    scopes = {"GET": "workflows:read"}

    @extend_schema(
        operation_id="workflow_statistics",
        parameters=[
            OpenApiParameter("range", str, enum=list(RANGES), description="30d unless given."),
            OpenApiParameter("client", UUID, description="Only this client's runs."),
        ],
        responses={200: shapes.WorkflowStatistics, 403: PROBLEM, 404: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def get(self, request: Request, name: str) -> Response:
        """How a workflow's ended runs did: success, duration, cost, and its slowest steps."""
        caller = rest.caller_of(request)
        plan = plan_for(starting.current_version(name).pk)
        if not rights.may(caller, plan, "see"):
            raise Forbidden(f"see figures of {name}", rights.in_words(plan, "see"))
        when = stretch(request.query_params.get("range") or "30d", now=timezone.now())
        seen = sight(caller, request.query_params.get("client", ""))
        return Response(figures.statistics(seen, when, name))


class Validate(APIView):
    scopes = {"POST": "workflows:read"}

    @extend_schema(request=shapes.Source, responses=shapes.Faults)
    def post(self, request: Request) -> Response:
        """Every fault of a definition with path and line; nothing is stored."""
        found = publishing.faults(checked(shapes.Source, request)["definition"])
        return Response({"valid": not found, "faults": found})


class DeadLetters(APIView):
    scopes = {"GET": "runs:read"}

    @extend_schema(operation_id="dead_letters_list", responses=shapes.DeadLetter(many=True))
    def get(self, request: Request) -> Response:
        """Steps that were given out too often, or whose outcome is unknown."""
        rows = queries.dead_letters(rest.caller_of(request))
        return paged(request, rows, lambda page: [_dead(s) for s in page])


class Requeue(APIView):
    scopes = {"POST": "runs:control"}

    @extend_schema(request=None, responses={202: None, 404: PROBLEM})
    @rest.idempotent
    def post(self, request: Request, step_id: UUID) -> Response:
        """Give a dead letter out again."""
        controls.requeue(rest.caller_of(request), step_id)
        return Response({"id": str(step_id), "state": "queued"}, status=202)


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "id": str(artifact.pk), "name": artifact.name, "content_type": artifact.content_type,
        "size": artifact.size, "sha256": artifact.sha256, "created_at": artifact.created_at,
        "client_id": str(artifact.client_id),
    }  # fmt: skip


def _version(version: WorkflowVersion, *, source: bool = False) -> dict[str, Any]:
    document = {
        "id": str(version.pk), "name": version.workflow.name, "title": version.workflow.title,
        "number": version.number, "digest": version.digest, "is_current": version.is_current,
        "labels": [label.name for label in version.labels.all()],
        "deprecated_at": version.deprecated_at, "created_at": version.created_at,
    }  # fmt: skip
    return {**document, "source": version.source} if source else document


def _numbered(rows: Any, name: str, number: str) -> WorkflowVersion:
    found: WorkflowVersion | None = (
        rows.filter(number=int(number)).first() if number.isdigit() else None
    )
    if found is None:
        raise NotFound("workflow version", f"{name} v{number}")
    return found


def _dead(step: Any) -> dict[str, Any]:
    return {
        "id": str(step.pk), "run_id": str(step.run_id), "key": step.key,
        "index": step.item if step.item >= 0 else None, "deliveries": step.deliveries,
        "error": step.error, "workflow": step.run.workflow_name,
    }  # fmt: skip
