"""What holds an agent back, and the other versions of it that may help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from agents import evidence
from agents.domain.context import estimate_tokens
from agents.versions import Content
from config.access.callers import any_reader
from learning import demonstrating, patterns
from learning.asking import Asked, Question
from learning.domain.goals import KINDS, Goal
from learning.domain.proposals import LIGHTER
from learning.domain.variations import Variation, variations

WINDOW = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Variant:
    """One other version of the agent, and why it may help."""

    kind: str
    content: Content
    why: str
    expects: str
    # Cases that it shows as examples, and is therefore not measured on.
    shown: frozenset[str] = frozenset()


def bottlenecks(
    agent: str, prompt: str, missed: Sequence[str], until: datetime
) -> list[dict[str, Any]]:
    """What holds the agent back: missed facts, failures, complaints, slow tools, long prompts."""
    since = until - WINDOW
    figures = evidence.call_figures(agent, since, until)
    found: list[dict[str, Any]] = []
    if missed:
        found.append({"kind": "missed_facts", "count": len(missed), "facts": list(missed[:10])})
    for pattern in patterns.listed(any_reader(), until=until.date(), agent=agent)[:5]:
        found.append({"kind": pattern["kind"], "title": pattern["title"], "pattern": pattern["key"],
                      "count": pattern["impact"]["count"], "trend": pattern["trend"]})  # fmt: skip
    for tool in evidence.slow_tools(agent, since, until)[:3]:
        found.append({"kind": "tool_time", **tool})
    tokens = estimate_tokens(prompt)
    found.append({
        "kind": "cost", "prompt_tokens": tokens, "calls": figures["calls"],
        "cost_usd": f"{Decimal(figures['cost_usd']):f}", "input_tokens": figures["input_tokens"],
        "output_tokens": figures["output_tokens"], "cache_hits": figures["hits"],
    })  # fmt: skip
    return found


def variants_of(
    agent: str,
    content: Content,
    goals: Sequence[Goal],
    missed: Sequence[str],
    found: Sequence[Mapping[str, Any]],
    parts: tuple[Sequence[Question], Sequence[Question]],
    before: Sequence[Asked | None] = (),
) -> list[Variant]:
    """The variants that serve ``goals``, each another content than the base's."""
    wanted = {kind for goal in goals for kind in KINDS[goal]}
    failures = [str(b["title"]) for b in found if b["kind"] == "failure"]
    made: list[Variant] = [
        _worded(content, v)
        for v in variations(content.prompt, tools=content.tools, missed=missed, failures=failures)
    ]
    made += [
        Variant(kind, other, why, "answers in their form")
        for kind, other, why in demonstrating.sets_for(agent, content, *parts)
    ]
    own = demonstrating.own_answers(content, parts[0], before) if before else None
    if own is not None:
        made.append(Variant("own_answers", own[0], f"{len(own[0].examples)} of its own answers "
                            "that were wholly right", "answers in their form; not measured on the "
                            "cases that it shows", frozenset(own[1])))  # fmt: skip
    lighter = LIGHTER.get(str(content.model.get("tier")))
    if lighter:
        made.append(Variant("lighter_model", replace(content, model={**content.model,
                            "tier": lighter}), f"the {lighter} model instead",
                            "lower cost; accuracy has to be measured"))  # fmt: skip
    return [variant for variant in made if variant.kind in wanted]


def _worded(content: Content, variation: Variation) -> Variant:
    return Variant(variation.kind, replace(content, prompt=variation.prompt), variation.why,
                   variation.expects)  # fmt: skip
