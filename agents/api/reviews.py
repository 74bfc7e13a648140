"""What guardrails hold back until a person has looked at it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import reviews
from agents.api.shared import KEY, PAGES, PROBLEM, checked, page
from agents.models import Review
from config import rest
from config.access.hiding import of_visible_runs
from config.errors import InvalidInput

Fields = serializers.Serializer[Any]


class ReviewDocument(Fields):
    """A text that waits for a person, or what was said of it."""

    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    agent = serializers.CharField(source="agent_slug")
    invocation_id = serializers.UUIDField()
    user_id = serializers.UUIDField(allow_null=True)
    conversation_id = serializers.UUIDField(allow_null=True)
    run_id = serializers.UUIDField(allow_null=True)
    about_run_id = serializers.UUIDField(allow_null=True)
    step_id = serializers.UUIDField(allow_null=True)
    guardrail = serializers.CharField()
    place = serializers.CharField()
    reasons = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    decided_by = serializers.UUIDField(allow_null=True)
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class WholeReview(ReviewDocument):
    """A review with the text that is held back."""

    text = serializers.SerializerMethodField()

    def get_text(self, review: Review) -> str:
        return reviews.text_of(review)


class ReviewDecision(Fields):
    """``approve`` lets the text pass for a week; ``reject`` says why not."""

    decision = serializers.ChoiceField(["approve", "reject"])
    reason = serializers.CharField(
        max_length=reviews.MAX_REASON, default="", required=False, allow_blank=True
    )


class Reviews(APIView):
    scopes = {"GET": reviews.SCOPE}

    @extend_schema(
        operation_id="reviews_list",
        parameters=[OpenApiParameter("state", str), *PAGES],
        responses=ReviewDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """Reviews of your clients, newest first; ``state=waiting`` for what is to be done."""
        rows = of_visible_runs(rest.caller_of(request), Review.objects.all())
        if state := request.query_params.get("state"):
            if state not in Review.State.values:
                limit = f"one of {', '.join(Review.State.values)}"
                raise InvalidInput("state", state, limit)
            rows = rows.filter(state=state)
        return page(request, rows, lambda found: ReviewDocument(found, many=True).data)


class OneReview(APIView):
    scopes = {"GET": reviews.SCOPE, "POST": reviews.SCOPE}

    @extend_schema(operation_id="reviews_read", responses={200: WholeReview, 404: PROBLEM})
    def get(self, request: Request, review_id: UUID) -> Response:
        """A review with its text."""
        return Response(WholeReview(reviews.find(rest.caller_of(request), review_id)).data)

    @extend_schema(
        operation_id="reviews_decide", parameters=[KEY], request=ReviewDecision,
        responses={200: ReviewDocument, 403: PROBLEM, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, review_id: UUID) -> Response:
        """Let the text pass, or not."""
        data = checked(ReviewDecision, request)
        review = reviews.decide(
            rest.caller_of(request), review_id, approve=data["decision"] == "approve",
            reason=data["reason"],
        )  # fmt: skip
        return Response(ReviewDocument(review).data)
