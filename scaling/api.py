"""The HTTP API of scaling."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from scaling import queues


class QueueShape(serializers.Serializer[queues.Queue]):
    name = serializers.CharField()
    waiting = serializers.IntegerField(help_text="Messages that wait at the broker now.")
    consumed_at = serializers.DateTimeField(
        allow_null=True, help_text="When a worker last began a task of it."
    )
    steps = serializers.IntegerField(help_text="Steps that ended in the last hour.")
    wait_p95_seconds = serializers.FloatField(
        allow_null=True, help_text="How long these had waited for a worker."
    )


class QueuesShape(serializers.Serializer[dict[str, list[queues.Queue]]]):
    results = QueueShape(many=True)


class Queues(APIView):
    scopes = {"GET": "scaling:read"}

    @extend_schema(operation_id="queues_list",
                   responses={200: QueuesShape,
                              503: OpenApiResponse(rest.ProblemSerializer)})  # fmt: skip
    def get(self, request: Request) -> Response:
        """Every queue: what waits now, when it was last consumed, how long steps waited."""
        return Response(QueuesShape({"results": queues.read(now=timezone.now())}).data)
