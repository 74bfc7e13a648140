"""A judge's word in a replay: what an admitted judge thinks of both versions' answers.

Only a judge that Ratchet can ask, and that is admitted as measured against people, is asked; it
grades each answer by itself and is not told whose it is. One that is barred by the time the replay
ends says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from config.errors import Conflict, NotFound
from learning import judge_asking
from learning.asking import Asked, Question
from learning.domain.judging import GOOD
from learning.domain.replaying import Comparison, Scored, compare
from learning.models import Judge, Replay, ReplayCase


def chosen(name: str, version: str = "") -> Judge | None:
    """The judge of this score that may decide and can be asked, the newest; None without a name.

    Raises NotFound for one that Ratchet can't ask, Conflict for one that is not admitted.
    """
    if not name:
        return None
    rows = Judge.objects.filter(name=name).exclude(criterion="")
    if version:
        rows = rows.filter(version=version)
    found = rows.filter(state=Judge.State.ADMITTED).order_by("-measured_at").first()
    if found is not None:
        return found
    barred = rows.order_by("-id").first()
    if barred is None:
        raise NotFound("judge with a criterion", f"{name} {version}".strip())
    why = "; ".join(barred.faults) or "it was never measured"
    raise Conflict(f"judge {barred}", f"barred: {why}", "a judge that is admitted")


def scores(replay: Replay, question: Question, before: Asked, after: Asked) -> dict[str, float]:
    """Both sides' mean score by the replay's judge; nothing without a judge or its word.

    Of a walked run the answers that both versions gave are graded. Raises BudgetExceeded.
    """
    judge = replay.judge
    if judge is None:
        return {}
    places = [place for place in before.said if place in after.said]
    found: list[list[float]] = [[], []]
    for place in places:
        pair = [
            judge_asking.grade(
                judge, work_id=replay.pk, client_id=question.client_id,
                about_run_id=question.run_id, question=asked, answer=text,
                effect=f"replay/{replay.pk}/judge/{question.case.key[:32]}/{place}/{version}",
            )
            for version, (asked, text) in (
                (replay.baseline_id, before.said[place]), (replay.candidate_id, after.said[place])
            )
        ]  # fmt: skip
        if None not in pair:
            for side, value in zip(found, pair, strict=True):
                side.append(value or 0.0)
    if not found[0]:
        return {}
    means = [sum(side) / len(side) for side in found]
    return {"baseline_judged": means[0], "candidate_judged": means[1]}


def verdict(replay: Replay, rows: list[ReplayCase]) -> tuple[Comparison | None, dict[str, Any]]:
    """What the judge's scores say, and the same for the result."""
    judge = replay.judge
    if judge is None:
        return None, {}
    judge.refresh_from_db()
    told: dict[str, Any] = {"name": judge.name, "version": judge.version}
    if judge.state != Judge.State.ADMITTED:
        return None, {"judge": {**told, "left_out": "it is not admitted any more"}}
    cases = [
        Scored(row.baseline_judged, row.candidate_judged, row.cluster)
        for row in rows
        if row.baseline_judged is not None and row.candidate_judged is not None
    ]
    found = compare(cases, rng=np.random.default_rng(replay.pk.int % 2**32), right=GOOD)
    return found, {"judge": {**told, **found.as_dict()}}
