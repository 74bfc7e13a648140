"""Searching for a better version: bottlenecks, variants, and what they do on graded cases.

Variants are compared on one part of the graded cases and the best is checked on the part held
out, because the best of several looks better than it is. What could not be asked within the cap
or the time is estimated from lengths, and says so.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import evidence, queries, versions
from agents import services as agents
from agents.domain.context import estimate_tokens
from agents.versions import Content
from config.access.callers import any_reader
from config.errors import AppError, InvalidInput
from config.readable import plural
from learning import examples, patterns, reflecting
from learning.asking import Question, corrected_questions, graded_questions
from learning.bench import Bench, estimated, measured, rank
from learning.domain.goals import KINDS, Goal
from learning.domain.reflection import Reason
from learning.domain.splits import split
from learning.models import Study
from learning.proposing import best_of, propose_best
from learning.reflecting import Tried
from learning.variants import Variant, bottlenecks, variants_of

HELD_OUT_RATIO = 0.4
MOST_CAP_USD = Decimal(20)
# A person waits for the answer; what is not measured by then is estimated.
MOST_SECONDS = 45.0
# Complaints and failures that the search reads as reasons.
MOST_REASONS = 4


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
    content = versions.content_of(base)
    made = variants_of(agent, content, wanted, missed, found, (tune, held), before)
    tried: list[Tried] = [Tried("present", content, base.pk, [*before])]
    shown = [_assessed(v, base, study, bench, tune, tried) for v in made]
    search = None
    if bench and any(before) and Goal.IMPROVE_ACCURACY in wanted:
        search = reflecting.evolve(bench, tune, tried, _reasons(agent, found, held, now))
        shown += [_found(one, base) for one in search.shown]
    _check_held_out(shown, wanted, base.pk, bench, held)
    body = _document(study, base.number, wanted, found, shown, (len(tune), len(held)), bench)
    body["pareto"] = reflecting.pareto(search) if search else None
    refused = [bench.refused_by] if bench and bench.refused_by else []
    body["notes"] = [*refused, *_unanswered(bench), *_notes(wanted, shown, questions)]
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


def _reasons(
    agent: str, found: Sequence[Mapping[str, Any]], held: Sequence[Question], now: datetime
) -> list[Reason]:
    """What people and records say against the agent, without a word on held-out questions."""
    hidden = {q.recorded_id for q in held if q.recorded_id}
    corrected = [e.reason for e in examples.approved(agent) if e.invocation_id not in hidden]
    said = patterns.listed(any_reader(), until=now.date(), agent=agent, kind="complaint")
    failures = [str(b["title"]) for b in found if b["kind"] == "failure"]
    return reflecting.reasons_of(
        [text for text in corrected if text][:MOST_REASONS],
        [{"title": one["example"] or one["title"]} for one in said[:MOST_REASONS]],
        failures[:MOST_REASONS],
    )


def _assessed(
    variant: Variant,
    base: Any,
    study: Study,
    bench: Bench | None,
    tune: Sequence[Question],
    tried: list[Tried],
) -> dict[str, Any]:
    """One variant with its effect: measured on the tuning cases, or else from lengths."""
    body = _described(variant.kind, variant.content, base, variant.why, variant.expects)
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
    asked = [place for place, q in enumerate(tune) if q.case.key not in variant.shown]
    answers = bench.score(version.pk, [tune[place] for place in asked])
    effect = measured([tried[0].answers[place] for place in asked], answers, part="tuning")
    if effect is not None:
        body["effect"] = effect
    if not variant.shown and None not in answers:
        tried.append(Tried(variant.kind, variant.content, version.pk, answers))
    return body


def _found(one: Mapping[str, Any], base: Any) -> dict[str, Any]:
    """A variant of the search in the shape of all others."""
    body = _described(one["kind"], one["content"], base, one["why"], one["expects"])
    body |= {name: one[name] for name in ("name", "parent", "version_id")}
    return {**body, "effect": one["effect"] or body["effect"]}


def _described(kind: str, content: Content, base: Any, why: str, expects: str) -> dict[str, Any]:
    tokens = estimate_tokens(content.prompt) - estimate_tokens(base.prompt)
    return {
        "kind": kind, "name": kind, "parent": "present", "why": why, "expects": expects,
        "prompt": content.prompt, "examples": content.examples, "model": content.model,
        "prompt_tokens_difference": tokens, "version_id": None,
        "effect": estimated(tokens, base.prompt),
    }  # fmt: skip


def _unanswered(bench: Bench | None) -> list[str]:
    silent = Counter(bench.silent).most_common() if bench else []
    return [f"{plural(count, 'answer is', 'answers are')} missing: {why}" for why, count in silent]


def _notes(
    goals: Sequence[Goal], shown: Sequence[Mapping[str, Any]], questions: Sequence[Question]
) -> list[str]:
    """What the caller can do where the search had nothing to go on."""
    notes = []
    if not questions:
        notes.append("nothing was measured: the agent has no graded cases and no corrections")
    for goal in goals:
        if not any(one["kind"] in KINDS[goal] for one in shown):
            notes.append(f"no variant for {goal.value}" + (
                ": correct answers and approve them as examples first"
                if goal is Goal.BETTER_EXAMPLES else ""))  # fmt: skip
    return notes


def _check_held_out(
    shown: list[dict[str, Any]],
    goals: Sequence[Goal],
    base_id: UUID,
    bench: Bench | None,
    held: Sequence[Question],
) -> None:
    """Measure the best variant of each goal, and it alone, on cases that had no part in choosing.

    The best of all is marked.
    """
    tried = [v for v in shown if v["effect"].get("cases")]
    if bench is None or bench.is_stopped or not tried or not held:
        return
    max(tried, key=lambda v: rank(v["effect"]))["is_best"] = True
    before = bench.score(base_id, held)
    for goal in goals:
        best = best_of(tried, goal)
        if best is not None and "held_out" not in best:
            after = bench.score(UUID(best["version_id"]), held)
            best["held_out"] = measured(before, after, part="held-out")


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
        "cases": sorted(bench.answered) if bench else [],
        "cost_usd": f"{Decimal(queries.run_costs(study.pk)['cost_usd']):f}",
        "cap_usd": f"{study.cap_usd:f}", "currency": "USD",
    }  # fmt: skip
