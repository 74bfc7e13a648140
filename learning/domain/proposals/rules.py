"""The rules in turn: patterns, drift, tools, costs, quality, replies, examples, conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from learning.domain.prioritise import BAD_CALL_USD, Priority, confidence_of, monthly
from learning.domain.proposals import tools
from learning.domain.proposals.facts import (
    MIN_COMPLAINTS,
    MIN_FAILURES,
    WAITING_USD,
    Facts,
    Proposal,
)

# Failures that another wording cannot help: the way to a model or a tool does.
WAYS = ("unavailable", "timeout", "rate_limited", "too_many_requests")
# The order of endpoints by errors and speed.
HEALTHY = "health"
# Share of bad calls under which a lighter model is worth a try, and what it would save.
GOOD_RATIO, LIGHTER_SAVES = 0.02, 0.5
LIGHTER = {"strong": "standard", "standard": "light"}
MIN_MONTHLY_USD = 5.0
STRONGER = {"light": "standard", "standard": "strong"}
# From which share of bad calls, in how many, a stronger model is worth a try, and what it costs.
BAD_RATIO, MIN_CALLS, STRONGER_COSTS = 0.1, 50, 5.0
# Conversations that went poorly, and their share, from which their flow is worth a change.
MIN_POOR, POOR_RATIO = 5, 0.2
MIN_REPEATED, MOST_OUTPUT_TOKENS = 20, 8_000


def propose(facts: Facts) -> list[Proposal]:
    """What the rules propose for one agent, the most urgent first."""
    found = [
        *_from_patterns(facts),
        *tools.of_missed_ones(facts),
        *_from_drift(facts),
        *tools.of_slow_ones(facts),
        *tools.of_failed_ones(facts),
        *_from_cost(facts),
        *_from_quality(facts),
        *_from_replies(facts),
        *_from_examples(facts),
        *_from_talks(facts),
    ]
    return sorted(found, key=lambda p: (-p.priority.score, p.title))


def _from_patterns(facts: Facts) -> Iterator[Proposal]:
    for pattern in facts.patterns:
        count = int(pattern["impact"]["count"])
        least = MIN_FAILURES if pattern["kind"] == "failure" else MIN_COMPLAINTS
        if count < least or tools.is_wished(facts, pattern, count) or _is_unseen(pattern):
            continue
        impact = monthly(count * BAD_CALL_USD, days=facts.days)
        title = str(pattern["title"])[:120]
        seen = {"pattern": pattern["key"], "count": count, "trend": pattern["trend"],
                "users": pattern["impact"]["users"], "runs": pattern["impact"]["runs"],
                "invocations": list(pattern.get("invocations", ()))}  # fmt: skip
        if pattern["kind"] == "complaint":
            yield Proposal(
                "prompt", f"Answer the complaint: {title}",
                {"rule": "complaint", "pattern": pattern["key"], "variations": ["explicit"]}, seen,
                {"metric": "rating", "direction": "up"},
                Priority(impact, confidence_of(count), 1.0), facts.risk, ("improve_accuracy",),
            )  # fmt: skip
        elif title.startswith(WAYS):
            yield Proposal(
                "routing", f"Route around: {title}",
                {"rule": "failure", "pattern": pattern["key"], "do": "another endpoint or tool, "
                 "a longer time limit, or a fallback", **_route(facts, title)}, seen,
                {"metric": "error_ratio", "direction": "down"},
                Priority(impact, confidence_of(count), 0.5), "low",
            )  # fmt: skip
        else:
            yield Proposal(
                "prompt", f"Prevent the failure: {title}",
                {"rule": "failure", "pattern": pattern["key"],
                 "variations": ["error_handling"]}, seen,
                {"metric": "error_ratio", "direction": "down"},
                Priority(impact, confidence_of(count), 0.5), facts.risk, ("improve_accuracy",),
            )  # fmt: skip


def _is_unseen(pattern: Mapping[str, Any]) -> bool:
    """Whether no version ever saw what failed: a guardrail had stopped the input before, or the
    version was taken out, for answers that are a pattern of their own."""
    title = str(pattern["title"])
    is_stopped = title.startswith("guardrail_blocked") and "guardrail blocked the input" in title
    return is_stopped or title.startswith("agent_tripped")


def _route(facts: Facts, title: str) -> dict[str, Any]:
    """Prefer what answers, where a choice of endpoints is left; no way to a tool is chosen so."""
    is_of_tool = "tool" in title.lower().replace(":", " ").split()
    if facts.endpoints < 2 or is_of_tool or facts.model.get("policy") == HEALTHY:
        return {}
    return {"model": {"policy": HEALTHY}}


def _from_drift(facts: Facts) -> Iterator[Proposal]:
    """One proposal a drifted metric that moved for the worse; a better one needs none."""
    for drift in facts.drifts:
        metric, before, now = drift["metric"], drift["reference_mean"], drift["current_mean"]
        if before is None or now is None or before == now:
            continue
        is_score = metric == "rating" or metric.startswith("score:")
        if (now < before) != is_score:
            continue
        calls = monthly(facts.calls, days=facts.days)
        if metric == "latency_seconds":
            impact, kind = (now - before) * calls * WAITING_USD, "tools"
        elif metric in ("cost_usd", "output_tokens"):
            share = (now - before) / now if now else 0.0
            impact, kind = monthly(facts.cost_usd, days=facts.days) * share, "parameters"
        elif metric == "errors" or is_score:
            share = abs(now - before) / max(abs(before), 1.0)
            impact, kind = share * calls * BAD_CALL_USD, "prompt"
        else:
            continue
        rows = min(drift["reference_rows"], drift["current_rows"])
        yield Proposal(
            kind, f"Undo the drift of {metric}",
            {"rule": "drift", "metric": metric, "version": drift["version_number"]},
            {"reference_mean": before, "current_mean": now, "effect": drift["effect"],
             "p_value": drift["p_value"], "windows": drift["streak"]},
            {"metric": metric, "direction": "up" if is_score else "down", "to": before},
            Priority(max(impact, 0.0), confidence_of(rows), 1.0), facts.risk,
        )  # fmt: skip


def _from_cost(facts: Facts) -> Iterator[Proposal]:
    cost = monthly(facts.cost_usd, days=facts.days)
    lighter = LIGHTER.get(facts.tier)
    if lighter is None or cost < MIN_MONTHLY_USD or not facts.calls:
        return
    if facts.bad / facts.calls > GOOD_RATIO:
        return
    yield Proposal(
        "model", f"Try the {lighter} model",
        {"rule": "cost", "model": {"tier": lighter}, "variations": ["lighter_model"]},
        {"cost_usd_a_month": round(cost, 2), "calls": facts.calls, "bad": facts.bad,
         "tier": facts.tier},
        {"metric": "cost_usd", "direction": "down", "ratio": LIGHTER_SAVES},
        Priority(cost * LIGHTER_SAVES, confidence_of(facts.calls, half=200), 0.5),
        facts.risk, ("reduce_cost",),
    )  # fmt: skip


def _from_quality(facts: Facts) -> Iterator[Proposal]:
    """A stronger model where many calls go wrong."""
    stronger = STRONGER.get(facts.tier)
    if stronger is None or facts.calls < MIN_CALLS or facts.bad / facts.calls < BAD_RATIO:
        return
    impact = monthly(facts.bad / 2 * BAD_CALL_USD, days=facts.days)
    dearer = monthly(facts.cost_usd, days=facts.days) * (STRONGER_COSTS - 1)
    if impact <= dearer:
        return
    yield Proposal(
        "model", f"Try the {stronger} model",
        {"rule": "quality", "model": {"tier": stronger}},
        {"calls": facts.calls, "bad": facts.bad, "tier": facts.tier,
         "dearer_usd_a_month": round(dearer, 2)},
        {"metric": "error_ratio", "direction": "down"},
        Priority(impact - dearer, confidence_of(facts.calls, half=200), 0.5), facts.risk,
        ("improve_accuracy",),
    )  # fmt: skip


def _from_replies(facts: Facts) -> Iterator[Proposal]:
    """Replies that were cut short; questions that were answered anew again and again."""
    replies, cut = int(facts.replies.get("replies", 0)), int(facts.replies.get("cut", 0))
    limit = facts.model.get("max_output_tokens")
    if isinstance(limit, int) and cut >= MIN_FAILURES and limit < MOST_OUTPUT_TOKENS:
        room = min(2 * limit, MOST_OUTPUT_TOKENS)
        yield Proposal(
            "parameters", f"Let replies have {room} tokens",
            {"rule": "cut_replies", "model": {"max_output_tokens": room}},
            {"replies": replies, "cut": cut, "max_output_tokens": limit},
            {"metric": "error_ratio", "direction": "down"},
            Priority(monthly(cut * BAD_CALL_USD, days=facts.days), confidence_of(cut), 0.25),
            facts.risk,
        )  # fmt: skip
    repeated = int(facts.replies.get("repeated", 0))
    warm = float(facts.model.get("temperature", 0.0) or 0.0) > 0
    if not (facts.calls and warm and facts.is_cacheable and repeated >= MIN_REPEATED):
        return
    saved = monthly(facts.cost_usd * repeated / facts.calls, days=facts.days)
    waited = monthly(facts.seconds * repeated / facts.calls * WAITING_USD, days=facts.days)
    yield Proposal(
        "cache", "Let repeated questions get the stored answer",
        {"rule": "repeated_questions", "model": {"temperature": 0.0}},
        {"calls": facts.calls, "repeated": repeated, "saved_usd_a_month": round(saved, 2),
         "less_waiting_usd_a_month": round(waited, 2)},
        {"metric": "cost_usd", "direction": "down", "ratio": round(1 - repeated / facts.calls, 3)},
        Priority(saved + waited, confidence_of(repeated), 0.25), facts.risk, ("reduce_cost",),
    )  # fmt: skip


def _from_talks(facts: Facts) -> Iterator[Proposal]:
    """Another flow where conversations end in a hand-over, in repeats or in complaints."""
    talks, poor = int(facts.talks.get("talks", 0)), int(facts.talks.get("poor", 0))
    if poor < MIN_POOR or poor / talks < POOR_RATIO:
        return
    yield Proposal(
        "flow", "Lead conversations another way",
        {"rule": "conversation_flow", "variations": ["conversation_flow"]},
        {"conversations": talks, "went_poorly": poor,
         "handed_over": int(facts.talks["handed_over"]),
         "mean_quality": round(float(facts.talks["quality_ratio"]), 3),
         "intents": dict(facts.talks["intents"]), "shown": list(facts.talks["shown"])},
        {"metric": "conversation_quality_ratio", "direction": "up"},
        Priority(monthly(poor * BAD_CALL_USD, days=facts.days), confidence_of(poor), 1.0),
        facts.risk,
    )  # fmt: skip


def _from_examples(facts: Facts) -> Iterator[Proposal]:
    if facts.unused_examples < MIN_COMPLAINTS:
        return
    impact = monthly(facts.unused_examples * BAD_CALL_USD, days=facts.days)
    yield Proposal(
        "prompt", "Show the corrected examples",
        {"rule": "examples", "variations": ["few_shot"]},
        {"approved_examples": facts.unused_examples},
        {"metric": "rating", "direction": "up"},
        Priority(impact, confidence_of(facts.unused_examples), 0.5),
        facts.risk, ("better_examples",),
    )  # fmt: skip
