"""What the doors of patterns, drift, examples, replays and cycles take and give."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from learning.domain.goals import Goal
from learning.models import Cycle, DriftWindow, Example, Pattern, Replay

Shape = serializers.Serializer[Any]
MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 9}


class Impact(Shape):
    count = serializers.IntegerField()
    users = serializers.IntegerField()
    runs = serializers.IntegerField()
    clients = serializers.IntegerField()
    cost_usd = serializers.CharField()
    currency = serializers.CharField()


class AgentCount(Shape):
    slug = serializers.CharField()
    count = serializers.IntegerField()


class DayCount(Shape):
    day = serializers.DateField()
    count = serializers.IntegerField()


class PatternDocument(Shape):
    id = serializers.UUIDField()
    key = serializers.CharField()
    kind = serializers.ChoiceField(choices=Pattern.Kind.choices)
    title = serializers.CharField()
    example = serializers.CharField()
    trend = serializers.CharField()
    trend_ratio = serializers.FloatField(allow_null=True)
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    impact = Impact()
    agents = AgentCount(many=True)
    days = DayCount(many=True)
    invocations = serializers.ListField(child=serializers.UUIDField())


class DriftDocument(serializers.ModelSerializer[DriftWindow]):
    class Meta:
        model = DriftWindow
        exclude = ("created_at",)


class ExampleDocument(serializers.ModelSerializer[Example]):
    class Meta:
        model = Example
        fields = (
            "id", "agent_slug", "source", "invocation_id", "before", "question", "answer",
            "wrong_answer", "reason", "masked", "state", "decided_at", "decision_reason",
            "created_at",
        )  # fmt: skip


class ExampleDecision(Shape):
    reason = serializers.CharField(max_length=300, allow_blank=True, default="")


class ExportRequest(Shape):
    agent = serializers.SlugField(max_length=64)
    validation_ratio = serializers.FloatField(min_value=0, max_value=0.9, default=0.2)
    seed = serializers.CharField(max_length=64, default="1")


class LeakRateDocument(Shape):
    planted = serializers.IntegerField()
    leaked = serializers.IntegerField()
    ratio = serializers.FloatField()
    upper = serializers.FloatField()


class ExportDocument(Shape):
    agent = serializers.CharField()
    training = serializers.IntegerField()
    validation = serializers.IntegerField()
    digest = serializers.CharField()
    leak_rate = LeakRateDocument()
    data_card = serializers.CharField()
    artifacts = serializers.DictField(child=serializers.UUIDField())


class ReplayRequest(Shape):
    agent = serializers.SlugField(max_length=64)
    candidate = serializers.UUIDField()
    baseline = serializers.UUIDField(required=False, allow_null=True)
    most_recorded = serializers.IntegerField(min_value=0, max_value=200, default=30)
    judge = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=60,
        help_text="The score of an admitted judge of Ratchet's own, which grades too.",
    )  # fmt: skip
    judge_version = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=60
    )
    cap_usd = serializers.DecimalField(**MONEY, min_value=Decimal(0), default=Decimal(1))


class ReplayDocument(Shape):
    id = serializers.UUIDField()
    agent = serializers.CharField()
    baseline = serializers.UUIDField()
    candidate = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Replay.State.choices)
    verdict = serializers.CharField(allow_null=True)
    result = serializers.DictField()
    cap_usd = serializers.CharField()
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    cases = serializers.ListField(child=serializers.DictField(), required=False)


class VariationsRequest(Shape):
    goals = serializers.ListField(
        child=serializers.ChoiceField(choices=[g.value for g in Goal]), min_length=1, max_length=3
    )
    measure = serializers.BooleanField(default=True)
    cap_usd = serializers.DecimalField(**MONEY, min_value=Decimal(0), default=Decimal("0.5"))
    propose = serializers.BooleanField(default=False)


class VariationsDocument(Shape):
    id = serializers.UUIDField()
    agent = serializers.CharField()
    version = serializers.IntegerField()
    goals = serializers.ListField(child=serializers.CharField())
    bottlenecks = serializers.ListField(child=serializers.DictField())
    variants = serializers.ListField(child=serializers.DictField())
    pareto = serializers.DictField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField())
    split = serializers.DictField()
    improvements = serializers.ListField(child=serializers.DictField(), required=False)
    cost_usd = serializers.CharField()
    cap_usd = serializers.CharField()
    currency = serializers.CharField()


class CycleDocument(serializers.ModelSerializer[Cycle]):
    class Meta:
        model = Cycle
        fields = (
            "id", "cadence", "tick", "state", "report", "figures", "created_at", "ended_at",
            "mailed_at", "readers", "mail_error",
        )  # fmt: skip


class CycleRequest(Shape):
    cadence = serializers.ChoiceField(choices=Cycle.Cadence.choices)
    tick = serializers.DateField(required=False, allow_null=True)


class WorkItem(Shape):
    title = serializers.CharField()
    body = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    improvement = serializers.DictField()
    sent = serializers.DictField(allow_null=True, help_text="id, url, at; null: not sent yet.")
