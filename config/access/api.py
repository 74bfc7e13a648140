"""The HTTP API of privacy: what is known of a person, given out or erased."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import privacy, rest
from config.access import exports
from config.access.callers import Caller
from config.access.models import Membership
from config.errors import NotFound

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)


class SubjectGiven(serializers.Serializer[Any]):
    subject_id = serializers.UUIDField(help_text="The user's id.")


class ErasureGiven(SubjectGiven):
    keep_records = serializers.BooleanField(
        default=False, help_text="Leave runs and files to their client; take only the name off."
    )


class ExportShape(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    subject_id = serializers.UUIDField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    expires_at = serializers.DateTimeField()
    href = serializers.CharField(help_text="Where the zip file is fetched.")
    manifest = serializers.JSONField(help_text="The files in it with sizes and digests.")


class ErasureShape(serializers.Serializer[Any]):
    subject_id = serializers.UUIDField()
    erased = serializers.DictField(child=serializers.IntegerField())


class PrivacyExports(APIView):
    scopes = {"POST": "privacy:write"}

    @extend_schema(operation_id="privacy_exports_create", parameters=[KEY], request=SubjectGiven,
                   responses={201: ExportShape, 404: PROBLEM, 422: PROBLEM})  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Gather everything known of a person into a zip file, kept for a day."""
        shape = SubjectGiven(data=request.data)
        shape.is_valid(raise_exception=True)
        caller, subject = rest.caller_of(request), shape.validated_data["subject_id"]
        _require_whole(caller, subject)
        export = privacy.export_subject(subject, actor=caller.principal)
        kept = exports.keep(privacy.subject_of(subject), export)
        return Response(kept, status=status.HTTP_201_CREATED)


class PrivacyExport(APIView):
    scopes = {"GET": "privacy:write"}

    @extend_schema(
        operation_id="privacy_exports_read",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, 404: PROBLEM},
    )
    def get(self, request: Request, export_id: UUID) -> Any:
        """The zip file."""
        kept = exports.find(export_id)
        _require_whole(rest.caller_of(request), exports.subject_id_of(kept))
        answer = FileResponse(default_storage.open(kept.name), content_type="application/zip")
        answer["Content-Disposition"] = f'attachment; filename="{export_id}.zip"'
        return answer


class PrivacyErasures(APIView):
    scopes = {"POST": "privacy:write"}

    @extend_schema(
        operation_id="privacy_erasures_create",
        parameters=[KEY],
        request=ErasureGiven,
        responses={201: ErasureShape, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Erase a person, whole or not at all."""
        shape = ErasureGiven(data=request.data)
        shape.is_valid(raise_exception=True)
        caller, given = rest.caller_of(request), shape.validated_data
        _require_whole(caller, given["subject_id"])
        done = privacy.erase_subject(
            given["subject_id"], actor=caller.principal, keep_records=given["keep_records"]
        )
        body = {"subject_id": str(given["subject_id"]), "erased": done}
        return Response(body, status=status.HTTP_201_CREATED)


def _require_whole(caller: Caller, subject_id: UUID) -> None:
    """A person is given out or erased by somebody who sees every client the person is at."""
    if caller.client_ids is None:
        return
    at = set(Membership.objects.filter(user_id=subject_id).values_list("client_id", flat=True))
    if not at or not at <= caller.client_ids:
        raise NotFound("person", subject_id)
