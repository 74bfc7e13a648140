"""Batches: many questions to one agent that may wait a day, for less."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors, guarding, queueing
from agents.api.shared import KEY, PAGES, PROBLEM, checked, find_agent, page
from agents.models import Batch, BatchItem, Invocation
from config import rest

Fields = serializers.Serializer[Any]


class NewBatchItem(Fields):
    """One question, under a name of the caller's."""

    custom_id = serializers.CharField(max_length=120)
    inputs = serializers.DictField()


class NewBatch(Fields):
    """Questions that are asked together."""

    agent = serializers.SlugField(max_length=64)
    items = serializers.ListField(child=NewBatchItem(), min_length=1, max_length=queueing.MAX_ITEMS)
    client_id = serializers.UUIDField(required=False)


class BatchDocument(Fields):
    """How a batch stands: ``open``, ``submitted``, ``cancelling``, ``done`` or ``cancelled``."""

    id = serializers.UUIDField()
    agent = serializers.CharField(source="agent_slug")
    client_id = serializers.UUIDField()
    version_id = serializers.UUIDField()
    state = serializers.CharField()
    round = serializers.IntegerField()
    endpoint = serializers.CharField()
    model = serializers.CharField()
    counts = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_counts(self, batch: Batch) -> dict[str, int]:
        rows = batch.items.values_list("state").annotate(Count("id")).order_by()
        return {**dict.fromkeys(BatchItem.State.values, 0), **dict(rows)}


class BatchResult(Fields):
    """One question's answer; its invocation has the rest."""

    custom_id = serializers.CharField()
    state = serializers.CharField()
    invocation_id = serializers.UUIDField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    cost_usd = serializers.CharField()
    currency = serializers.CharField()
    error = serializers.JSONField(allow_null=True)


class Batches(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:invoke"}

    @extend_schema(
        operation_id="batches_list", parameters=PAGES, responses=BatchDocument(many=True)
    )
    def get(self, request: Request) -> Response:
        """Batches that you may see, newest first."""
        rows = rest.caller_of(request).only_visible(Batch.objects.all())
        return page(request, rows, lambda found: BatchDocument(found, many=True).data)

    @extend_schema(
        parameters=[KEY], request=NewBatch,
        responses={202: BatchDocument, 404: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Ask an agent many questions that may wait; each answer becomes an invocation."""
        caller = rest.caller_of(request)
        data = checked(NewBatch, request)
        doors.check_agent(caller, data["agent"])
        batch = queueing.submit(
            caller=caller,
            agent=find_agent(data["agent"]),
            client_id=doors.client_for(caller, data.get("client_id")),
            items=data["items"],
        )
        batch.refresh_from_db()
        response = Response(BatchDocument(batch).data, status=202)
        response["Location"] = f"/api/v1/batches/{batch.pk}"
        return response


class OneBatch(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(responses={200: BatchDocument, 404: PROBLEM})
    def get(self, request: Request, batch_id: UUID) -> Response:
        """How a batch stands."""
        return Response(BatchDocument(queueing.find(rest.caller_of(request), batch_id)).data)


class Results(APIView):
    scopes = {"GET": "agents:read"}

    @extend_schema(
        operation_id="batches_results_list", parameters=PAGES,
        responses={200: BatchResult(many=True), 404: PROBLEM},
    )  # fmt: skip
    def get(self, request: Request, batch_id: UUID) -> Response:
        """The answers so far, the last question first."""
        batch = queueing.find(rest.caller_of(request), batch_id)
        return page(request, batch.items.all(), _results)


class Cancel(APIView):
    scopes = {"POST": "agents:invoke"}

    @extend_schema(parameters=[KEY], request=None, responses={202: BatchDocument, 404: PROBLEM})
    @rest.idempotent
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Stop a batch: what is answered stays, what is not is given back."""
        batch = queueing.find(rest.caller_of(request), batch_id)
        queueing.cancel(batch)
        batch.refresh_from_db()
        return Response(BatchDocument(batch).data, status=202)


def _results(items: list[BatchItem]) -> list[dict[str, Any]]:
    calls = {row.pk: row for row in Invocation.objects.filter(pk__in=[item.pk for item in items])}
    found = []
    for item in items:
        row = calls.get(item.pk)
        is_good = row is not None and item.state == BatchItem.State.SUCCEEDED
        output = guarding.restored(row.output, row.sealed) if row and is_good else None
        found.append(
            {
                "custom_id": item.custom_id,
                "state": item.state,
                "invocation_id": None if row is None else row.pk,
                "output": output,
                "cost_usd": f"{0 if row is None else row.cost_usd:f}",
                "currency": "USD",
                "error": item.error,
            }
        )
    return [dict(one) for one in BatchResult(found, many=True).data]
