"""The record of calls. Big tables: partitioned by month on ``id``, nothing points at them.

References are plain ids without constraints, and names are kept beside them, so that a row can
be read after what it names has gone.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models

from config.access.ids import uuid7

MONEY: dict[str, Any] = {"max_digits": 20, "decimal_places": 9}


class CallState(models.TextChoices):
    SUCCEEDED = "succeeded"
    FALLBACK = "fallback", "answered with the declared fallback"
    BLOCKED = "blocked", "blocked by a guardrail"
    FAILED = "failed"


class Invocation(models.Model):
    """One call of an agent, as it ended."""

    State = CallState

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    version_id = models.UUIDField()
    version_number = models.PositiveIntegerField()
    split_id = models.UUIDField(null=True)
    split_epoch = models.PositiveIntegerField(null=True)
    unit = models.CharField(max_length=80, blank=True, default="")
    bucket = models.PositiveSmallIntegerField(null=True)
    user_id = models.UUIDField(null=True)
    key_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    about_run_id = models.UUIDField(null=True, help_text="The run of what was judged or replayed.")
    step_id = models.UUIDField(null=True)
    conversation_id = models.UUIDField(null=True)
    effect_id = models.CharField(max_length=200, blank=True, default="")
    attempt = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=12, choices=State.choices)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error = models.JSONField(null=True)
    inputs = models.JSONField(default=dict)
    prompt = models.TextField(blank=True, default="")
    output = models.JSONField(default=dict)
    findings = models.JSONField(default=list, help_text="What guardrails saw and did.")
    sealed = models.TextField(
        blank=True, default="", help_text="What the tokens in it stand for, encrypted."
    )
    limited_to = ArrayField(
        models.TextField(), null=True,
        help_text="What its reader must hold, where it quoted documents that are limited.",
    )  # fmt: skip
    model = models.CharField(max_length=120, blank=True, default="")
    endpoint = models.CharField(max_length=64, blank=True, default="")
    price_version = models.CharField(max_length=40, blank=True, default="")
    route = models.JSONField(
        null=True, help_text="Where it went and why, if not as its version says; what was left out."
    )
    is_simulated = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False)
    cached = models.CharField(max_length=12, blank=True, default="", help_text="Tier of the hit.")
    cost_usd = models.DecimalField(**MONEY, default=0)
    saved_usd = models.DecimalField(**MONEY, default=0)
    input_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)
    model_calls = models.PositiveSmallIntegerField(default=0)
    tool_calls = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    duration_seconds = models.FloatField(default=0.0)
    first_token_seconds = models.FloatField(null=True)
    waited_seconds = models.FloatField(default=0.0, help_text="In models and tools.")
    trace_id = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["client_id", "-id"], name="invocation_client"),
            models.Index(fields=["agent_id", "-id"], name="invocation_agent"),
            models.Index(
                fields=["agent_id", "-id"],
                name="invocation_trouble",
                condition=~models.Q(state=CallState.SUCCEEDED),
            ),
            models.Index(
                fields=["run_id"], name="invocation_run", condition=models.Q(run_id__isnull=False)
            ),
            # What a unit met in a comparison: a few calls among millions.
            models.Index(
                fields=["agent_id", "unit"],
                name="invocation_unit",
                condition=models.Q(split_epoch__isnull=False),
            ),
            models.Index(
                fields=["conversation_id"],
                name="invocation_conversation",
                condition=models.Q(conversation_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.id}"


class ModelCall(models.Model):
    """One request to a model inside an invocation, each try a row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    invocation_id = models.UUIDField()
    number = models.PositiveSmallIntegerField(help_text="From 1, in order of start.")
    endpoint = models.CharField(max_length=64)
    model = models.CharField(max_length=120)
    state = models.CharField(max_length=12, choices=CallState.choices)
    error_code = models.CharField(max_length=40, blank=True, default="")
    http_status = models.PositiveSmallIntegerField(null=True)
    messages = models.JSONField(default=list)
    answer = models.JSONField(default=dict)
    finish_reason = models.CharField(max_length=24, blank=True, default="")
    input_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    reasoning_tokens = models.PositiveIntegerField(default=0)
    cost_usd = models.DecimalField(**MONEY, default=0)
    price_version = models.CharField(max_length=40, blank=True, default="")
    started_at = models.DateTimeField()
    duration_seconds = models.FloatField(default=0.0)
    first_token_seconds = models.FloatField(null=True)

    class Meta:
        indexes = [models.Index(fields=["invocation_id"], name="modelcall_invocation")]

    def __str__(self) -> str:
        return f"{self.model} {self.id}"


class ToolCall(models.Model):
    """One execution of a tool, by an agent or by a step."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    invocation_id = models.UUIDField(null=True)
    run_id = models.UUIDField(null=True)
    about_run_id = models.UUIDField(null=True)
    step_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    number = models.PositiveSmallIntegerField(default=1)
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=12, choices=CallState.choices)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error = models.JSONField(null=True)
    arguments = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    result_bytes = models.PositiveIntegerField(default=0)
    fallback_of = models.CharField(max_length=120, blank=True, default="")
    is_cached = models.BooleanField(default=False)
    effect_id = models.CharField(max_length=200, blank=True, default="")
    attempt = models.PositiveIntegerField(default=1)
    cost_usd = models.DecimalField(**MONEY, default=0)
    started_at = models.DateTimeField()
    duration_seconds = models.FloatField(default=0.0)

    class Meta:
        indexes = [
            models.Index(fields=["invocation_id"], name="toolcall_invocation"),
            models.Index(fields=["name", "-id"], name="toolcall_name"),
            models.Index(
                fields=["run_id"], name="toolcall_run", condition=models.Q(run_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"
