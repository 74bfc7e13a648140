"""Other worked examples for a prompt: from the reviewed library, or its own right answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents.domain.guardrails.redact import redact
from agents.versions import Content
from learning import examples, learnt_from
from learning.asking import Asked, Question
from learning.domain.selection import BALANCE

FEW, MORE = 3, 6
# Weight on nearness where a set is to cover much instead.
SPREAD_BALANCE = 0.3
MOST_CHARACTERS = 2_000


def sets_for(
    agent: str, content: Content, tune: Sequence[Question], held: Sequence[Question]
) -> list[tuple[str, Content, str]]:
    """(kind, content, why) of each set of reviewed examples that differs from what is shown now.

    Examples of held-out questions, and near-copies, are left out, so that these can still judge.
    """
    about = " ".join(str(question.inputs) for question in tune)[:4000]
    hidden = learnt_from.teaching(examples.approved(agent), held)
    found: list[tuple[str, Content, str]] = []
    seen = [content.examples]
    for kind, most, balance, why in (
        ("few_shot", FEW, BALANCE, "near to the graded questions and unlike one another"),
        ("few_shot_more", MORE, BALANCE, "near to the graded questions, twice as many"),
        ("few_shot_spread", FEW, SPREAD_BALANCE, "as unlike one another as the library has them"),
    ):
        shots: list[dict[str, Any]] = [
            *examples.few_shot(agent, about, most=most, balance=balance, without=hidden)
        ]
        if shots and shots not in seen:
            seen.append(shots)
            found.append(
                (kind, replace(content, examples=shots), f"{len(shots)} reviewed examples, {why}")
            )
    return found


def own_answers(
    content: Content, tune: Sequence[Question], before: Sequence[Asked | None]
) -> tuple[Content, set[str]] | None:
    """``content`` with answers that were wholly right as examples; and which cases these are.

    At most half of the right ones, so that there are others to measure on. None without two.
    Source: Khattab et al., "DSPy", 2023 (bootstrapped demonstrations).
    """
    right = [
        (question, one) for question, one in zip(tune, before, strict=True)
        if one is not None and one.graded.score >= 1 and one.text and question.messages is None
    ]  # fmt: skip
    picked = right[: min(FEW, len(right) // 2)]
    shots: list[dict[str, Any]] = [
        {"input": redact(json.dumps(question.inputs, ensure_ascii=False)),
         "output": redact(one.text[:MOST_CHARACTERS])}
        for question, one in picked
    ]  # fmt: skip
    if not shots or shots == content.examples:
        return None
    return replace(content, examples=shots), {question.case.key for question, _ in picked}
