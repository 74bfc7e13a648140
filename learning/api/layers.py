"""Layers, in which experiments share no unit, and the holdout, which none of them meets."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import Forbidden, NotFound
from learning import experiments, held_out
from learning import serializers as shapes
from learning.api.shared import ANY, KEY, PAGES, PROBLEM, checked, page
from learning.models import Holdout, Layer


class Layers(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="layers_list", parameters=PAGES, responses=shapes.LayerDocument(many=True)
    )
    def get(self, request: Request) -> Response:
        """Layers with their open experiments and what is free."""
        return page(request, Layer.objects.all(), shapes.LayerDocument)

    @extend_schema(
        operation_id="layers_create", parameters=[KEY], request=shapes.NewLayer,
        responses={201: shapes.LayerDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Make a layer; experiments name it when they are drafted."""
        data = checked(shapes.NewLayer, request)
        row = experiments.create_layer(caller=rest.caller_of(request), **data)
        row.refresh_from_db()
        return Response(shapes.LayerDocument(row).data, status=201)


class Holdouts(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="holdouts_list", parameters=PAGES,
        responses=shapes.HoldoutDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Holdouts, the open one first."""
        return page(request, Holdout.objects.all(), shapes.HoldoutDocument)

    @extend_schema(
        operation_id="holdouts_create", parameters=[KEY], request=shapes.NewHoldout,
        responses={201: shapes.HoldoutDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Hold a share of units out of every experiment that starts from now on."""
        data = checked(shapes.NewHoldout, request)
        row = experiments.open_holdout(caller=rest.caller_of(request), **data)
        return Response(shapes.HoldoutDocument(row).data, status=201)


class HoldoutAnalysis(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="holdouts_analysis", responses={200: ANY, 403: PROBLEM, 404: PROBLEM}
    )
    def get(self, request: Request, holdout_id: UUID) -> Response:
        """Those held out beside everybody else, of all agents that something was tried on."""
        if rest.caller_of(request).client_ids is not None:
            raise Forbidden("read a holdout of the whole fleet", "access to every client")
        row = Holdout.objects.filter(pk=holdout_id).first()
        if row is None:
            raise NotFound("holdout", holdout_id)
        # Each hour, and not in a request; but that nothing is compared is found at once.
        if row.analysed_at is None or not row.analysis.get("compared"):
            held_out.keep(row, timezone.now())
        return Response({**row.analysis, "analysed_at": row.analysed_at})


class CloseHoldout(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="holdouts_close", parameters=[KEY], request=None,
        responses={200: shapes.HoldoutDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, holdout_id: UUID) -> Response:
        """Let later experiments meet everybody again."""
        row = experiments.close_holdout(caller=rest.caller_of(request), holdout_id=holdout_id)
        return Response(shapes.HoldoutDocument(row).data)
