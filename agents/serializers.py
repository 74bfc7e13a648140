"""Shapes of what the agents' API takes and gives."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from agents import outlook
from agents.domain.providers import NAME
from agents.models import Agent, Budget, TrafficSplit

Fields = serializers.Serializer[Any]


class AgentSummary(Fields):
    """An agent with its last 24 hours."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    name = serializers.CharField()
    domain = serializers.CharField()
    purpose = serializers.CharField()
    audience = serializers.ChoiceField(Agent.Audience.choices)
    risk = serializers.ChoiceField(Agent.Risk.choices)
    state = serializers.CharField()
    state_reason = serializers.CharField()
    objectives = serializers.JSONField()
    scaling = serializers.JSONField()
    limits = serializers.JSONField()
    fallback = serializers.CharField()
    updated_at = serializers.DateTimeField()
    production = serializers.IntegerField(allow_null=True, required=False)
    calls = serializers.IntegerField(required=False)
    errors_24h = serializers.IntegerField(source="errors", required=False)
    cost_usd = serializers.DecimalField(20, 9, required=False)
    tokens = serializers.IntegerField(required=False)
    mean_seconds = serializers.FloatField(allow_null=True, required=False)


class AgentVersionDocument(Fields):
    """What answers: immutable."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    labels = serializers.ListField(child=serializers.CharField(), required=False)
    prompt = serializers.CharField()
    variables = serializers.ListField(child=serializers.CharField())
    model = serializers.JSONField()
    tools = serializers.ListField(child=serializers.CharField())
    guardrails = serializers.JSONField()
    output_schema = serializers.JSONField(allow_null=True)
    retrieval = serializers.JSONField()
    examples = serializers.JSONField()
    digest = serializers.CharField()
    note = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    retired_at = serializers.DateTimeField(allow_null=True)


class SplitDocument(Fields):
    """One epoch of shares."""

    id = serializers.UUIDField()
    epoch = serializers.IntegerField()
    seed = serializers.CharField()
    unit = serializers.CharField()
    arms = serializers.JSONField()
    shares = serializers.JSONField()
    reason = serializers.CharField()
    opened_by = serializers.CharField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class AgentDocument(AgentSummary):
    """An agent with its versions, labels, open split and budgets."""

    cases = serializers.JSONField()
    labels = serializers.JSONField()
    versions = AgentVersionDocument(many=True)
    split = SplitDocument(allow_null=True)
    taken_out = serializers.DictField(
        child=serializers.ChoiceField(["open", "half_open"]),
        help_text="Versions by number whose own answers keep failing, so that they do not answer.",
    )
    budgets = serializers.JSONField()


class AgentChange(Fields):
    """What may be changed of an agent."""

    state = serializers.CharField(max_length=8, required=False)
    reason = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)
    limits = serializers.DictField(
        required=False,
        help_text="requests_per_minute, tokens_per_minute, call_usd; null takes one away.",
    )
    fallback = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class NewVersion(Fields):
    """The content of a version; what is left out is taken from production."""

    prompt = serializers.CharField(required=False, max_length=50_000)
    variables = serializers.ListField(child=serializers.CharField(max_length=64), required=False)
    model = serializers.DictField(required=False)
    tools = serializers.ListField(child=serializers.CharField(max_length=120), required=False)
    guardrails = serializers.DictField(
        required=False,
        help_text="pass, flag, ask or block for injection, injection_judge and unsupported, also "
        "redact for pii and secrets; pii_types (a list), by_type (actions of single types), "
        "thresholds (scores by source).",
    )
    output_schema = serializers.DictField(required=False, allow_null=True)
    retrieval = serializers.DictField(required=False)
    examples = serializers.ListField(child=serializers.DictField(), required=False, max_length=50)
    label = serializers.CharField(max_length=40, required=False)  # type: ignore[assignment]
    note = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)


class PreviewRequest(Fields):
    """What a version would be asked."""

    inputs = serializers.DictField(required=False, default=dict)
    text = serializers.CharField(max_length=100_000, required=False, allow_blank=True, default="")
    prompt = serializers.CharField(
        max_length=50_000, required=False, help_text="Instead of the version's."
    )
    variables = serializers.ListField(child=serializers.CharField(max_length=64), required=False)


class PreviewDocument(Fields):
    """The messages that a model would get, and what they may cost; no model is asked."""

    version = serializers.IntegerField()
    messages = serializers.JSONField()
    tools = serializers.JSONField()
    estimated_tokens = serializers.IntegerField()
    most_usd = serializers.CharField()
    currency = serializers.CharField()
    routes = serializers.JSONField()


class SplitPreview(Fields):
    """Shares that are not open yet, and units to try them on."""

    arms = serializers.DictField(
        child=serializers.ListField(
            child=serializers.ListField(
                child=serializers.IntegerField(), min_length=2, max_length=2
            ),
            max_length=100,
        )
    )
    seed = serializers.CharField(max_length=64, required=False)
    units = serializers.ListField(child=serializers.CharField(max_length=80), max_length=1000)


class SplitPreviewDocument(Fields):
    """Each unit's version (null: production), the shares, and how many buckets change version."""

    seed = serializers.CharField()
    units = serializers.JSONField()
    shares = serializers.JSONField()
    reassigned_buckets = serializers.IntegerField()


