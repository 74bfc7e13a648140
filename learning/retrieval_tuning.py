"""Other retrieval settings for an agent: how documents are cut, how rankings are weighed.

Every configuration is indexed for real and searched by the path that serves, and scored on labelled
questions by what a context of the same length holds. 60 % of the questions choose, the rest says
what the choice is worth. What is better becomes an improvement; cuts that lost are removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from django.core.cache import cache
from django.utils import timezone

from agents import evidence, versions
from agents import services as agents
from agents.domain.chunking import cut_named
from agents.domain.retrieval import STANDARD
from agents.knowledge import index
from agents.knowledge.search import Found, search
from config.errors import AppError, Conflict, InvalidInput
from learning import improvements
from learning.domain import retrieving
from learning.domain.prioritise import BAD_CALL_USD, FORMULA, Priority, confidence_of, monthly
from learning.domain.retrieving import CONFIGURATIONS, Seen
from learning.domain.splits import share_of
from learning.domain.statistics.paired import bootstrap
from learning.labelling import (
    HELD_OUT_RATIO,
    MOST_DOCUMENTS,
    Ground,
    Labelled,
    Setting,
    ground_of,
)
from learning.models import Study

GOAL = "retrieval"
# The context lengths that are shown beside the one that decides, as multiples of it.
MULTIPLES = (1, 2, 4)
WINDOW = timedelta(days=28)
DEPTH = 50
# One tuning at a time: another could remove the passages that this one measures.
LOCK, LOCK_SECONDS = "retrieval-tuning", 900


def tune(
    *,
    agent: str,
    client_id: UUID,
    asked_by: str,
    questions: Sequence[Mapping[str, str]] = (),
    configurations: Sequence[str] = CONFIGURATIONS,
    context_tokens: int | None = None,
    cap_usd: Decimal = Decimal("0.5"),
    propose: bool = False,
) -> dict[str, Any]:
    """Scores of each configuration at equal context length, the best one, and its worth.

    ``questions`` are labelled by hand: ``question`` and ``answer``, words that a right context
    holds; marks of readers on passages are added. ``propose`` makes an improvement of what is
    better. Raises NotFound, InvalidInput, or Conflict for an agent that quotes no documents, too
    few labels, or while another tuning runs.
    """
    for name in configurations:
        _checked(name)
    ground = ground_of(agent, client_id, questions, context_tokens)
    with _alone():
        study = Study.objects.create(
            client_id=client_id, agent_slug=agent, version_id=ground.base.pk, goals=[GOAL],
            cap_usd=cap_usd, asked_by=asked_by[:80],
        )  # fmt: skip
        spent_before = index.embedding_cost_usd(ground.document_ids)
        chosen = ground.present
        try:
            rows, notes = _configurations(ground, configurations, cap_usd, spent_before)
            chosen, weighing = _weighed(ground, _best(ground, rows))
            body = _document(study, ground, rows, chosen, weighing, notes)
            body["cost_usd"] = f"{index.embedding_cost_usd(ground.document_ids) - spent_before:f}"
            if propose:
                body["improvement"] = _proposed(ground, study, chosen, body)
        finally:
            for name in configurations:
                index.drop_cut(name, ground.document_ids)
    Study.objects.filter(pk=study.pk).update(document=body, cost_usd=Decimal(body["cost_usd"]))
    return body


def tune_by_marks(slug: str, *, client_id: UUID) -> dict[str, Any] | None:
    """The weekly look: proposes from readers' marks alone; None where there is nothing to go on."""
    try:
        body = tune(agent=slug, client_id=client_id, asked_by="cycle", propose=True)
    except Conflict:
        return None
    return {"study": body["id"], "best": body["best"], "improvement": body.get("improvement")}


def _checked(name: str) -> None:
    try:
        cut_named(name)
    except ValueError as error:
        raise InvalidInput("configurations", name, str(error)) from None


@contextmanager
def _alone() -> Iterator[None]:
    if not cache.add(LOCK, 1, LOCK_SECONDS):
        raise Conflict("retrieval tuning", "running", "one at a time; try again later")
    try:
        yield
    finally:
        cache.delete(LOCK)


