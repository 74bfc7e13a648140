"""What a context holds under a setting: scores on questions, learnt weights, the held-out check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from agents.knowledge import index
from agents.knowledge.search import Found, search
from learning.domain import retrieving
from learning.domain.retrieving import Seen
from learning.domain.splits import share_of
from learning.domain.statistics.paired import bootstrap
from learning.labelling import HELD_OUT_RATIO, Ground, Labelled, Setting

# The context lengths that are shown beside the one that decides, as multiples of it.
MULTIPLES = (1, 2, 4)
DEPTH = 50


def scored(ground: Ground, setting: Setting) -> dict[str, Any]:
    """A setting's row: what contexts of each length hold of the tuning questions' answers."""
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


def best_of(ground: Ground, rows: Sequence[Mapping[str, Any]]) -> Setting:
    """The way of cutting that holds most, among those whose passages fit; a tie changes nothing."""
    best = max((row for row in rows if row["fits"]), key=lambda row: row["score"], default=rows[0])
    return ground.present if best["score"] <= rows[0]["score"] else replace(
        ground.present, name=best["name"], cut=best["cut"])  # fmt: skip


def weighed(ground: Ground, setting: Setting) -> tuple[Setting, dict[str, Any]]:
    """``setting`` with weights learnt from the tuning part's marks, if its context is no worse.

    Marks on held-out questions taught nothing; how they rank is told beside.
    """
    tune_keys, held_keys = ({q.key for q in part} for part in (ground.tune, ground.held))
    taught: list[Seen] = []
    other: list[Seen] = []
    for mark in ground.marks:
        label = mark.question
        ranks = next((one.ranks for one in _found(ground, ground.present, label)
                      if one.passage_id == mark.passage_id), None)  # fmt: skip
        if ranks is None:
            continue
        # A question that only has unhelpful marks is in neither part: its own key decides.
        is_other = label.key in held_keys or (
            label.key not in tune_keys and share_of(label.key, seed="marks") < HELD_OUT_RATIO
        )
        (other if is_other else taught).append(Seen(ranks, mark.is_helpful, mark.weight))
    learnt = retrieving.learn_weights(taught)
    body: dict[str, Any] = {"marks": len(taught) + len(other), "learnt": None, "adopted": False}
    if learnt is None:
        good, bad = retrieving.counted(taught)
        body["why"] = (
            f"needs {retrieving.MIN_MARKS} helpful and as many unhelpful marks on passages that "
            f"answers to tuning questions found; there are {good:.3g} and {bad:.3g}, all that one "
            "reader says of a passage being one"
        )
        return setting, body
    before, after = (retrieving.pairs_right(taught, w) for w in (ground.present.weights, learnt))
    held = [retrieving.pairs_right(other, w) for w in (ground.present.weights, learnt)]
    weighed = replace(setting, weights=learnt)
    rows = [scored(ground, one) for one in (setting, weighed)]
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


def held_out(ground: Ground, chosen: Setting) -> dict[str, Any]:
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