class LabelDocument(Fields):
    """Where a label points: a version by id or number."""

    name = serializers.CharField(max_length=40)
    version = serializers.CharField(max_length=40)


class NewSplit(Fields):
    """The next epoch. Without ``arms`` the open one is closed."""

    arms = serializers.DictField(
        child=serializers.ListField(
            child=serializers.ListField(
                child=serializers.IntegerField(), min_length=2, max_length=2
            ),
            max_length=100,
        ),
        required=False,
    )
    unit = serializers.ChoiceField(TrafficSplit.Unit.choices, default=TrafficSplit.Unit.RUN)
    reason = serializers.CharField(max_length=300, default="", allow_blank=True)


class TrafficDocument(Fields):
    """The open epoch, earlier ones, and the version that ``?unit=`` would meet."""

    open = SplitDocument(allow_null=True)
    earlier = SplitDocument(many=True)
    preview = serializers.CharField(allow_null=True)


class NewInvocation(Fields):
    """A question to an agent."""

    inputs = serializers.DictField()
    client_id = serializers.UUIDField(required=False)
    conversation_id = serializers.UUIDField(required=False)
    unit = serializers.CharField(max_length=80, required=False, allow_blank=True)
    max_output_tokens = serializers.IntegerField(required=False, min_value=1, max_value=200_000)


class AnswerDocument(Fields):
    """What was answered, or where the answer will be."""

    id = serializers.UUIDField()
    state = serializers.CharField()
    output = serializers.JSONField(required=False)
    version_id = serializers.UUIDField(required=False)
    model = serializers.CharField(required=False)
    cost_usd = serializers.DecimalField(20, 9, required=False)
    currency = serializers.CharField(required=False)
    input_tokens = serializers.IntegerField(required=False)
    output_tokens = serializers.IntegerField(required=False)
    simulated = serializers.BooleanField(required=False)
    cached = serializers.BooleanField(required=False)
    is_fallback = serializers.BooleanField(required=False)
    findings = serializers.JSONField(required=False)
    error = serializers.JSONField(required=False, allow_null=True)


class InvocationSummary(Fields):
    """One call as it ended, without its texts."""

    id = serializers.UUIDField()
    client_id = serializers.UUIDField()
    agent = serializers.CharField(source="agent_slug")
    version_id = serializers.UUIDField()
    version_number = serializers.IntegerField()
    state = serializers.CharField()
    error_code = serializers.CharField()
    model = serializers.CharField()
    endpoint = serializers.CharField()
    is_simulated = serializers.BooleanField()
    is_demo = serializers.BooleanField()
    cached = serializers.CharField()
    cost_usd = serializers.DecimalField(20, 9)
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    model_calls = serializers.IntegerField()
    tool_calls = serializers.IntegerField()
    run_id = serializers.UUIDField(allow_null=True)
    about_run_id = serializers.UUIDField(allow_null=True)
    step_id = serializers.UUIDField(allow_null=True)
    conversation_id = serializers.UUIDField(allow_null=True)
    user_id = serializers.UUIDField(allow_null=True)
    attempt = serializers.IntegerField()
    split_epoch = serializers.IntegerField(allow_null=True)
    bucket = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField()
    duration_seconds = serializers.FloatField()


class InvocationDocument(InvocationSummary):
    """One call with its texts, model calls and tool calls."""

    error = serializers.JSONField(allow_null=True)
    inputs = serializers.JSONField()
    prompt = serializers.CharField()
    output = serializers.JSONField()
    findings = serializers.JSONField()
    first_token_seconds = serializers.FloatField(allow_null=True)
    waited_seconds = serializers.FloatField()
    price_version = serializers.CharField()
    saved_usd = serializers.DecimalField(20, 9, help_text="What the cache saved.")
    trace_id = serializers.CharField(help_text="Of the trace that the call is in; may be empty.")
    route = serializers.JSONField(
        allow_null=True,
        help_text="Strength of model that was chosen by difficulty (score, signs) or budget, why "
        "a stronger one was asked again (escalated), and how a chat's history was shortened.",
    )
    calls = serializers.JSONField()
    tools = serializers.JSONField()


class ToolDocument(Fields):
    """A tool: its schema and what it declares."""

    name = serializers.CharField()
    description = serializers.CharField()
    parameters = serializers.JSONField()
    output_schema = serializers.JSONField(allow_null=True)
    light = serializers.BooleanField()
    idempotent = serializers.BooleanField()
    cache_seconds = serializers.IntegerField()
    timeout_seconds = serializers.FloatField()
    fallback = serializers.CharField(allow_null=True)
    lane = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())


