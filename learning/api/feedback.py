"""Feedback, scores and improvements."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.errors import InvalidInput
from learning import feedback, following_up, inviting, reviewing
from learning import serializers as shapes
from learning.api.shared import KEY, PAGES, PROBLEM, checked, choice_of, page
from learning.domain.categories import Category
from learning.models import Feedback, Improvement, Score, Subject


class FeedbackList(APIView):
    scopes = {"GET": "learning:read", "POST": "feedback:write"}

    @extend_schema(
        operation_id="feedback_list",
        parameters=[
            *PAGES, OpenApiParameter("agent", str),
            OpenApiParameter("kind", str, enum=Feedback.Kind.values),
            OpenApiParameter("subject_kind", str, enum=Subject.values),
            OpenApiParameter("subject_id", str),
            OpenApiParameter("category", str, enum=[one.value for one in Category]),
            OpenApiParameter("history", bool, description="Also what was superseded."),
        ],
        responses=shapes.FeedbackDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Feedback, newest first; only what stands unless ``history`` is true."""
        asked = request.query_params
        rows = feedback.visible(rest.caller_of(request))
        names = {"agent": "agent_slug", "kind": "kind", "subject_kind": "subject_kind"}
        for name, field in names.items():
            if asked.get(name):
                rows = rows.filter(**{field: asked[name]})
        if asked.get("category"):
            rows = feedback.of_category(rows, asked["category"])
        if asked.get("subject_id"):
            rows = rows.filter(subject_id=_uuid(asked["subject_id"]))
        if asked.get("history", "").lower() not in ("1", "true", "yes"):
            rows = rows.filter(superseded_at=None)
        return page(request, rows, shapes.FeedbackDocument)

    @extend_schema(
        operation_id="feedback_create",
        parameters=[KEY],
        request=shapes.NewFeedback,
        responses={201: shapes.FeedbackDocument, 404: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Say something about an invocation, a step, a run or a conversation."""
        data = checked(shapes.NewFeedback, request)
        row = feedback.give(caller=rest.caller_of(request), **data)
        row.refresh_from_db()
        return Response(shapes.FeedbackDocument(row).data, status=201)


class FeedbackRequests(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="feedback_ask", parameters=[KEY], request=shapes.NewFeedbackRequest,
        responses={201: shapes.FeedbackRequestDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM,
                   503: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Mail a person a signed link that opens the feedback form without signing in."""
        data = checked(shapes.NewFeedbackRequest, request)
        row = inviting.ask(caller=rest.caller_of(request), **data)
        return Response(shapes.FeedbackRequestDocument(row).data, status=201)


class AskingPolicies(APIView):
    scopes = {"GET": "learning:read", "PUT": "learning:decide"}

    @extend_schema(
        operation_id="feedback_policies_list", parameters=PAGES,
        responses=shapes.AskingPolicyDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Whose starters are asked by mail how their run was; nobody's without a policy."""
        return page(request, following_up.visible_policies(rest.caller_of(request)),
                    shapes.AskingPolicyDocument)  # fmt: skip

    @extend_schema(
        operation_id="feedback_policies_set", request=shapes.AskingPolicyDocument,
        responses={200: shapes.AskingPolicyDocument, 403: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def put(self, request: Request) -> Response:
        """Set the policy of a workflow, a client, both, or of all others. For administrators."""
        data = checked(shapes.AskingPolicyDocument, request)
        row = following_up.set_policy(
            caller=rest.caller_of(request), workflow=data.pop("workflow_name"), **data
        )
        return Response(shapes.AskingPolicyDocument(row).data)


class FeedbackCategory(APIView):
    scopes = {"POST": "feedback:write"}

    @extend_schema(
        operation_id="feedback_recategorise", parameters=[KEY], request=shapes.NewCategory,
        responses={200: shapes.FeedbackDocument, 403: PROBLEM, 404: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, feedback_id: UUID) -> Response:
        """Correct the category that was assigned to a piece of feedback."""
        data = checked(shapes.NewCategory, request)
        row = feedback.recategorise(
            caller=rest.caller_of(request), feedback_id=feedback_id, category=data["category"]
        )
        return Response(shapes.FeedbackDocument(row).data)


class Scores(APIView):
    scopes = {"GET": "learning:read", "POST": "feedback:write"}

    @extend_schema(
        operation_id="scores_list",
        parameters=[
            *PAGES, OpenApiParameter("agent", str), OpenApiParameter("name", str),
            OpenApiParameter("source", str, enum=Score.Source.values),
            OpenApiParameter("subject_id", str),
            OpenApiParameter("history", bool, description="Also what was superseded."),
        ],
        responses=shapes.ScoreDocument(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Scores by people, code and judges, newest first, each with its reason."""
        asked = request.query_params
        rows = feedback.visible_scores(rest.caller_of(request))
        names = {"agent": "agent_slug", "name": "name", "source": "source"}
        rows = rows.filter(**{field: asked[name] for name, field in names.items()
                              if asked.get(name)})  # fmt: skip
        if asked.get("subject_id"):
            rows = rows.filter(subject_id=_uuid(asked["subject_id"]))
        if asked.get("history", "").lower() not in ("1", "true", "yes"):
            rows = rows.filter(superseded_at=None)
        return page(request, rows, shapes.ScoreDocument)

    @extend_schema(
        parameters=[KEY],
        request=shapes.NewScore,
        responses={201: shapes.ScoreDocument, 404: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Store a named number with its source; the latest of a source and version counts."""
        data = checked(shapes.NewScore, request)
        row = feedback.score(caller=rest.caller_of(request), **data)
        row.refresh_from_db()
        return Response(shapes.ScoreDocument(row).data, status=201)


class Improvements(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(
        operation_id="improvements_list",
        parameters=[
            OpenApiParameter("agent", str),
            OpenApiParameter("state", str, enum=Improvement.State.values),
        ],
        responses=shapes.ImprovementDocument(many=True),
    )
    def get(self, request: Request) -> Response:
        """Improvements by priority (impact × confidence ÷ effort), at most 200."""
        rows = rest.caller_of(request).only_visible(Improvement.objects.all())
        choice_of(request, "state", Improvement.State.values)
        for name, field in {"agent": "agent_slug", "state": "state"}.items():
            if request.query_params.get(name):
                rows = rows.filter(**{field: request.query_params[name]})
        found = shapes.ImprovementDocument(rows[:200], many=True).data
        return Response({"next": None, "previous": None, "results": found})


class DecideImprovement(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        parameters=[KEY],
        request=shapes.Approval,
        responses={200: shapes.ImprovementDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID, action: str) -> Response:
        """Approve a proposal, or refuse it with a reason.

        Approved, its candidate goes live once its replay has found it no worse. One whose replay
        ended otherwise is refused (409 `replay_needed`), but with `override` and a reason.
        """
        data, caller = checked(shapes.Approval, request), rest.caller_of(request)
        row = reviewing.act(caller, improvement_id, action, **data)
        return Response(shapes.ImprovementDocument(row).data)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput("subject_id", text, "a UUID") from None