def _configurations(
    ground: Ground, configurations: Sequence[str], cap_usd: Decimal, spent_before: Decimal
) -> tuple[list[dict[str, Any]], list[str]]:
    """Each configuration's scores on the tuning questions, the present one first."""
    rows = [_scored(ground, ground.present)]
    notes = []
    for name in configurations:
        if index.embedding_cost_usd(ground.document_ids) - spent_before >= cap_usd:
            notes.append(f"{name} was not tried: the cap was reached")
            continue
        for document in index.quotable_documents(ground.sources)[:MOST_DOCUMENTS]:
            index.cut_again(document, cut_named(name))
            index.embed_pending(document_id=document.pk)
        rows.append(_scored(ground, replace(ground.present, name=name, cut=name)))
    return rows, notes


def _scored(ground: Ground, setting: Setting) -> dict[str, Any]:
    lengths = [ground.context_tokens * multiple for multiple in MULTIPLES]
    by_length: dict[int, list[float]] = {length: [] for length in lengths}
    fits = True
    for question in ground.tune:
        texts = [one.text for one in _found(ground, setting, question)]
        for length in lengths:
            context, whole = retrieving.context_of(texts, length, DEPTH)
            by_length[length].append(retrieving.held(context, question.wanted))
            fits = fits and (whole or length != ground.context_tokens)
    means = {length: round(float(np.mean(scores)), 4) for length, scores in by_length.items()}
    return {
        "name": setting.name, "cut": setting.cut, "score": means[ground.context_tokens],
        "by_context_tokens": {str(length): mean for length, mean in means.items()},
        "fits": fits, "passages": index.passages_in(setting.cut, ground.document_ids),
    }  # fmt: skip


def _found(ground: Ground, setting: Setting, question: Labelled) -> list[Found]:
    return search(
        question.text, client_ids={question.client_id}, limit=DEPTH, max_tokens=1_000_000,
        # Only standard passages bear marks: counting them would speak for what is there.
        titles=ground.titles, cut=setting.cut, weights=replace(setting.weights, marks=0.0),
    )  # fmt: skip


def _best(ground: Ground, rows: Sequence[Mapping[str, Any]]) -> Setting:
    """The way of cutting that holds most, among those whose passages fit; a tie changes nothing."""
    best = max((row for row in rows if row["fits"]), key=lambda row: row["score"], default=rows[0])
    return ground.present if best["score"] <= rows[0]["score"] else replace(
        ground.present, name=best["name"], cut=best["cut"])  # fmt: skip


def _weighed(ground: Ground, setting: Setting) -> tuple[Setting, dict[str, Any]]:
    """``setting`` with weights learnt from the tuning part's marks, if its context is no worse.

    Marks on held-out questions taught nothing; how they rank is told beside.
    """
    tune_keys, held_keys = ({q.key for q in part} for part in (ground.tune, ground.held))
    taught: list[Seen] = []
    other: list[Seen] = []
    for label, passage_id, is_helpful in ground.marks:
        ranks = next((one.ranks for one in _found(ground, ground.present, label)
                      if one.passage_id == passage_id), None)  # fmt: skip
        if ranks is None:
            continue
        # A question that only has unhelpful marks is in neither part: its own key decides.
        is_other = label.key in held_keys or (
            label.key not in tune_keys and share_of(label.key, seed="marks") < HELD_OUT_RATIO
        )
        (other if is_other else taught).append(Seen(ranks, is_helpful))
    learnt = retrieving.learn_weights(taught)
    body: dict[str, Any] = {"marks": len(taught) + len(other), "learnt": None, "adopted": False}
    if learnt is None:
        body["why"] = f"needs {retrieving.MIN_MARKS} helpful and as many unhelpful marks"
        return setting, body
    before, after = (retrieving.pairs_right(taught, w) for w in (ground.present.weights, learnt))
    held = [retrieving.pairs_right(other, w) for w in (ground.present.weights, learnt)]
    weighed = replace(setting, weights=learnt)
    rows = [_scored(ground, one) for one in (setting, weighed)]
    adopted = (
        before is not None and after is not None and after > before
        and rows[1]["score"] >= rows[0]["score"]
    )  # fmt: skip
    body |= {
        "learnt": dict(zip(("words", "nearest", "coverage"), learnt.rankings, strict=True)),
        "pairs_right_before": before, "pairs_right_after": after, "adopted": adopted,
        "held_out_before": held[0], "held_out_after": held[1],
    }  # fmt: skip
    return (weighed if adopted else setting), body


