"""The HTTP API of workflows: their versions, their figures, and faults of a definition."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import Forbidden, NotFound
from monitoring.sight import sight
from monitoring.stretch import RANGES, stretch
from workflows import (
    figures,
    publishing,
    queries,
    rights,
    versions,
)
from workflows import serializers as shapes
from workflows.api.doors import KEY, PROBLEM, checked, paged
from workflows.domain import validation
from workflows.models import WorkflowVersion
from workflows.plans import plan_for


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
        plan = plan_for(versions.current_version(name).pk)
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


class Schema(APIView):
    scopes = {"GET": "workflows:read"}

    @extend_schema(
        operation_id="workflow_schema", responses={(200, "application/schema+json"): dict}
    )
    def get(self, request: Request) -> HttpResponse:
        """The JSON Schema of definitions, for editors and clients."""
        return JsonResponse(validation.schema(), content_type="application/schema+json")


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
        rows.filter(number=int(number)).first() if number.isdecimal() and len(number) < 9 else None
    )
    if found is None:
        raise NotFound("workflow version", f"{name} v{number}")
    return found
