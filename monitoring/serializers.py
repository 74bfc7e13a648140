"""What the API of monitoring takes and gives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone
from rest_framework import serializers

from monitoring.domain.metrics import METRICS, SCOPES, Kind, fault_of_beside
from monitoring.domain.responses import faults_of
from monitoring.models import (
    Action,
    Alert,
    AlertRule,
    AuditEntry,
    Incident,
    IncidentEvent,
    Objective,
    SecurityEvent,
    Silence,
)

LONGEST_SILENCE = timedelta(days=30)


class FiguresShape(serializers.Serializer[Any]):
    key = serializers.CharField(required=False)
    start = serializers.DateTimeField(required=False)
    count = serializers.IntegerField()
    total = serializers.FloatField()
    mean = serializers.FloatField(allow_null=True)
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class MetricAnswer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    scope = serializers.CharField()
    key = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    rows = FiguresShape(many=True)


# Kinds that compare with no number of their rule.
UNLIMITED = frozenset({AlertRule.Kind.NO_DATA, AlertRule.Kind.ANOMALY, AlertRule.Kind.TOGETHER,
                       AlertRule.Kind.HEARTBEAT})  # fmt: skip


# What says whether a rule means something.
JUDGED = ("kind", "metric", "denominator", "beside", "statistic", "scope", "limit", "target",
          "event_limit", "objective", "responses")  # fmt: skip


def _of(rule: Any, name: str) -> Any:
    return getattr(rule, name)


class AlertRuleShape(serializers.ModelSerializer[AlertRule]):
    class Meta:
        model = AlertRule
        exclude = ["evaluated_at"]
        read_only_fields = ["id", "is_shipped", "tuned", "created_by"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"limit": {"required": False}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Names are from the list, and what the kind needs is there.

        A rule that is changed is judged as the whole that it becomes.
        """
        if self.instance is not None:
            fixed = {"slug", "kind"} & {n for n, v in attrs.items() if v != _of(self.instance, n)}
            if fixed:
                raise serializers.ValidationError({min(fixed): "stays as it is; add another rule"})
            before = {name: _of(self.instance, name) for name in JUDGED if name not in attrs}
            self.validate_whole({**before, **attrs})
            return attrs
        return self.validate_whole(attrs)

    def validate_whole(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The same, of a whole rule; what has a default is filled in."""
        for name in ("metric", "denominator"):
            if attrs.get(name) and attrs[name] not in METRICS:
                raise serializers.ValidationError({name: f"one of {', '.join(METRICS)}"})
        if attrs.get("scope", "all") not in SCOPES:
            raise serializers.ValidationError({"scope": f"one of {', '.join(SCOPES)}"})
        if faults := faults_of(attrs.get("responses", []), scope=attrs.get("scope", "all")):
            raise serializers.ValidationError({"responses": faults})
        kind = attrs["kind"]
        if kind != AlertRule.Kind.HEARTBEAT and not attrs.get("metric"):
            raise serializers.ValidationError({"metric": f"a {kind} rule needs one"})
        if attrs.get("statistic") == "ratio" and not attrs.get("denominator"):
            raise serializers.ValidationError({"denominator": "a share needs its whole"})
        if kind == AlertRule.Kind.TOGETHER and (said := fault_of_beside(attrs.get("beside"))):
            raise serializers.ValidationError({"beside": said})
        if kind in UNLIMITED:
            attrs.setdefault("limit", 0.0)
        elif "limit" not in attrs:
            raise serializers.ValidationError({"limit": f"a {kind} rule needs one"})
        objective = Objective.objects.filter(slug=attrs.get("objective") or "").first()
        if attrs.get("objective") and objective is None:
            raise serializers.ValidationError({"objective": "the slug of an objective"})
        if kind == AlertRule.Kind.BURN_RATE:
            self._validate_burn(attrs, objective)
        return attrs

    def _validate_burn(self, attrs: dict[str, Any], objective: Objective | None) -> None:
        """Bad events can be told from good ones, and so many of them are promised to be good."""
        metric, denominator = attrs["metric"], attrs.get("denominator") or ""
        if objective is not None and (objective.metric, objective.denominator) != (
            metric, denominator,
        ):  # fmt: skip
            raise serializers.ValidationError({"objective": "one of the same metric"})
        is_single = METRICS[metric].kind is Kind.DISTRIBUTION and (
            attrs.get("event_limit") is not None or objective is not None
        )
        if not denominator and not is_single:
            said = "a share needs its whole; single values need an event_limit, or an objective"
            raise serializers.ValidationError({"denominator": said})
        target = attrs.get("target")
        if target is None or not 0 < target < 1:
            raise serializers.ValidationError({"target": "a share between 0 and 1"})


class AlertShape(serializers.ModelSerializer[Alert]):
    rule = serializers.CharField(source="rule.slug")
    title = serializers.CharField(source="rule.title")
    advice = serializers.CharField(source="rule.advice")
    runbook = serializers.CharField(source="rule.runbook")

    class Meta:
        model = Alert
        fields = ["id", "rule", "title", "scope", "key", "state", "severity", "value", "baseline",
                  "why", "detail", "advice", "runbook", "incident", "pending_since", "fired_at",
                  "resolved_at", "resolved_by", "is_silenced", "inhibited_by",
                  "let_go_at"]  # fmt: skip


class IncidentEventShape(serializers.ModelSerializer[IncidentEvent]):
    class Meta:
        model = IncidentEvent
        fields = ["at", "name", "actor", "detail"]


class ActionShape(serializers.ModelSerializer[Action]):
    class Meta:
        model = Action
        fields = ["id", "kind", "target", "parameters", "state", "undoes", "asked_at", "done_at",
                  "result"]  # fmt: skip


class IncidentShape(serializers.ModelSerializer[Incident]):
    timeline = IncidentEventShape(many=True, read_only=True)
    actions = ActionShape(many=True, read_only=True)

    class Meta:
        model = Incident
        fields = ["id", "cause", "title", "domain", "severity", "state", "opened_at",
                  "acknowledged_at", "acknowledged_by", "resolved_at", "escalation_level",
                  "impact", "summary", "merged_into", "timeline", "actions"]  # fmt: skip


class SilenceShape(serializers.ModelSerializer[Silence]):
    rule = serializers.SlugRelatedField(
        slug_field="slug", queryset=AlertRule.objects.all(), required=False, allow_null=True
    )

    class Meta:
        model = Silence
        fields = ["id", "rule", "scope", "key", "reason", "starts_at", "ends_at", "created_by"]
        read_only_fields = ["id", "created_by", "starts_at"]

    def validate_ends_at(self, value: Any) -> Any:
        """A mute must end: one that nobody remembers is a blind eye."""
        now = timezone.now()
        if not now < value <= now + LONGEST_SILENCE:
            raise serializers.ValidationError(f"after now, within {LONGEST_SILENCE.days} days")
        return value


class SecurityEventShape(serializers.ModelSerializer[SecurityEvent]):
    class Meta:
        model = SecurityEvent
        fields = ["id", "at", "kind", "severity", "actor", "target", "client_id", "user_id",
                  "address", "detail"]  # fmt: skip


class AuditEntryShape(serializers.ModelSerializer[AuditEntry]):
    class Meta:
        model = AuditEntry
        fields = ["id", "at", "actor", "action", "target", "client_id", "user_id", "session",
                  "before_digest", "after_digest"]  # fmt: skip


class CardShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    title = serializers.CharField()
    definition = serializers.CharField()
    target = serializers.FloatField()
    above = serializers.BooleanField()
    window_days = serializers.FloatField()
    state = serializers.ChoiceField(["met", "missed", "no_data"])
    value = serializers.FloatField(allow_null=True)
    observations = serializers.IntegerField()
    error_budget = serializers.DictField(allow_null=True)


class ScorecardShape(serializers.Serializer[Any]):
    scope = serializers.CharField()
    key = serializers.CharField()
    results = CardShape(many=True)


class CostRowShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    cost_usd = serializers.CharField()
    saved_usd = serializers.CharField()
    calls = serializers.IntegerField()


class CostShape(serializers.Serializer[Any]):
    by = serializers.CharField()
    currency = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    cost_usd = serializers.CharField()
    saved_by_cache_usd = serializers.CharField()
    saved_by_routing_usd = serializers.CharField()
    saved_by_tokens_usd = serializers.CharField()
    projected_30_days_usd = serializers.CharField()
    rows = CostRowShape(many=True)
    left_out = serializers.IntegerField()


class SeriesRowShape(serializers.Serializer[Any]):
    timestamp = serializers.CharField(max_length=40)
    value = serializers.FloatField()

    def validate_timestamp(self, value: str) -> str:
        """One field of a CSV."""
        if "," in value or "\n" in value:
            raise serializers.ValidationError("a time without commas")
        return value


class SeriesShape(serializers.Serializer[Any]):
    rows = serializers.ListField(child=SeriesRowShape(), min_length=1, max_length=100_000)


class ScoredShape(serializers.Serializer[Any]):
    timestamp = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    score = serializers.FloatField()
    flagged = serializers.BooleanField()
