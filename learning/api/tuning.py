"""Doors of retrieval tuning and of fine-tuning jobs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import doors, interactive
from config import rest
from learning import finetuning, retrieval_tuning
from learning.api.shared import KEY, PAGES, PROBLEM, checked, choice_of, page
from learning.domain.retrieving import CONFIGURATIONS
from learning.models import TuningJob
from learning.serializers import Known

Shape = serializers.Serializer[Any]
MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 9}


class LabelledQuestion(Shape):
    question = serializers.CharField(max_length=2_000)
    answer = serializers.CharField(
        max_length=2_000, help_text="One stretch of words, as it stands in a document."
    )


class TuningRequest(Known):
    questions = serializers.ListField(
        child=LabelledQuestion(), required=False, default=list, max_length=200
    )
    configurations = serializers.ListField(
        child=serializers.CharField(max_length=12), min_length=1, max_length=8,
        default=list(CONFIGURATIONS),
    )  # fmt: skip
    context_tokens = serializers.IntegerField(
        min_value=1, max_value=16_000, required=False, allow_null=True
    )
    cap_usd = serializers.DecimalField(**MONEY, min_value=Decimal(0), default=Decimal("0.5"))
    propose = serializers.BooleanField(default=False)


class TuningDocument(Shape):
    id = serializers.UUIDField()
    agent = serializers.CharField()
    version = serializers.IntegerField()
    context_tokens = serializers.IntegerField()
    questions = serializers.DictField(child=serializers.IntegerField())
    configurations = serializers.ListField(child=serializers.DictField())
    weights = serializers.DictField()
    best = serializers.CharField()
    is_changed = serializers.BooleanField()
    held_out = serializers.DictField(allow_null=True)
    improvement = serializers.DictField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    cost_usd = serializers.CharField()
    cap_usd = serializers.CharField()
    currency = serializers.CharField()


class TuningJobRequest(Shape):
    agent = serializers.SlugField(max_length=64)
    endpoint = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    model = serializers.CharField(max_length=120, required=False, default="", allow_blank=True)
    validation_ratio = serializers.FloatField(min_value=0, max_value=0.9, default=0.2)
    seed = serializers.CharField(max_length=64, default="1")
    cap_usd = serializers.DecimalField(**MONEY, min_value=Decimal(0), default=Decimal(5))
    again = serializers.BooleanField(
        default=False, help_text="Also where a job on the same examples has brought its model."
    )


class TuningJobDocument(Shape):
    id = serializers.UUIDField()
    agent = serializers.CharField()
    version = serializers.IntegerField()
    endpoint = serializers.CharField()
    model = serializers.CharField()
    state = serializers.ChoiceField(choices=TuningJob.State.choices)
    reason = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]
    digest = serializers.CharField()
    artifacts = serializers.DictField(child=serializers.UUIDField())
    tuned_model = serializers.CharField()
    trained_tokens = serializers.IntegerField(allow_null=True)
    candidate_version_id = serializers.UUIDField(allow_null=True)
    improvement_id = serializers.UUIDField(allow_null=True)
    cap_usd = serializers.CharField()
    cost_usd = serializers.CharField()
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class CancelRequest(Shape):
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class RetrievalTuning(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="agents_retrieval_tuning",
        parameters=[KEY], request=TuningRequest,
        responses={200: TuningDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Ways to cut and rank documents, scored at equal context length on labelled questions."""
        data, caller = checked(TuningRequest, request), rest.caller_of(request)
        with interactive.place():
            body = retrieval_tuning.tune(
                agent=slug, client_id=caller.home_client_id, asked_by=caller.name, **data
            )
        return Response(TuningDocument(body).data)


class TuningJobs(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(
        operation_id="tuning_jobs_list",
        parameters=[
            OpenApiParameter("agent", str),
            OpenApiParameter("state", str, enum=TuningJob.State.values), *PAGES,
        ],
        responses=TuningJobDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Fine-tuning jobs, newest first."""
        given = request.query_params
        rows = finetuning.visible(rest.caller_of(request))
        if agent := given.get("agent"):
            rows = rows.filter(agent_slug=agent)
        if state := choice_of(request, "state", TuningJob.State.values):
            rows = rows.filter(state=state)
        return page(request, rows, _documents)

    @extend_schema(
        parameters=[KEY], request=TuningJobRequest,
        responses={202: TuningJobDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Tune a model on the agent's approved examples; look at the job later."""
        data, caller = checked(TuningJobRequest, request), rest.caller_of(request)
        made = finetuning.start(caller, client_id=doors.client_for(caller, None), **data)
        response = Response(TuningJobDocument(finetuning.document(made)).data, status=202)
        response["Location"] = f"/api/v1/tuning-jobs/{made.pk}"
        return response


class OneTuningJob(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(responses={200: TuningJobDocument, 404: PROBLEM})
    def get(self, request: Request, job_id: UUID) -> Response:
        """One fine-tuning job, with the version and the improvement that it brought."""
        row = finetuning.find(rest.caller_of(request), job_id)
        return Response(TuningJobDocument(finetuning.document(row)).data)


class CancelTuningJob(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="tuning_jobs_cancel",
        parameters=[KEY], request=CancelRequest,
        responses={202: TuningJobDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, job_id: UUID) -> Response:
        """Call a job off; a model that was trained meanwhile is deleted."""
        reason = checked(CancelRequest, request)["reason"]
        row = finetuning.cancel(rest.caller_of(request), job_id, reason=reason)
        return Response(TuningJobDocument(finetuning.document(row)).data, status=202)


def _documents(rows: Any, *, many: bool) -> Any:
    return TuningJobDocument([finetuning.document(row) for row in rows], many=many)
