"""Improvements out of what was found: the best variants of a study, and what the rules say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from agents import evidence, queries_calls
from agents.talk_figures import talk_figures
from config.access.callers import any_reader
from config.errors import AppError
from learning import (
    candidates,
    drifting,
    examples,
    improvements,
    patterns,
    retrieval_tuning,
    tool_writing,
    wishing,
)
from learning.bench import rank
from learning.domain.goals import KINDS, Goal
from learning.domain.prioritise import BAD_CALL_USD, FORMULA, Priority, confidence_of, monthly
from learning.domain.proposals import Facts, Proposal
from learning.domain.proposals import propose as by_rule
from learning.models import Improvement, Study, Tombstone

_NONE = {
    Goal.REDUCE_COST: "no variant was as good as the present one and cheaper",
    Goal.IMPROVE_ACCURACY: "no variant was better than the present one",
    Goal.BETTER_EXAMPLES: "no examples were better than the present ones",
}
_AIMS = {
    Goal.REDUCE_COST: "to reduce the cost",
    Goal.IMPROVE_ACCURACY: "to improve accuracy",
    Goal.BETTER_EXAMPLES: "as better examples",
}
# Figures of a study's bottlenecks are from this window.
STUDY_DAYS = 28.0
DRIFT_FIELDS = ("metric", "reference_mean", "current_mean", "effect", "p_value", "streak",
                "reference_rows", "current_rows", "version_number")  # fmt: skip


def propose_best(body: Mapping[str, Any], base_id: UUID, study: Study) -> list[dict[str, Any]]:
    """An improvement for each goal's best variant, unless it is worse on what was held out."""
    made = []
    figures = next(b for b in body["bottlenecks"] if b["kind"] == "cost")
    for goal in body["goals"]:
        best = best_of(body["variants"], Goal(goal))
        if best is None and not any(v["effect"].get("cases") for v in body["variants"]):
            made.append({"goal": goal, "refused": "nothing could be measured"})
        elif best is None:
            made.append({"goal": goal, "refused": _NONE[Goal(goal)]})
        elif (best.get("held_out") or {}).get("score_difference", 0) < 0:
            made.append({"goal": goal, "refused": "it is worse on the cases held out"})
        else:
            made.append(_one_proposal(goal, best, figures, base_id, study))
    return made


def best_of(variants: Sequence[dict[str, Any]], goal: Goal) -> dict[str, Any] | None:
    """The measured variant that serves ``goal`` best, and better than the base.

    For less cost, the cheapest of those that are no worse; for everything else the one with the
    highest score. Of equals the first, so that the same evidence gives the same proposal.
    """
    fitting = [
        v for v in variants
        if v["kind"] in KINDS[goal] and v["version_id"] and v["effect"].get("cases")
        and v["effect"]["score_difference"] >= 0
    ]  # fmt: skip
    if goal is Goal.REDUCE_COST:
        fitting = [v for v in fitting if (v["effect"]["cost_ratio"] or 1.0) < 1]
        return min(fitting, key=lambda v: v["effect"]["cost_ratio"], default=None)
    fitting = [v for v in fitting if v["effect"]["score_difference"] > 0]
    return max(fitting, key=lambda v: rank(v["effect"]), default=None)


def _one_proposal(
    goal: str, best: Mapping[str, Any], figures: Mapping[str, Any], base_id: UUID, study: Study
) -> dict[str, Any]:
    effect = best["effect"]
    gained = effect["score_difference"] * figures["calls"] * BAD_CALL_USD
    saved = (1 - (effect["cost_ratio"] or 1.0)) * float(figures["cost_usd"])
    impact = monthly(max(gained, 0.0) + max(saved, 0.0), days=STUDY_DAYS)
    priority = Priority(impact, confidence_of(effect["cases"]), 0.25)
    kind = Improvement.Kind.MODEL if best["kind"] == "lighter_model" else Improvement.Kind.PROMPT
    try:
        row, created = improvements.propose(
            client_id=study.client_id, agent_slug=study.agent_slug, kind=kind,
            title=f"{best['kind'].replace('_', ' ').capitalize()} {_AIMS[Goal(goal)]}",
            proposal={"variation": best["kind"], "version": best["version_id"]},
            evidence={"study": str(study.pk), "effect": effect, "held_out": best.get("held_out"),
                      "formula": FORMULA, "priority": priority.shown()},
            expected={"score_difference": effect["score_difference"],
                      "cost_ratio": effect["cost_ratio"], "how": effect["how"]},
            impact=priority.impact_usd, confidence=priority.confidence,
            effort=priority.effort_days, risk=evidence.agent(study.agent_slug).risk,
            base_version_id=base_id, candidate_version_id=UUID(best["version_id"]),
            proposed_by=study.asked_by,
        )  # fmt: skip
    except AppError as error:  # rolled back or refused before
        return {"goal": goal, "refused": str(error)}
    return {"goal": goal, "improvement": str(row.pk), "is_new": created}