class BudgetDocument(serializers.ModelSerializer[Budget]):
    """A cap, what is spent of it in the window that is open now, and what is held."""

    spent_usd = serializers.DecimalField(20, 9, source="spent_now_usd", read_only=True)
    window_started_at = serializers.DateTimeField(source="window_now", read_only=True)
    currency = serializers.SerializerMethodField()
    used_ratio = serializers.SerializerMethodField()
    forecast = serializers.SerializerMethodField()

    class Meta:
        model = Budget
        fields = ["id", "scope", "key", "window", "cap_usd", "soft_cap_usd", "spent_usd",
                  "held_usd", "currency", "used_ratio", "forecast", "window_started_at",
                  "is_active"]  # fmt: skip

    def get_currency(self, budget: Budget) -> str:
        return "USD"

    def get_used_ratio(self, budget: Budget) -> float | None:
        if not budget.cap_usd:
            return None
        return round(float((budget.spent_now_usd + budget.held_usd) / budget.cap_usd), 4)

    def get_forecast(self, budget: Budget) -> dict[str, Any] | None:
        """A month's end: expected, a 90 % range, and the day on which the cap is reached."""
        return outlook.document(outlook.of_budget(budget, now=timezone.now()))


class NewBudget(Fields):
    """A cap for one scope and window; ``key`` "*" is copied for each new one."""

    scope = serializers.ChoiceField(Budget.Scope.choices)
    key = serializers.CharField(max_length=64)
    window = serializers.ChoiceField(Budget.Window.choices)
    cap_usd = serializers.DecimalField(20, 9, min_value=0)
    soft_cap_usd = serializers.DecimalField(20, 9, min_value=0, required=False, allow_null=True)
    is_active = serializers.BooleanField(default=True)


class ServedModel(Fields):
    """A model that an endpoint serves."""

    name = serializers.CharField(max_length=120)
    tier = serializers.ChoiceField(["light", "standard", "strong"])
    context_tokens = serializers.IntegerField(min_value=256, max_value=10_000_000, default=8192)
    capabilities = serializers.ListField(child=serializers.CharField(max_length=40), default=list)
    first_token_seconds = serializers.FloatField(
        min_value=0.1, max_value=3600, required=False, allow_null=True,
        help_text="Longest wait for a stream's first token; else the installation's.",
    )  # fmt: skip


class EndpointDocument(Fields):
    """An endpoint, without its key."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    base_url = serializers.CharField()
    provider = serializers.CharField()
    is_offline = serializers.BooleanField()
    state = serializers.CharField()
    models = ServedModel(many=True)
    priority = serializers.IntegerField()
    weight = serializers.IntegerField()
    max_in_flight = serializers.IntegerField()
    limits = serializers.JSONField()
    api_key_env = serializers.CharField()
    has_key = serializers.BooleanField()
    health = serializers.JSONField()


class EndpointChange(Fields):
    """What may be changed of an endpoint in service; what is left out stays."""

    models = ServedModel(many=True, required=False)
    provider = serializers.RegexField(NAME, max_length=64, required=False, allow_blank=True)
    api_key = serializers.CharField(max_length=500, required=False, write_only=True)
    api_key_env = serializers.RegexField(r"^[A-Z][A-Z0-9_]{0,79}$", required=False)
    priority = serializers.IntegerField(min_value=0, max_value=1000, required=False)
    weight = serializers.IntegerField(min_value=1, max_value=100, required=False)
    max_in_flight = serializers.IntegerField(min_value=1, max_value=10_000, required=False)
    limits = serializers.DictField(child=serializers.IntegerField(min_value=1), required=False)
    is_paused = serializers.BooleanField(required=False)
    state = serializers.ChoiceField(
        ["active", "paused"], required=False, help_text="The same in the document's own word."
    )


class NewEndpoint(Fields):
    """An OpenAI-compatible address. The key is given by value (kept encrypted) or by name."""

    name = serializers.SlugField(max_length=64)
    base_url = serializers.URLField(max_length=300)
    provider = serializers.RegexField(NAME, max_length=64, required=False, allow_blank=True)
    models = ServedModel(many=True)
    api_key = serializers.CharField(max_length=500, required=False, write_only=True)
    api_key_env = serializers.RegexField(r"^[A-Z][A-Z0-9_]{0,79}$", required=False)
    priority = serializers.IntegerField(min_value=0, max_value=1000, default=100)
    weight = serializers.IntegerField(min_value=1, max_value=100, default=1)
    max_in_flight = serializers.IntegerField(min_value=1, max_value=10_000, default=64)
    limits = serializers.DictField(child=serializers.IntegerField(min_value=1), default=dict)
    is_paused = serializers.BooleanField(default=False)


class ScanRequest(Fields):
    """A text to look at."""

    text = serializers.CharField(max_length=200_000, allow_blank=True, trim_whitespace=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        ["user", "tool_result", "document", "earlier_turn"], default="user"
    )


class ScanDocument(Fields):
    """What the guardrails found; spans are in characters."""

    injection = serializers.JSONField()
    pii = serializers.JSONField()
    secrets = serializers.JSONField()
    redacted = serializers.CharField()
    decision = serializers.JSONField()
