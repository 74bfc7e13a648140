"""Searching for a better prompt: bottlenecks, other wordings, and what they do on graded cases.

Variants are compared on one part of the graded cases and the best is checked on the part held
out, because the best of several looks better than it is. What could not be asked within the cap
or the time is estimated from lengths, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import evidence, queries, versions
from agents import services as agents
from agents.domain.context import estimate_tokens
from agents.versions import Content
from config.errors import AppError, InvalidInput
from learning import examples, patterns
from learning.asking import Asked, Question, corrected_questions, graded_questions
from learning.bench import Bench, estimated, measured, rank
from learning.domain.goals import KINDS, Goal
from learning.domain.proposals import LIGHTER
from learning.domain.splits import split
from learning.domain.variations import Variation, variations
from learning.models import Study
from learning.proposing import propose_best

WINDOW = timedelta(days=28)
HELD_OUT_RATIO = 0.4
MOST_CAP_USD = Decimal(20)
# A person waits for the answer; what is not measured by then is estimated.
MOST_SECONDS = 45.0
FEW_SHOTS = 3


@dataclass(frozen=True, slots=True)
class Variant:
    """One other version of the agent, and why it may help."""

    kind: str
    content: Content
    why: str
    expects: str


def vary(
    *,
    agent: str,
    goals: Sequence[str],
    client_id: UUID,
    asked_by: str,
    cap_usd: Decimal,
    measure: bool = True,
    propose: bool = False,
) -> dict[str, Any]:
    """Bottlenecks, variants with their estimated effect, and what the search cost.

    ``propose`` makes an improvement of the best variant of each goal. Raises NotFound for an
    unknown agent, InvalidInput for an unknown goal or a cap out of range.
    """
    wanted = [_goal(goal) for goal in dict.fromkeys(goals)]
    if not 0 < cap_usd <= MOST_CAP_USD:
        raise InvalidInput("cap_usd", str(cap_usd), f"above 0, at most {MOST_CAP_USD}")
    now = timezone.now()
    base = evidence.production(agent)
    study = Study.objects.create(
        client_id=client_id, agent_slug=agent, version_id=base.pk, goals=[*wanted],
        cap_usd=cap_usd, asked_by=asked_by[:80],
    )  # fmt: skip
    questions = [*graded_questions(agent, client_id), *corrected_questions(agent, now)]
    first, held = split(questions, key=lambda q: q.case.key, held_out_ratio=HELD_OUT_RATIO,
                        seed=agent)  # fmt: skip
    # Corrections of the first part may stand in a prompt as examples, so they are not asked.
    tune = [question for question in first if question.case.source != "correction"]
    bench = None
    if measure and questions:
        agents.open_run_budget(run_id=study.pk, client_id=client_id, cap_usd=cap_usd)
        bench = Bench(study, time.monotonic() + MOST_SECONDS)
    before = bench.score(base.pk, tune) if bench else []
    missed = list(dict.fromkeys(m for a in before if a for m in a.graded.missing))
    found = bottlenecks(agent, base.prompt, missed, now)
    made = variants_of(agent, versions.content_of(base), wanted, missed, found, (tune, held))
    shown = [_assessed(v, base, study, bench, tune, before) for v in made]
    _check_held_out(shown, base.pk, bench, held)
    body = _document(study, base.number, wanted, found, shown, (len(tune), len(held)), bench)
    if propose:
        body["improvements"] = propose_best(body, base.pk, study)
    Study.objects.filter(pk=study.pk).update(document=body, cost_usd=Decimal(body["cost_usd"]))
    return body


def _goal(name: str) -> Goal:
    try:
        return Goal(name)
    except ValueError:
        known = ", ".join(goal.value for goal in Goal)
        raise InvalidInput("goals", name, f"one of {known}") from None


def bottlenecks(
    agent: str, prompt: str, missed: Sequence[str], until: datetime
) -> list[dict[str, Any]]:
    """What holds the agent back: missed facts, failures, complaints, slow tools, long prompts."""
    since = until - WINDOW
    figures = evidence.call_figures(agent, since, until)
    found: list[dict[str, Any]] = []
    if missed:
        found.append({"kind": "missed_facts", "count": len(missed), "facts": list(missed[:10])})
    for pattern in patterns.listed(None, until=until.date(), agent=agent)[:5]:
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
) -> list[Variant]:
    """The variants that serve ``goals``, each another content than the base's."""
    wanted = {kind for goal in goals for kind in KINDS[goal]}
    failures = [str(b["title"]) for b in found if b["kind"] == "failure"]
    made: list[Variant] = [
        _worded(content, v)
        for v in variations(content.prompt, tools=content.tools, missed=missed, failures=failures)
    ]
    shots = _shots(agent, *parts)
    if shots and shots != content.examples:
        made.append(Variant("few_shot", replace(content, examples=shots),
                            f"{len(shots)} reviewed examples, near to the graded questions "
                            "and unlike one another", "answers in their form"))  # fmt: skip
    lighter = LIGHTER.get(str(content.model.get("tier")))
    if lighter:
        made.append(Variant("lighter_model", replace(content, model={**content.model,
                            "tier": lighter}), f"the {lighter} model instead",
                            "lower cost; accuracy has to be measured"))  # fmt: skip
    return [variant for variant in made if variant.kind in wanted]


