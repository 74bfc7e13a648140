"""Doors of the learning cycles and their reports."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import Forbidden
from learning import cycles
from learning import shapes_loop as shapes
from learning.api.shared import KEY, PAGES, PROBLEM, checked, choice_of, page
from learning.models import Cycle


class Cycles(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="cycles_list",
        parameters=[OpenApiParameter("cadence", str, enum=Cycle.Cadence.values), *PAGES],
        responses=shapes.CycleDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Learning cycles with their reports, newest first."""
        rows = cycles.visible(rest.caller_of(request)).order_by("-id")
        if cadence := choice_of(request, "cadence", Cycle.Cadence.values):
            rows = rows.filter(cadence=cadence)
        return page(request, rows, shapes.CycleDocument)

    @extend_schema(
        parameters=[KEY], request=shapes.CycleRequest,
        responses={202: shapes.CycleDocument, 403: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Begin a cycle now, unless that of this day has begun; look at the report later."""
        data = checked(shapes.CycleRequest, request)
        if rest.caller_of(request).client_ids is not None:
            raise Forbidden("begin a learning cycle", "sight of every client")
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
        row = cycles.find(rest.caller_of(request), cycle_id)
        return Response(shapes.CycleDocument(row).data)
