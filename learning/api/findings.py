"""Doors of what the loop sees: patterns of failures, and drift."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from learning import drifting, patterns
from learning import shapes_loop as shapes
from learning.api.shared import choice_of, days_of, whole
from learning.models import Pattern


class Patterns(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="patterns_list",
        parameters=[
            OpenApiParameter("kind", str, enum=Pattern.Kind.values),
            OpenApiParameter("agent", str), OpenApiParameter("days", int),
        ],
        responses=shapes.PatternDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Clusters of failures and complaints with trend, impact and examples, by frequency."""
        given = request.query_params
        kind = choice_of(request, "kind", Pattern.Kind.values)
        rows = patterns.listed(
            rest.caller_of(request), until=timezone.now().date(), kind=kind,
            days=days_of(request, 28), agent=given.get("agent", ""),
        )  # fmt: skip
        return whole(list(shapes.PatternDocument(rows, many=True).data))


YES, NO = ("true", "1", "True"), ("false", "0", "False")


class DriftWindows(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="drift_list",
        parameters=[
            OpenApiParameter("agent", str), OpenApiParameter("metric", str),
            OpenApiParameter("confirmed", bool), OpenApiParameter("days", int),
        ],
        responses=shapes.DriftDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Windows of each version's figures beside their reference, newest first."""
        given = request.query_params
        rows = drifting.listed(
            since=timezone.now() - timedelta(days=days_of(request, 14)),
            agent=given.get("agent", ""),
            metric=given.get("metric", ""),
            confirmed=choice_of(request, "confirmed", YES + NO) in YES,
        )
        return whole(list(shapes.DriftDocument(rows, many=True).data))