def _document(
    study: Study,
    ground: Ground,
    rows: list[dict[str, Any]],
    chosen: Setting,
    weighing: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    changed = chosen != ground.present
    return {
        "id": str(study.pk), "agent": study.agent_slug, "version": ground.base.number,
        "context_tokens": ground.context_tokens,
        "questions": {
            "given": sum(q.source == "given" for q in (*ground.tune, *ground.held)),
            "marked": sum(q.source == "marked" for q in (*ground.tune, *ground.held)),
            "tuning": len(ground.tune), "held_out": len(ground.held),
        },
        "configurations": rows, "weights": weighing,
        "best": chosen.name, "is_changed": changed,
        "held_out": _held_out(ground, chosen) if changed else None,
        "improvement": None, "notes": notes, "cost_usd": "0", "cap_usd": f"{study.cap_usd:f}",
        "currency": "USD",
    }  # fmt: skip


def _held_out(ground: Ground, chosen: Setting) -> dict[str, Any]:
    """The present settings and the chosen ones on questions that had no part in choosing."""
    scores: list[list[float]] = []
    for setting in (ground.present, chosen):
        scores.append([])
        for question in ground.held:
            texts = [one.text for one in _found(ground, setting, question)]
            context, _ = retrieving.context_of(texts, ground.context_tokens, DEPTH)
            scores[-1].append(retrieving.held(context, question.wanted))
    found = bootstrap(*scores, rng=np.random.default_rng(20261128))
    return {
        "cases": found.n, "base_score": round(float(np.mean(scores[0])), 4),
        "score": round(float(np.mean(scores[1])), 4), "difference": round(found.estimate, 4),
        "lower": round(found.lower, 4), "upper": round(found.upper, 4),
    }  # fmt: skip


def _is_better(held: Mapping[str, Any], weights: Mapping[str, Any]) -> bool:
    """More of the answers held; or as much, and helpful passages stand before unhelpful ones."""
    if held["difference"] != 0 or not weights["adopted"]:
        return bool(held["difference"] > 0)
    return (weights["held_out_after"] or 0) > (weights["held_out_before"] or 0)


def _proposed(
    ground: Ground, study: Study, chosen: Setting, body: Mapping[str, Any]
) -> dict[str, Any]:
    """An improvement of settings that held more of the answers on the questions held out."""
    held = body["held_out"]
    if held is None or not _is_better(held, body["weights"]):
        return {"refused": "no setting holds more of the answers on the questions held out"}
    settings = {**ground.base.retrieval, "max_tokens": ground.context_tokens}
    if chosen.cut:
        settings["cut"] = chosen.cut
        settings["passages"] = max(1, math.ceil(ground.context_tokens / cut_named(
            chosen.cut).max_tokens))  # fmt: skip
    if chosen.weights != STANDARD:
        settings["weights"] = dict(
            zip(("words", "nearest", "coverage"), chosen.weights.rankings, strict=True)
        )
    content = replace(versions.content_of(ground.base), retrieval=settings)
    now = timezone.now()
    calls = evidence.call_figures(study.agent_slug, now - WINDOW, now)["calls"]
    impact = monthly(held["difference"] * calls * BAD_CALL_USD, days=WINDOW.days)
    priority = Priority(max(impact, 0.0), confidence_of(held["cases"]), 0.5)
    try:
        version, _ = agents.publish(
            agent=evidence.agent(study.agent_slug), content=content,
            note=f"retrieval: {chosen.name}", created_by=study.asked_by,
        )  # fmt: skip
        row, created = improvements.propose(
            client_id=study.client_id, agent_slug=study.agent_slug, kind="retrieval",
            title=f"Find passages by {chosen.name} "
            f"{'with learnt weights' if body['weights']['adopted'] else 'tokens'}",
            proposal={"retrieval": settings, "version": str(version.pk)},
            evidence={"study": str(study.pk), "held_out": held,
                      "configurations": body["configurations"], "weights": body["weights"],
                      "formula": FORMULA, "priority": priority.shown()},
            expected={"metric": "answer held by the context", "direction": "up",
                      "score_difference": held["difference"]},
            impact=priority.impact_usd, confidence=priority.confidence,
            effort=priority.effort_days, risk=evidence.agent(study.agent_slug).risk,
            base_version_id=ground.base.pk, candidate_version_id=version.pk,
            proposed_by=study.asked_by,
        )  # fmt: skip
    except AppError as error:
        return {"refused": str(error)}
    return {"improvement": str(row.pk), "version_id": str(version.pk), "is_new": created}