def propose_by_rule(slug: str, until: datetime, *, client_id: UUID) -> dict[str, Any]:
    """Improvements that the rules see for one agent; what is barred or open stays as it is.

    Returns their ids, how many were new, and why others were refused.
    """
    base = evidence.production(slug)
    made: list[str] = []
    new, refused = 0, []
    for proposal in by_rule(gather(slug, until)):
        priority = proposal.priority
        twin = candidates.twin_of(slug, proposal.kind, proposal.change, _failure_of(proposal))
        if twin is not None:
            why = f"the very version that {twin.title!r} proposes"
            refused.append({"title": proposal.title, "why": why})
            continue
        try:
            row, created = improvements.propose(
                client_id=client_id, agent_slug=slug, kind=proposal.kind, title=proposal.title,
                proposal={**proposal.change}, expected={**proposal.expected},
                evidence={**proposal.evidence, "formula": FORMULA, "priority": priority.shown()},
                impact=priority.impact_usd, confidence=priority.confidence,
                effort=priority.effort_days, risk=proposal.risk, base_version_id=base.pk,
                proposed_by="rules",
            )  # fmt: skip
        except AppError as error:
            refused.append({"title": proposal.title, "why": str(error)})
            continue
        if created and candidates.attach(row, _failure_of(proposal)) is None:
            row.refresh_from_db()
            if row.state != Improvement.State.PROPOSED:
                refused.append({"title": proposal.title, "why": row.decision_reason})
                continue
        if created:
            _declare(row)
        made.append(str(row.pk))
        new += created
    found: dict[str, Any] = {"improvements": made, "new": new, "refused": refused}
    tuned = retrieval_tuning.tune_by_marks(slug, client_id=client_id)
    if tuned is not None:
        found["retrieval"] = tuned
        found["new"] += bool((tuned["improvement"] or {}).get("is_new"))
    return found


def _declare(row: Improvement) -> None:
    """Let a model declare the tool that people miss, where one can be asked."""
    draft = row.evidence.get("suggested_tool")
    if row.proposal.get("rule") != "missing_ability" or not draft:
        return
    reader, ids = any_reader(), row.evidence["feedback"]
    made, how = tool_writing.write(
        work_id=row.pk, client_id=row.client_id, draft=draft,
        quotes=wishing.quotes(reader, ids, most=tool_writing.MOST_SAID),
        told=wishing.said_by(reader, ids),
    )  # fmt: skip
    Improvement.objects.filter(pk=row.pk).update(
        evidence={**row.evidence, "suggested_tool": made, "declared": how}
    )


def _failure_of(proposal: Proposal) -> str:
    is_failure = proposal.change.get("rule") == "failure"
    return proposal.title.partition(": ")[2] if is_failure else ""


def _of_living(slug: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The patterns without those whose latest calls are all of versions that were taken back.

    Production answers as it did before them: nothing of it is to be changed for their sake.
    """
    rows = Tombstone.objects.filter(agent_slug=slug, lifted_at=None)
    barred = set(rows.values_list("version_id", flat=True))
    if not barred:
        return found
    ids = [UUID(str(one)) for pattern in found for one in pattern["invocations"]]
    calls = queries_calls.invocations_by_id(any_reader(), ids)
    gone = {str(call["id"]) for call in calls if call["version_id"] in barred}
    return [p for p in found if not p["invocations"] or not gone.issuperset(p["invocations"])]


def gather(slug: str, until: datetime) -> Facts:
    """What the rules look at: four weeks of one agent."""
    # What comes of it is read by all who may read improvements: nothing of a limited run is quoted.
    reader, since = any_reader(), until - timedelta(days=STUDY_DAYS)
    figures = evidence.call_figures(slug, since, until)
    version = evidence.production(slug)
    shown = {str(example.get("input")) for example in version.examples}
    drifts = drifting.listed(since=until - timedelta(days=2), agent=slug, confirmed=True)
    return Facts(
        slug=slug,
        days=STUDY_DAYS,
        calls=figures["calls"],
        bad=figures["bad"],
        cost_usd=float(figures["cost_usd"]),
        tier=str(version.model.get("tier", "standard")),
        risk=evidence.agent(slug).risk,
        unused_examples=sum(e.asked not in shown for e in examples.approved(slug)),
        patterns=_of_living(
            slug, patterns.listed(reader, until=until.date(), days=int(STUDY_DAYS), agent=slug)
        ),
        drifts=[
            {name: getattr(row, name) for name in DRIFT_FIELDS}
            for row in drifts
            if row.window_end <= until and row.version_id == version.pk
        ],
        tools=evidence.slow_tools(slug, since, until),
        seconds=float(figures["mean_seconds"]) * figures["calls"],
        failed_tools=evidence.failed_tools(reader, slug, since, until),
        replies=evidence.reply_figures(slug, since, until),
        model=version.model,
        is_cacheable=evidence.has_only_pure_tools(version),
        talks=talk_figures(slug, since, until),
        endpoints=evidence.endpoints_for(str(version.model.get("tier", "standard"))),
        wishes=wishing.of_agent(reader, slug, since, until, tools=version.tools),
    )
