"""Shapes of requests and answers, for checking what comes in and for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class StartRun(serializers.Serializer[Any]):
    workflow = serializers.CharField(max_length=64)
    inputs = serializers.JSONField(default=dict)
    client_id = serializers.UUIDField(required=False, allow_null=True)
    priority = serializers.ChoiceField(choices=["high", "default", "low"], required=False)
    deadline_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Fails then; never later than the timeout."
    )
    version = serializers.CharField(
        required=False, max_length=40, help_text="A number or a label; without: the current one."
    )


class Attempt(serializers.Serializer[Any]):
    attempt = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    state = serializers.CharField()
    worker = serializers.CharField(required=False)
    is_continued = serializers.BooleanField(
        required=False, help_text="A light step that the worker of the one before went on with."
    )
    error_code = serializers.CharField(required=False, allow_null=True)


class StepDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    key = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField()
    target = serializers.CharField()
    needs = serializers.ListField(child=serializers.CharField())
    index = serializers.IntegerField(allow_null=True)
    place = serializers.ListField(
        child=serializers.IntegerField(), allow_null=True, required=False,
        help_text="Of an item of a nested fan-out: in the outer and in the inner list.",
    )  # fmt: skip
    iteration = serializers.IntegerField()
    state = serializers.CharField()
    attempts = Attempt(many=True)
    items = serializers.JSONField(allow_null=True)
    input = serializers.JSONField(allow_null=True)
    output = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    cost_usd = serializers.CharField()
    duration_seconds = serializers.FloatField(allow_null=True)


class RunSummary(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    state = serializers.CharField()
    client_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    cost_usd = serializers.CharField()
    currency = serializers.CharField()
    progress = serializers.JSONField()


class RunDocument(RunSummary):
    title = serializers.CharField()
    version = serializers.IntegerField()
    inputs = serializers.JSONField()
    outputs = serializers.JSONField(allow_null=True)
    error = serializers.JSONField(allow_null=True)
    steps = StepDocument(many=True)


class Reason(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class Cancel(Reason):
    firm = serializers.BooleanField(
        default=False, help_text="Wait for no step that still runs; its outcome is lost."
    )


class Fork(serializers.Serializer[Any]):
    from_step = serializers.CharField(max_length=80)
    inputs = serializers.DictField(required=False, help_text="Replace single inputs.")


class SignalBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=64)
    payload = serializers.JSONField(required=False, allow_null=True, default=None)


class Answer(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(choices=["approve", "reject"])
    answer = serializers.JSONField(required=False, default=dict)
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)


class ApprovalDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    level = serializers.IntegerField()
    levels = serializers.IntegerField()
    role = serializers.CharField()
    state = serializers.CharField()
    form = serializers.JSONField(allow_null=True)
    shown = serializers.JSONField(allow_null=True)
    answer = serializers.JSONField(allow_null=True)
    reason = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)


class ArtifactDocument(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    content_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()


class Upload(serializers.Serializer[Any]):
    file = serializers.FileField()
    name = serializers.CharField(required=False, max_length=200)
    client_id = serializers.UUIDField(required=False, allow_null=True)


class Source(serializers.Serializer[Any]):
    definition = serializers.CharField(help_text="YAML or JSON text of the definition.")


class VersionDocument(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    is_current = serializers.BooleanField()
    labels = serializers.ListField(child=serializers.CharField())
    deprecated_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    source = serializers.CharField(required=False)  # type: ignore[assignment]


class Durations(serializers.Serializer[Any]):
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class RunCosts(serializers.Serializer[Any]):
    total_usd = serializers.CharField()
    per_run_usd = serializers.CharField(allow_null=True)
    currency = serializers.CharField()


class StepStatistics(serializers.Serializer[Any]):
    key = serializers.CharField()
    times = serializers.FloatField(help_text="How often it ended.")
    total_seconds = serializers.FloatField()
    share = serializers.FloatField(allow_null=True, help_text="Of the time of all steps, 0 to 1.")
    p50_seconds = serializers.FloatField(allow_null=True)
    p95_seconds = serializers.FloatField(allow_null=True)
    wait_p95_seconds = serializers.FloatField(allow_null=True, help_text="In its queue.")
    retries = serializers.FloatField()


class WorkflowStatistics(serializers.Serializer[Any]):
    workflow = serializers.CharField()
    range = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    runs = serializers.IntegerField(help_text="That have ended.")
    failed = serializers.IntegerField()
    success_ratio = serializers.FloatField(allow_null=True)
    duration_seconds = Durations()
    cost = RunCosts()
    steps = StepStatistics(many=True, help_text="By the time that went into them, most first.")


class LabelVersion(serializers.Serializer[Any]):
    number = serializers.IntegerField(min_value=1)
    action = serializers.ChoiceField(
        choices=["current", "deprecate", "label", "unlabel"], default="current"
    )
    # Not only digits: a version is also named by its number.
    label = serializers.RegexField(  # type: ignore[assignment]
        r"^[a-z][a-z0-9_-]{0,39}$", required=False, help_text="With label and unlabel."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["action"] in ("label", "unlabel") and "label" not in attrs:
            raise serializers.ValidationError({"label": "which label?"})
        return attrs


class Faults(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    faults = serializers.ListField(child=serializers.JSONField())


class Requeue(serializers.Serializer[Any]):
    outcome = serializers.ChoiceField(
        choices=["happened", "did_not_happen"], required=False, allow_blank=True, default="",
        help_text="What you found out about a step whose outcome is unknown.",
    )  # fmt: skip
    output = serializers.JSONField(
        required=False, allow_null=True, default=None, help_text="Of what happened."
    )


class DeadLetter(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    run_id = serializers.UUIDField()
    key = serializers.CharField()
    index = serializers.IntegerField(allow_null=True)
    deliveries = serializers.IntegerField()
    error = serializers.JSONField(allow_null=True)
