"""Proposals about tools: slow, absent or refusing ones, and those that people miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from learning.domain.prioritise import BAD_CALL_USD, Priority, confidence_of, monthly
from learning.domain.proposals.facts import (
    MIN_COMPLAINTS,
    MIN_FAILURES,
    WAITING_USD,
    Facts,
    Proposal,
)
from learning.domain.schemas import schema_of, tool_of

# One person alone gets no agent a tool.
MIN_PEOPLE = 2
RISKS = ("low", "medium", "high")
SLOW_SECONDS, SLOW_SHARE = 2.0, 0.5
# Error codes of a tool that is not there, and of arguments that one refuses.
ABSENT, REFUSED = "not_found", ("invalid_input", "bad_answer")


def of_slow_ones(facts: Facts) -> Iterator[Proposal]:
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


def of_failed_ones(facts: Facts) -> Iterator[Proposal]:
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


def of_missed_ones(facts: Facts) -> Iterator[Proposal]:
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


def _wishes(facts: Facts) -> list[Mapping[str, Any]]:
    """Abilities that are missed often enough, and that no tool of the agent's own gives."""
    return [
        wish for wish in facts.wishes
        if int(wish["count"]) >= MIN_COMPLAINTS and int(wish["people"]) >= MIN_PEOPLE
        and not wish["has"]
    ]  # fmt: skip


def is_wished(facts: Facts, pattern: Mapping[str, Any], count: int) -> bool:
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
