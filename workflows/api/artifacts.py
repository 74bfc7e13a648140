"""The HTTP API of stored files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import NotFound
from workflows import (
    artifacts,
    queries,
    rights,
)
from workflows import serializers as shapes
from workflows.api.doors import KEY, PROBLEM, checked, paged
from workflows.models import Artifact


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
        rights.require_client(caller, client)
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


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "id": str(artifact.pk), "name": artifact.name, "content_type": artifact.content_type,
        "size": artifact.size, "sha256": artifact.sha256, "created_at": artifact.created_at,
        "client_id": str(artifact.client_id),
    }  # fmt: skip
