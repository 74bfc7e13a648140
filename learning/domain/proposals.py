"""Proposals by rule: from patterns, drift, slow tools and costs of one agent.

``change`` says only what is to be done, never how often or how much: a proposal that was refused
must be recognised next week, when the figures are others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from learning.domain.prioritise import BAD_CALL_USD, Priority, confidence_of, monthly
from learning.domain.schemas import schema_of, tool_of

# Fewer mentions are chance.
MIN_FAILURES, MIN_COMPLAINTS = 5, 3
# One person alone gets no agent a tool.
MIN_PEOPLE = 2
# Failures that another wording cannot help: the way to a model or a tool does.
WAYS = ("unavailable", "timeout", "rate_limited", "too_many_requests")
# The order of endpoints by errors and speed.
HEALTHY = "health"
# A person who waits costs this much a second (60 USD an hour).
WAITING_USD = 60 / 3600
SLOW_SECONDS, SLOW_SHARE = 2.0, 0.5
# Share of bad calls under which a lighter model is worth a try, and what it would save.
GOOD_RATIO, LIGHTER_SAVES = 0.02, 0.5
LIGHTER = {"strong": "standard", "standard": "light"}
MIN_MONTHLY_USD = 5.0
RISKS = ("low", "medium", "high")
STRONGER = {"light": "standard", "standard": "strong"}
# From which share of bad calls, in how many, a stronger model is worth a try, and what it costs.
BAD_RATIO, MIN_CALLS, STRONGER_COSTS = 0.1, 50, 5.0
# Error codes of a tool that is not there, and of arguments that one refuses.
ABSENT, REFUSED = "not_found", ("invalid_input", "bad_answer")
# Conversations that went poorly, and their share, from which their flow is worth a change.
MIN_POOR, POOR_RATIO = 5, 0.2
MIN_REPEATED, MOST_OUTPUT_TOKENS = 20, 8_000


@dataclass(frozen=True, slots=True)
class Facts:
    """One agent over ``days``: its figures, and what patterns, drift and tools say of it.

    ``endpoints``: how many could answer for the production version.
    """

    slug: str
    days: float
    calls: int
    bad: int
    cost_usd: float
    tier: str
    risk: str = "medium"
    unused_examples: int = 0
    patterns: Sequence[Mapping[str, Any]] = ()
    drifts: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0
    failed_tools: Sequence[Mapping[str, Any]] = ()
    replies: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    is_cacheable: bool = True
    talks: Mapping[str, Any] = field(default_factory=dict)
    endpoints: int = 0
    wishes: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change with its reasons. ``expected`` names a metric and a direction."""

    kind: str
    title: str
    change: Mapping[str, Any]
    evidence: Mapping[str, Any]
    expected: Mapping[str, Any]
    priority: Priority
    risk: str = "medium"
    goals: tuple[str, ...] = field(default=())


