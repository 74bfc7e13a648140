"""Replaying recorded questions: two versions answer the same ones now, effects suppressed.

Both answer again, the baseline too: questions are often picked because their recorded answer was
bad, and luck alone would then favour whoever answers second. Answers are kept under an effect id
of the replay, so a replay that died goes on where it was and pays for nothing twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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

from agents import connections, evidence, queries
from agents import services as agents
from agents.errors import BudgetExceeded, ToolFailed
from agents.evidence import Recorded
from agents.invoke import Call, invoke
from agents.tools.registry import Tool
from config import logs
from config.errors import AppError, InvalidInput, NotFound
from learning.domain.replaying import Case, Graded, compare, facts_of_correction, grade_answer
from learning.domain.splits import digest_of
from learning.models import Example, Replay, ReplayCase
from workflows import artifacts

logger = logging.getLogger(__name__)
# How far back recorded questions come from, and how many distinct ones at most.
RECORDED = timedelta(days=30)
MOST_RECORDED = 200
# Questions asked side by side: a replay is patient, live traffic is not.
THREADS = 4
# Without a sign of life for so long, a replay is sent again.
LOST_AFTER = timedelta(minutes=5)
MOST_CAP_USD = Decimal(50)
ARMS = ("baseline", "candidate")


@dataclass(frozen=True, slots=True)
class Question:
    """One case with what both versions are asked, and what tools answered when it was recorded."""

    case: Case
    client_id: UUID
    inputs: dict[str, Any]
    messages: list[dict[str, Any]] | None = None
    recorded_id: UUID | None = None
    tools: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One version's graded answer and its cost."""

    graded: Graded
    cost_usd: Decimal


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
            improvement_id=improvement_id, asked_by=asked_by[:80],
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
    todo = [q for q in questions_for(replay) if q.case.key not in done]
    connections.release()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="replay") as pool:
        in_budget = list(pool.map(partial(_ask_both, replay), todo))
    return _conclude(replay, stopped=not all(in_budget))


def questions_for(replay: Replay) -> list[Question]:
    """Graded cases of the catalogue, approved corrections, then recorded calls; each once.

    The same for a replay whenever it is asked, because it looks no further than its own start.
    """
    found = [*_graded(replay.agent_slug, replay.client_id), *_corrected(replay)]
    if replay.most_recorded:
        recorded = evidence.recorded_calls(
            replay.agent_slug, since=replay.created_at - RECORDED, until=replay.created_at,
            limit=replay.most_recorded,
        )  # fmt: skip
        found += [_question(r, "recorded", ()) for r in recorded]
    once: dict[str, Question] = {}
    for question in found:
        once.setdefault(question.case.key, question)
    return list(once.values())


def _graded(slug: str, client_id: UUID) -> list[Question]:
    return [
        Question(Case(_key(case["input"], None, client_id), "catalogue", tuple(case["facts"])),
                 client_id, case["input"])
        for case in evidence.agent(slug).cases
    ]  # fmt: skip


def _corrected(replay: Replay) -> list[Question]:
    """Recorded calls that a person corrected in figures, graded by those figures."""
    rows = Example.objects.filter(
        agent_slug=replay.agent_slug, state=Example.State.APPROVED,
        created_at__lt=replay.created_at, invocation_id__isnull=False,
    )  # fmt: skip
    facts = {
        row.invocation_id: facts_of_correction(row.wrong_answer, row.answer, row.question)
        for row in rows
    }
    ids = [i for i, found in facts.items() if found and i is not None]
    if not ids:
        return []
    recorded = evidence.recorded_calls(
        replay.agent_slug, since=replay.created_at, until=replay.created_at, limit=len(ids),
        ids=ids,
    )  # fmt: skip
    return [_question(r, "correction", facts[r.id]) for r in recorded]


def _question(recorded: Recorded, source: str, facts: tuple[Mapping[str, Any], ...]) -> Question:
    key = _key(recorded.inputs, recorded.messages, recorded.client_id)
    return Question(Case(key, source, facts), recorded.client_id, recorded.inputs,
                    recorded.messages, recorded.id, recorded.tools)  # fmt: skip


def _key(inputs: Any, messages: Any, client_id: UUID) -> str:
    return digest_of([inputs, messages, str(client_id)])


def _ask_both(replay: Replay, question: Question) -> bool:
    """Put one question to both versions and keep the scores; False when money ran out."""
    try:
        before, after = (ask(replay, question, arm) for arm in ARMS)
        with transaction.atomic():
            ReplayCase.objects.create(
                replay=replay, key=question.case.key, source=question.case.source,
                client_id=question.client_id, recorded_id=question.recorded_id,
                baseline_score=before.graded.score, candidate_score=after.graded.score,
                baseline_missing=list(before.graded.missing),
                candidate_missing=list(after.graded.missing),
                cost_usd=before.cost_usd + after.cost_usd,
            )  # fmt: skip
        Replay.objects.filter(pk=replay.pk).update(worked_at=Now())
    except BudgetExceeded:
        return False
    except IntegrityError:  # a twin was first; its scores stand
        return True
    finally:
        connections.release()
    return True


