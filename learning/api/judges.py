"""Doors of judges: what is known of them, their preferences, and a judge of Ratchet's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from learning import judge_asking, judging
from learning.api.shared import KEY, PROBLEM, checked, whole
from learning.models import Judge, Preference

Shape = serializers.Serializer[Any]
NAME = r"^[a-z][a-z0-9_.-]{0,59}$"


class JudgeDocument(Shape):
    name = serializers.CharField()
    version = serializers.CharField()
    criterion = serializers.CharField()
    state = serializers.ChoiceField(choices=Judge.State.choices)
    faults = serializers.ListField(child=serializers.CharField())
    measured = serializers.DictField()
    measured_at = serializers.DateTimeField(allow_null=True)


class NewJudge(Shape):
    name = serializers.RegexField(NAME, help_text="The score that it gives.")
    criterion = serializers.CharField(max_length=4_000)
    most = serializers.IntegerField(min_value=1, max_value=judge_asking.MOST_ANSWERS, default=100)
    cap_usd = serializers.DecimalField(
        max_digits=20, decimal_places=9, min_value=Decimal(0), default=Decimal(1)
    )


class JudgeNamed(Shape):
    name = serializers.RegexField(NAME)
    version = serializers.CharField(max_length=60)


class NewPreference(Shape):
    name = serializers.RegexField(NAME)
    source_version = serializers.CharField(max_length=60)
    first_id = serializers.UUIDField(help_text="An invocation, or a correction of one.")
    second_id = serializers.UUIDField()
    preferred = serializers.ChoiceField(choices=Preference.Place.choices)
    reason = serializers.CharField(max_length=20_000, allow_blank=True, default="")


class PreferenceDocument(NewPreference):
    id = serializers.UUIDField()


class Judges(APIView):
    scopes = {"GET": "learning:read", "POST": "learning:decide"}

    @extend_schema(operation_id="judges_list", responses=JudgeDocument(many=True))
    def get(self, request: Request) -> Response:
        """Every judge that has given a score: how far it agrees with people, and what bars it."""
        return whole([dict(JudgeDocument(one).data) for one in judging.documents()])

    @extend_schema(
        operation_id="judges_create", parameters=[KEY], request=NewJudge,
        responses={202: JudgeDocument, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Let a model judge by a criterion what people have labelled, and measure it."""
        data = checked(NewJudge, request)
        row = judge_asking.begin(caller=rest.caller_of(request), **data)
        return Response(JudgeDocument(judging.document(row)).data, status=202)


class MeasureJudge(APIView):
    scopes = {"POST": "learning:decide"}

    @extend_schema(
        operation_id="judges_measure", parameters=[KEY], request=JudgeNamed,
        responses={200: JudgeDocument, 404: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Measure a judge against people now; it may decide if nothing speaks against it."""
        data, caller = checked(JudgeNamed, request), rest.caller_of(request)
        row = judging.measure(name=data["name"], version=data["version"], by=caller.name)
        return Response(JudgeDocument(judging.document(row)).data)


class Preferences(APIView):
    scopes = {"POST": "feedback:write"}

    @extend_schema(
        operation_id="judges_prefer", parameters=[KEY], request=NewPreference,
        responses={201: PreferenceDocument, 404: PROBLEM, 409: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Which of two answers a judge preferred, in the order in which it was shown them."""
        row = judging.prefer(caller=rest.caller_of(request), **checked(NewPreference, request))
        return Response(PreferenceDocument(row).data, status=201)
