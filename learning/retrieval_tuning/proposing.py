"""An improvement out of a tuning, if its settings hold more on questions held out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from agents import evidence, versions
from agents import services as agents
from agents.domain.chunking import cut_named
from agents.domain.retrieval import STANDARD
from config.errors import AppError
from learning import improvements
from learning.domain.prioritise import BAD_CALL_USD, FORMULA, Priority, confidence_of, monthly
from learning.labelling import Ground, Setting
from learning.models import Study

WINDOW = timedelta(days=28)


def proposed(
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


def _is_better(held: Mapping[str, Any], weights: Mapping[str, Any]) -> bool:
    """More of the answers held; or as much, and helpful passages stand before unhelpful ones."""
    if held["difference"] != 0 or not weights["adopted"]:
        return bool(held["difference"] > 0)
    return (weights["held_out_after"] or 0) > (weights["held_out_before"] or 0)