def propose(facts: Facts) -> list[Proposal]:
    """What the rules propose for one agent, the most urgent first."""
    found = [
        *_from_patterns(facts),
        *_from_wishes(facts),
        *_from_drift(facts),
        *_from_tools(facts),
        *_from_failed_tools(facts),
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
        if count < least or _is_wished(facts, pattern, count):
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


def _wishes(facts: Facts) -> list[Mapping[str, Any]]:
    """Abilities that are missed often enough, and that no tool of the agent's own gives."""
    return [
        wish for wish in facts.wishes
        if int(wish["count"]) >= MIN_COMPLAINTS and int(wish["people"]) >= MIN_PEOPLE
        and not wish["has"]
    ]  # fmt: skip


def _is_wished(facts: Facts, pattern: Mapping[str, Any], count: int) -> bool:
    """Whether most of a pattern's complaints miss an ability: no wording gives that.

    Once its tool was refused, a wording can at least say that there is none.
    """
    open_ones = [wish for wish in _wishes(facts) if not wish["is_barred"]]
    missed = sum(int(wish["patterns"].get(pattern["key"], 0)) for wish in open_ones)
    return pattern["kind"] == "complaint" and missed * 2 >= count


def change_of(wish: Mapping[str, Any]) -> dict[str, Any]:
    """What is proposed for a wish."""
    given = {"tools": [wish["offered"]]} if wish["offered"] else {}
    return {"rule": "missing_ability", "ability": wish["key"], **given}


def _from_wishes(facts: Facts) -> Iterator[Proposal]:
    """A tool for what people say the agent has no way to do: a registered one, or a new one.

    Never of low risk, whatever the agent's is: a person decides what an agent gets to call.
    """
    for wish in _wishes(facts):
        count, offered = int(wish["count"]), str(wish["offered"])
        does = str(wish["tool"]["description"]).rstrip(".")
        impact = monthly(count * BAD_CALL_USD, days=facts.days)
        patterns = sorted(wish["patterns"], key=lambda key: (-wish["patterns"][key], key))
        seen = {"count": count, "people": wish["people"], "invocations": list(wish["invocations"]),
                "feedback": list(wish["feedback"]),
                **({"pattern": patterns[0]} if patterns else {})}  # fmt: skip
        change, expected = change_of(wish), {"metric": "rating", "direction": "up"}
        if offered:
            yield Proposal(
                "tools", f"Give it the tool {offered}", change,
                {**seen, "does": wish["tool"]["description"]}, expected,
                Priority(impact, confidence_of(count), 0.5),
                max(facts.risk, "medium", key=RISKS.index) if wish["is_safe"] else "high",
            )  # fmt: skip
        else:
            yield Proposal(
                "tools", f"Add a tool: {does[:1].lower()}{does[1:]}", change,
                {**seen, "suggested_tool": dict(wish["tool"])}, expected,
                Priority(impact, confidence_of(count), 3.0), "high",
            )  # fmt: skip


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


def _from_tools(facts: Facts) -> Iterator[Proposal]:
    for tool in facts.tools:
        mean, total = float(tool["mean_seconds"]), float(tool["total_seconds"])
        if mean < SLOW_SECONDS or total < SLOW_SHARE * facts.seconds:
            continue
        impact = monthly(total / 2 * WAITING_USD, days=facts.days)
        yield Proposal(
            "tools", f"Speed up {tool['name']}",
            {"rule": "slow_tool", "tool": tool["name"],
             "do": "cache its results, or declare a faster fallback"},
            {"calls": tool["calls"], "mean_seconds": mean, "total_seconds": total,
             "share": round(total / facts.seconds, 3) if facts.seconds else None},
            {"metric": "latency_seconds", "direction": "down"},
            Priority(impact, confidence_of(int(tool["calls"])), 1.0), "low",
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


def _from_failed_tools(facts: Facts) -> Iterator[Proposal]:
    """A tool that models ask for and the agent lacks; arguments that a tool keeps refusing."""
    for tool in facts.failed_tools:
        name, count = str(tool["name"]), int(tool["calls"])
        if count < MIN_FAILURES or tool["code"] not in (ABSENT, *REFUSED):
            continue
        impact = monthly(count * BAD_CALL_USD, days=facts.days)
        seen = {"calls": count, "invocations": list(tool["invocations"]),
                "error": str(tool["message"])[:200]}  # fmt: skip
        if tool["code"] == ABSENT:
            declared = tool_of(name, tool["arguments"], purpose=f"Asked for by {facts.slug}.")
            yield Proposal(
                "tools", f"Add the tool {name}", {"rule": "absent_tool", "tool": name},
                {**seen, "suggested_tool": declared},
                {"metric": "error_ratio", "direction": "down"},
                Priority(impact, confidence_of(count), 3.0), "high",
            )  # fmt: skip
        else:
            good = schema_of(tool["good"]) if tool["good"] else None
            yield Proposal(
                "tools", f"Declare the arguments of {name} more clearly",
                {"rule": "refused_arguments", "tool": name},
                {**seen, "asked_with": schema_of(tool["arguments"]), "worked_with": good},
                {"metric": "error_ratio", "direction": "down"},
                Priority(impact, confidence_of(count), 1.0), "medium",
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
        {"calls": facts.calls, "repeated": repeated, "saved_usd_a_month": round(saved, 2)},
        {"metric": "cost_usd", "direction": "down", "ratio": 1 - repeated / facts.calls},
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