def ask(replay: Replay, question: Question, arm: str) -> Asked:
    """One version's graded answer; a failed call scores 0. Raises BudgetExceeded."""
    version = replay.baseline_id if arm == "baseline" else replay.candidate_id
    try:
        answer = invoke(
            Call(
                agent=replay.agent_slug, inputs=question.inputs, messages=question.messages,
                client_id=question.client_id, run_id=replay.pk, version_id=version,
                effect_id=f"replay/{replay.pk}/{question.case.key[:32]}/{arm}",
                artifacts=artifacts.store_for(question.client_id), is_demo=True,
                allow_fallback=False, use_cache=False, stand_in=stand_in_for(question.tools),
            )
        )  # fmt: skip
    except BudgetExceeded:
        raise
    except AppError as error:
        return Asked(Graded(0.0, (f"failed: {error.code}",)), Decimal(0))
    text = str(answer.output.get("text", ""))
    facts = answer.output.get("facts") or {}
    return Asked(grade_answer(text, question.case, facts), answer.cost_usd)


def stand_in_for(
    recorded: Sequence[tuple[str, dict[str, Any], dict[str, Any]]],
) -> Callable[[Tool], Tool]:
    """Puts a recording in the place of a tool.

    Asked as it was then, a tool answers as it did then. Asked otherwise, one without effects
    works, and one with effects repeats its recorded result or says that it is suppressed.
    """
    answers: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for name, arguments, result in recorded:
        answers.setdefault(name, []).append((digest_of(arguments), result))

    def stand_in(tool: Tool) -> Tool:
        known = answers.get(tool.name, [])
        if not known and tool.idempotent:
            return tool

        def play(**values: Any) -> Any:
            asked = {k: v for k, v in values.items() if k != "context"}
            digest = digest_of(json.loads(json.dumps(asked, default=_plain)))
            for told, result in known:
                if told == digest:
                    return result
            if tool.idempotent:
                return tool.function(**values)
            if known:
                return known[0][1]
            raise ToolFailed(tool.name, "its effects are suppressed in a replay")

        return replace(tool, function=play, idempotent=True, cache_seconds=0)

    return stand_in


def _plain(value: Any) -> Any:
    """Arguments as a model wrote them: numbers where the tool's types made decimals of them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    return str(value)


def _conclude(replay: Replay, *, stopped: bool) -> Replay:
    rows = list(replay.cases.order_by("key"))
    found = compare(
        [row.baseline_score for row in rows],
        [row.candidate_score for row in rows],
        rng=np.random.default_rng(replay.pk.int % 2**32),
    )
    state = Replay.State.STOPPED if stopped else Replay.State.DONE
    cost = queries.run_costs(replay.pk)["cost_usd"]
    sources: dict[str, int] = {}
    for row in rows:
        sources[row.source] = sources.get(row.source, 0) + 1
    result = {**found.as_dict(), "cost_usd": f"{Decimal(cost):f}", "sources": sources}
    won = Replay.objects.filter(pk=replay.pk, state=Replay.State.RUNNING).update(
        state=state, verdict=found.verdict, result=result, ended_at=Now(), worked_at=Now()
    )
    if won:
        logs.event(logger, "learning.replay.ended", replay=str(replay.pk),
                   verdict=str(found.verdict), cases=len(rows))  # fmt: skip
    replay.refresh_from_db()
    return replay


def document(replay: Replay, *, cases: bool = False) -> dict[str, Any]:
    """A replay as the API gives it."""
    body: dict[str, Any] = {
        "id": str(replay.pk), "agent": replay.agent_slug, "baseline": str(replay.baseline_id),
        "candidate": str(replay.candidate_id), "state": replay.state,
        "verdict": replay.verdict or None, "result": replay.result,
        "cap_usd": f"{replay.cap_usd:f}", "currency": "USD", "created_at": replay.created_at,
        "ended_at": replay.ended_at,
    }  # fmt: skip
    if cases:
        body["cases"] = list(
            replay.cases.order_by("key").values(
                "key", "source", "recorded_id", "baseline_score", "candidate_score",
                "baseline_missing", "candidate_missing",
            )
        )  # fmt: skip
    return body


def find(replay_id: UUID) -> Replay:
    """One replay; raises NotFound."""
    found = Replay.objects.filter(pk=replay_id).first()
    if found is None:
        raise NotFound("replay", replay_id)
    return found