def _worded(content: Content, variation: Variation) -> Variant:
    return Variant(variation.kind, replace(content, prompt=variation.prompt), variation.why,
                   variation.expects)  # fmt: skip


def _shots(agent: str, tune: Sequence[Question], held: Sequence[Question]) -> list[dict[str, Any]]:
    about = " ".join(str(question.inputs) for question in tune)[:4000]
    hidden = {q.recorded_id for q in held if q.recorded_id}
    return [*examples.few_shot(agent, about, most=FEW_SHOTS, without=hidden)]


def _assessed(
    variant: Variant,
    base: Any,
    study: Study,
    bench: Bench | None,
    tune: Sequence[Question],
    before: Sequence[Asked | None],
) -> dict[str, Any]:
    """One variant with its effect: measured on the tuning cases, or else from lengths."""
    tokens = estimate_tokens(variant.content.prompt) - estimate_tokens(base.prompt)
    body: dict[str, Any] = {
        "kind": variant.kind, "why": variant.why, "expects": variant.expects,
        "prompt": variant.content.prompt, "examples": variant.content.examples,
        "model": variant.content.model, "prompt_tokens_difference": tokens,
        "version_id": None, "effect": estimated(tokens, base.prompt),
    }  # fmt: skip
    if bench is None or bench.is_stopped:
        return body
    try:
        version, _ = agents.publish(
            agent=evidence.agent(study.agent_slug), content=variant.content,
            note=f"variation: {variant.kind}", created_by=study.asked_by,
        )  # fmt: skip
    except AppError as error:
        return {**body, "refused": str(error)}
    body["version_id"] = str(version.pk)
    effect = measured(before, bench.score(version.pk, tune), part="tuning")
    if effect is not None:
        body["effect"] = effect
    return body


def _check_held_out(
    shown: list[dict[str, Any]], base_id: UUID, bench: Bench | None, held: Sequence[Question]
) -> None:
    """Measure the best variant, and it alone, on the cases that had no part in choosing it."""
    tried = [v for v in shown if v["effect"].get("cases")]
    if bench is None or bench.is_stopped or not tried or not held:
        return
    best = max(tried, key=lambda v: rank(v["effect"]))
    before = bench.score(base_id, held)
    best["held_out"] = measured(before, bench.score(UUID(best["version_id"]), held),
                                 part="held-out")  # fmt: skip
    best["is_best"] = True


def _document(
    study: Study,
    number: int,
    goals: Sequence[Goal],
    found: list[dict[str, Any]],
    shown: list[dict[str, Any]],
    sizes: tuple[int, int],
    bench: Bench | None,
) -> dict[str, Any]:
    return {
        "id": str(study.pk), "agent": study.agent_slug, "version": number,
        "goals": [goal.value for goal in goals], "bottlenecks": found, "variants": shown,
        "split": {"tuning": sizes[0], "held_out": sizes[1],
                  "stopped": bench.is_stopped if bench else "not measured"},
        "cost_usd": f"{Decimal(queries.run_costs(study.pk)['cost_usd']):f}",
        "cap_usd": f"{study.cap_usd:f}", "currency": "USD",
    }  # fmt: skip
