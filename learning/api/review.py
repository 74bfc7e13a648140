"""Doors of the review of one improvement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from learning import replay, reviewing, trials
from learning import serializers as shapes
from learning import shapes_loop as loop_shapes
from learning.api.shared import KEY, PROBLEM, checked

Shape = serializers.Serializer[Any]


class Dossier(Shape):
    """All that a decision needs; ``difference`` has the prompt's unified lines."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    agent = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField()
    headline = serializers.CharField()
    risk = serializers.DictField()
    priority = serializers.DictField()
    proposed_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    decided = serializers.DictField()
    proposal = serializers.DictField()
    expected = serializers.DictField()
    evidence = serializers.DictField()
    suggested_tool = serializers.DictField(allow_null=True)
    quotes = serializers.ListField(
        child=serializers.CharField(),
        help_text="What people said that it answers, redacted, as far as you may read it.",
    )
    change = serializers.DictField(allow_null=True)
    pattern = serializers.DictField(allow_null=True)
    work_item = serializers.DictField(
        allow_null=True, help_text="What the issue tracker made of it; null: not sent."
    )
    runs = serializers.ListField(child=serializers.DictField())
    difference = serializers.DictField(allow_null=True)
    replays = serializers.ListField(child=serializers.DictField())
    standing = serializers.DictField(
        help_text="Whether the candidate may go live by its replay, why (not), and what to do."
    )
    override = serializers.DictField(
        allow_null=True, help_text="Who lets it go live in spite of its replay, and why."
    )
    afterwards = serializers.DictField(
        allow_null=True, help_text="Of a change made by hand: its figure before and since."
    )
    barred = serializers.ListField(child=serializers.DictField())
    follows = serializers.ListField(child=serializers.DictField())
    actions = serializers.ListField(child=serializers.CharField())


class Edit(Shape):
    prompt = serializers.CharField(max_length=50_000, trim_whitespace=False)
    reason = serializers.CharField(max_length=500, allow_blank=True, default="")


class Done(Shape):
    note = serializers.CharField(max_length=500, help_text="What was done.")


class TakeBack(Shape):
    reason = serializers.CharField(max_length=500)


class OneImprovement(APIView):
    scopes = {"GET": "learning:read"}

    @extend_schema(operation_id="improvements_dossier", responses={200: Dossier, 404: PROBLEM})
    def get(self, request: Request, improvement_id: UUID) -> Response:
        """One improvement with its pattern, evidence, exact runs, difference, replays and risk."""
        found = reviewing.dossier(rest.caller_of(request), improvement_id)
        return Response(Dossier(found).data)


class EditImprovement(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="improvements_edit", parameters=[KEY], request=Edit,
        responses={200: shapes.ImprovementDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID) -> Response:
        """Put a prompt of yours in the place of the candidate's, before you decide."""
        data = checked(Edit, request)
        row = reviewing.act(rest.caller_of(request), improvement_id, "edit", **data)
        return Response(shapes.ImprovementDocument(row).data)


class ReplayImprovement(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="improvements_replay", parameters=[KEY], request=None,
        responses={202: loop_shapes.ReplayDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID) -> Response:
        """Replay its candidate beside production; what comes of it lets it go live or not."""
        caller = rest.caller_of(request)
        made = trials.begin_replay(reviewing.find(caller, improvement_id), asked_by=caller.name)
        response = Response(loop_shapes.ReplayDocument(replay.document(made)).data, status=202)
        response["Location"] = f"/api/v1/replays/{made.pk}"
        return response


class DoneImprovement(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="improvements_done", parameters=[KEY], request=Done,
        responses={200: shapes.ImprovementDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID) -> Response:
        """Say that a person has made a change that no version says; what follows is measured."""
        note = checked(Done, request)["note"]
        row = reviewing.act(rest.caller_of(request), improvement_id, "done", reason=note)
        return Response(shapes.ImprovementDocument(row).data)


class TakeBackImprovement(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="improvements_take_back", parameters=[KEY], request=TakeBack,
        responses={200: shapes.ImprovementDocument, 404: PROBLEM, 409: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request, improvement_id: UUID) -> Response:
        """Store a document without an approved change again, or say that work by hand is undone."""
        data = checked(TakeBack, request)
        row = reviewing.act(rest.caller_of(request), improvement_id, "take_back", **data)
        return Response(shapes.ImprovementDocument(row).data)
