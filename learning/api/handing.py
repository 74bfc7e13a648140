"""Doors through which an improvement leaves for a repository or an issue tracker."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from learning import handoff
from learning import shapes_loop as shapes
from learning.api.shared import KEY, PROBLEM


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
        """Send the work item to the configured issue tracker, once; its id and link are kept."""
        row = handoff.post(rest.caller_of(request), improvement_id)
        return Response(shapes.WorkItem(handoff.item_of(rest.caller_of(request), row)).data)
