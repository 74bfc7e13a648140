"""Replaying recorded work: two versions do the same now, effects suppressed.

A call of a run is replayed with what followed from it, where the run can be walked.

Both answer again, the baseline too: questions are often picked because their recorded answer was
bad, and luck alone would then favour whoever answers second. Answers are kept under an effect id
of the replay, so a replay that died goes on where it was and pays for nothing twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import connections, evidence, queries, recordings, sight
from agents import services as agents
from agents.errors import BudgetExceeded
from config import logs
from config.access.callers import Caller
from config.errors import InvalidInput, NotFound
from learning import judge_asking, learnt_from, refereeing, walks
from learning.asking import (
    Asked,
    Question,
    Unanswered,
    ask,
    corrected_questions,
    graded_questions,
)
from learning.domain.replaying import Scored, compare, together
from learning.models import Judge, Replay, ReplayCase
from workflows.domain.walking import Unwalkable

logger = logging.getLogger(__name__)
# How far back recorded questions come from, and how many distinct ones at most.
RECORDED = timedelta(days=30)
MOST_RECORDED = 200
# Calls read to find so many cases: a run is one case with however many calls.
CALLS_A_RUN, MOST_CALLS = 12, 1200
# Questions asked side by side: a replay is patient, live traffic is not.
THREADS = 4
# Without a sign of life for so long, a replay is sent again.
LOST_AFTER = timedelta(minutes=5)
MOST_CAP_USD = Decimal(50)
# Reasons against walking runs that a result tells.
MOST_REASONS = 10


def start(
    *,
    agent: str,
    candidate_id: UUID,
    client_id: UUID,
    cap_usd: Decimal,
    baseline_id: UUID | None = None,
    most_recorded: int = 30,
    improvement_id: UUID | None = None,
    asked_by: str = "",
    judge: Judge | None = None,
) -> Replay:
    """Begin to replay; a worker does it. The baseline is production unless given.

    ``cap_usd`` bounds what both versions' answers may cost, held before each call. Raises
    NotFound for an unknown agent or version, InvalidInput for a cap or number out of range.
    """
    if not 0 < cap_usd <= MOST_CAP_USD:
        raise InvalidInput("cap_usd", str(cap_usd), f"above 0, at most {MOST_CAP_USD}")
    if not 0 <= most_recorded <= MOST_RECORDED:
        raise InvalidInput("most_recorded", most_recorded, f"from 0 to {MOST_RECORDED}")
    baseline = baseline_id or evidence.production(agent).pk
    if evidence.version(agent, baseline).pk == evidence.version(agent, candidate_id).pk:
        raise InvalidInput("candidate", str(candidate_id), "another version than the baseline")
    with transaction.atomic():
        made = Replay.objects.create(
            agent_slug=agent, baseline_id=baseline, candidate_id=candidate_id,
            client_id=client_id, cap_usd=cap_usd, most_recorded=most_recorded,
            improvement_id=improvement_id, asked_by=asked_by[:80], judge=judge,
        )  # fmt: skip
        agents.open_run_budget(run_id=made.pk, client_id=client_id, cap_usd=cap_usd)
        transaction.on_commit(partial(_send, made.pk))
    made.refresh_from_db()
    return made


def _send(replay_id: UUID) -> None:
    current_app.send_task("learning.replay", (str(replay_id),), queue="low")


def sweep() -> int:
    """Send replays again that nobody has worked at; how many."""
    lost = Replay.objects.filter(
        state=Replay.State.RUNNING, worked_at__lt=timezone.now() - LOST_AFTER
    )
    ids = list(lost.values_list("pk", flat=True))
    Replay.objects.filter(pk__in=ids).update(worked_at=Now())
    for replay_id in ids:
        _send(replay_id)
    return len(ids)


def work(replay_id: UUID) -> Replay:
    """Ask what is still to ask, then conclude. Safe to run twice."""
    replay = Replay.objects.get(pk=replay_id)
    if replay.state != Replay.State.RUNNING:
        return replay
    done = set(replay.cases.values_list("key", flat=True))
    if replay.judge_id is not None:
        judge_asking.prepare()
    asked = questions_for(replay)
    todo = [question for question in asked if question.case.key not in done]
    learnt = learnt_from.questions(replay.agent_slug, (replay.baseline_id, replay.candidate_id))
    # Of all, so that whoever goes on with a replay leaves out the same.
    told = learnt_from.among(asked, learnt)
    todo = [question for question in todo if not _left_out(replay, question, told)]
    connections.release()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="replay") as pool:
        in_budget = list(pool.map(partial(_ask_both, replay), todo))
    return _conclude(replay, stopped=not all(in_budget))


def questions_for(replay: Replay) -> list[Question]:
    """Graded cases of the catalogue, approved corrections, then recorded calls; each once.

    The same for a replay whenever it is asked, because it looks no further than its own start.
    """
    found = [
        *graded_questions(replay.agent_slug, replay.client_id),
        *corrected_questions(replay.agent_slug, replay.created_at),
    ]
    if replay.most_recorded:
        recorded = recordings.recorded_calls(
            replay.agent_slug, since=replay.created_at - RECORDED, until=replay.created_at,
            limit=min(replay.most_recorded * CALLS_A_RUN, MOST_CALLS),
        )  # fmt: skip
        found += walks.questions_of(replay.agent_slug, recorded, most=replay.most_recorded)
    once: dict[str, Question] = {}
    for question in found:
        once.setdefault(question.case.key, question)
    return list(once.values())


def _left_out(replay: Replay, question: Question, told: frozenset[str]) -> bool:
    """Whether a version has learnt from the question; it is kept as a case without scores then."""
    if question.case.key not in told:
        return False
    ReplayCase.objects.get_or_create(
        replay=replay, key=question.case.key,
        defaults={"source": question.case.source, "client_id": question.client_id,
                  "recorded_id": question.recorded_id, "note": learnt_from.NOTE},
    )  # fmt: skip
    return True


def _ask_both(replay: Replay, question: Question) -> bool:
    """Put one question to both versions and keep the scores; False when money ran out."""
    is_out = False
    try:
        question, answers = _answers(replay, question)
        try:
            judged = refereeing.scores(replay, question, *answers) if answers else {}
        except BudgetExceeded:  # the answers are paid for
            is_out, judged = True, {}
        with transaction.atomic():
            ReplayCase.objects.create(
                replay=replay, key=question.case.key, source=question.case.source,
                client_id=question.client_id, recorded_id=question.recorded_id,
                cluster=str(question.run_id or ""),
                note=question.note[:200], **(_scores(*answers) if answers else {}),
                **judged,
            )  # fmt: skip
        Replay.objects.filter(pk=replay.pk).update(worked_at=Now())
    except BudgetExceeded:
        return False
    except IntegrityError:  # a twin was first; its scores stand
        return True
    finally:
        connections.end_of_work()
    return not is_out


def _scores(before: Asked, after: Asked) -> dict[str, Any]:
    return {
        "baseline_score": before.graded.score, "candidate_score": after.graded.score,
        "baseline_missing": list(before.graded.missing),
        "candidate_missing": list(after.graded.missing),
        "answers": walks.side_by_side(before, after),
        "cost_usd": before.cost_usd + after.cost_usd,
    }  # fmt: skip


def _answers(replay: Replay, question: Question) -> tuple[Question, tuple[Asked, Asked] | None]:
    """Both sides' graded work, and what was put to them in the end: a run, or a call alone.

    None where nothing is known of a side: a person would be asked, or nobody answered.
    """
    if question.is_walked:
        try:
            return question, walks.both(replay, question)
        except Unwalkable as error:
            question = walks.alone(question, str(error))
        except NotFound:  # a file or a version of then
            question = walks.alone(question, walks.GONE)
    try:
        before, after = (
            ask(replay.pk, replay.agent_slug, question, version)
            for version in (replay.baseline_id, replay.candidate_id)
        )
    except Unanswered as error:
        return replace(question, note=str(error)), None
    return question, (before, after)


def _conclude(replay: Replay, *, stopped: bool) -> Replay:
    cases = replay.cases.order_by("key")
    rows = list(cases.filter(candidate_score__isnull=False))
    unknown = Counter(cases.filter(candidate_score=None).values_list("note", flat=True))
    found = compare([_scored(row) for row in rows],
                    rng=np.random.default_rng(replay.pk.int % 2**32))  # fmt: skip
    by_judge, judged = refereeing.verdict(replay, rows)
    verdict = together(found.verdict, by_judge.verdict if by_judge else None)
    state = Replay.State.STOPPED if stopped else Replay.State.DONE
    cost = queries.run_costs(replay.pk)["cost_usd"]
    sources: dict[str, int] = {}
    for row in rows:
        sources[row.source] = sources.get(row.source, 0) + 1
    alone = Counter(row.note for row in rows if row.note)
    result = {**found.as_dict(), **judged, "cost_usd": f"{Decimal(cost):f}", "sources": sources,
              "not_walked": dict(alone.most_common(MOST_REASONS)),
              "not_compared": dict(unknown.most_common(MOST_REASONS))}  # fmt: skip
    won = Replay.objects.filter(pk=replay.pk, state=Replay.State.RUNNING).update(
        state=state, verdict=verdict, result=result, ended_at=Now(), worked_at=Now()
    )
    if won:
        logs.event(logger, "learning.replay.ended", replay=str(replay.pk),
                   verdict=str(verdict), cases=len(rows))  # fmt: skip
    replay.refresh_from_db()
    return replay


def _scored(row: ReplayCase) -> Scored:
    return Scored(row.baseline_score or 0.0, row.candidate_score or 0.0, row.cluster,
                  tuple((before, after) for _, before, after in row.answers))  # fmt: skip


def document(replay: Replay, *, caller: Caller | None = None) -> dict[str, Any]:
    """A replay as the API gives it; with ``caller``, the cases that this caller may see."""
    body: dict[str, Any] = {
        "id": str(replay.pk), "agent": replay.agent_slug, "baseline": str(replay.baseline_id),
        "candidate": str(replay.candidate_id), "state": replay.state,
        "verdict": replay.verdict or None, "result": replay.result,
        "cap_usd": f"{replay.cap_usd:f}", "currency": "USD", "created_at": replay.created_at,
        "ended_at": replay.ended_at,
    }  # fmt: skip
    if caller is not None:
        body["cases"] = list(
            sight.of_visible_calls(caller, replay.cases.all(), "recorded_id")
            .order_by("key").values(
                "key", "source", "recorded_id", "baseline_score", "candidate_score",
                "baseline_missing", "candidate_missing", "note", "answers",
                "baseline_judged", "candidate_judged",
            )
        )  # fmt: skip
    return body


def find(replay_id: UUID) -> Replay:
    """One replay; raises NotFound."""
    found = Replay.objects.filter(pk=replay_id).first()
    if found is None:
        raise NotFound("replay", replay_id)
    return found
