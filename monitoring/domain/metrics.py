"""Every metric that is recorded and every label it may carry: the one list of names.

Units stand in names. A counter adds up; a distribution is kept as a sketch and has percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How values of a metric are put together."""

    COUNTER = "counter"
    DISTRIBUTION = "distribution"


@dataclass(frozen=True, slots=True)
class Metric:
    """``higher_is_better`` None: neither, it is just so much."""

    name: str
    title: str
    kind: Kind
    unit: str
    higher_is_better: bool | None


def _counter(name: str, title: str, better: bool | None = None, unit: str = "") -> Metric:
    return Metric(name, title, Kind.COUNTER, unit, better)


def _spread(name: str, title: str, unit: str, better: bool | None = False) -> Metric:
    return Metric(name, title, Kind.DISTRIBUTION, unit, better)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # agents
        _counter("invocations", "Agent calls"),
        _counter("invocation_errors", "Failed agent calls", False),
        _counter("invocations_blocked", "Calls blocked by a guardrail"),
        _counter("invocation_fallbacks", "Calls answered by the fallback", False),
        _counter("cache_hits", "Calls answered from the cache", True),
        _spread("invocation_duration_seconds", "Latency", "s"),
        _spread("model_duration_seconds", "Time in models", "s"),
        _spread("first_token_seconds", "Time to the first token", "s"),
        _counter("input_tokens", "Tokens read", unit="tokens"),
        _counter("cached_tokens", "Tokens read from the provider's cache", True, "tokens"),
        _counter("output_tokens", "Tokens written", unit="tokens"),
        _spread("cost_usd", "Cost", "USD"),
        _counter("saved_usd", "Cost saved by the cache", True, "USD"),
        _counter("saved_by_routing_usd", "Cost saved by routing", True, "USD"),
        _counter("saved_by_tokens_usd", "Cost saved by fewer tokens", True, "USD"),
        _counter("demo_invocations", "Calls of the demo"),
        _counter("tool_calls", "Tool calls"),
        _counter("model_calls", "Model calls"),
        # workflows
        _counter("runs", "Runs ended"),
        _counter("run_errors", "Runs failed", False),
        _spread("run_duration_seconds", "Duration of a run", "s"),
        _spread("run_cost_usd", "Cost of a run", "USD"),
        _counter("steps", "Steps ended"),
        _counter("step_retries", "Steps tried again", False),
        _spread("step_duration_seconds", "Duration of a step", "s"),
        _spread("queue_wait_seconds", "Wait for a worker", "s"),
        _counter("approvals", "Approvals answered"),
        _counter("approvals_given", "Approvals given", True),
        _counter("escalations", "Hand-overs to a person", False),
        _counter("rework", "Results that were done again", False),
        _counter("demo_runs", "Runs of the demo"),
        # conversations
        _counter("conversations", "Conversations begun"),
        _counter("conversation_turns", "Questions in conversations"),
        _counter("conversations_ended", "Conversations ended"),
        _counter("conversations_handed_over", "Conversations handed over to a person", False),
        _counter("conversations_abandoned", "Conversations abandoned", False),
        _spread("conversation_quality_ratio", "Quality of a conversation", "ratio", True),
        # quality
        _spread("accuracy_ratio", "Accuracy", "ratio", True),
        _spread("satisfaction_score", "Satisfaction (1 to 5)", "score", True),
        _counter("feedback", "Feedback given", True),
        _counter("runs_with_feedback", "Runs that got feedback", True),
        _counter("improvements_deployed", "Improvements deployed", True),
        _spread("edge_case_coverage_ratio", "Edge cases covered", "ratio", True),
        _spread("automated_ratio", "Processes automated", "ratio", True),
        _counter("learning_cost_usd", "Cost of learning", unit="USD"),
        # load
        _spread("queue_depth", "Messages waiting", "messages"),
        _spread("budget_used_ratio", "Budget used", "ratio"),
        _spread("drift_score", "Drift", "score"),
        _counter("security_events", "Security events", False),
    )
}

LABELS = frozenset(
    {
        "agent", "version", "domain", "workflow", "step", "endpoint", "provider", "model",
        "client",
        "audience", "user", "experiment", "code", "queue", "budget", "intent", "channel",
        "key",
    }
)  # fmt: skip

# What windows are summed by. A scope takes part where all its labels are given. Everything a
# client may see of itself begins with its label.
SCOPES: dict[str, tuple[str, ...]] = {
    "all": (),
    "agent": ("agent",),
    "version": ("agent", "version"),
    "domain": ("domain",),
    "workflow": ("workflow",),
    "step": ("workflow", "step"),
    "endpoint": ("endpoint",),
    "model": ("model",),
    "audience": ("audience",),
    "client": ("client",),
    "client_agent": ("client", "agent"),
    "client_domain": ("client", "domain"),
    "client_workflow": ("client", "workflow"),
    "client_step": ("client", "workflow", "step"),
    "user": ("user",),
    "key": ("key",),
    "experiment": ("experiment",),
    "code": ("code",),
    "agent_code": ("agent", "code"),
    "agent_endpoint": ("agent", "endpoint"),
    "provider_endpoint": ("provider", "endpoint"),
    "domain_code": ("domain", "code"),
    "client_code": ("client", "code"),
    "intent": ("intent",),
    "channel": ("channel",),
    "client_intent": ("client", "intent"),
    "client_channel": ("client", "channel"),
    "queue": ("queue",),
    "budget": ("budget",),
}
SEPARATOR = "|"


def workflow_of(scope: str, key: str) -> str:
    """The workflow that a key of a scope is about; empty if it is about none."""
    about = dict(zip(SCOPES.get(scope, ()), key.split(SEPARATOR), strict=False))
    return about.get("workflow", "")


# What somebody reads who sees only some clients, or asks for one: the scope of a scope.
OF_ONE_CLIENT: dict[str, str] = {
    "all": "client",
    "agent": "client_agent",
    "domain": "client_domain",
    "workflow": "client_workflow",
    "step": "client_step",
    "intent": "client_intent",
    "channel": "client_channel",
}
STATISTICS = ("total", "mean", "p50", "p95", "p99", "maximum", "ratio")


def fault_of_beside(given: object) -> str:
    """What is wrong with the further metrics of a rule about several together; empty: nothing."""
    wanted = 'one or more such as {"metric": "cost_usd", "statistic": "total"}'
    if not isinstance(given, list) or not given:
        return wanted
    for one in given:
        if not isinstance(one, dict) or one.keys() - {"metric", "statistic", "denominator"}:
            return f"{one!r}: {wanted}"
        share = one.get("statistic") == "ratio"
        names = [one.get("metric"), *([one.get("denominator")] if share else [])]
        for name in names:
            if name not in METRICS:
                return f"metric {name!r}: one of {', '.join(METRICS)}"
        if one.get("statistic", "total") not in STATISTICS:
            return f"statistic {one['statistic']!r}: one of {', '.join(STATISTICS)}"
    return ""
