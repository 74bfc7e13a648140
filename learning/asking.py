"""Recorded questions, and asking them again: any version, effects suppressed, graded by code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from agents import evidence, recordings
from agents.errors import BudgetExceeded, ReviewRequired, ToolFailed
from agents.invoke import Call, invoke
from agents.recordings import Recorded, Told
from agents.tools import registry
from agents.tools.registry import Tool
from agents.tools.remote.tool import RemoteTool
from config.errors import AppError, NotFound
from learning.domain.replaying import Case, Graded, facts_of_correction, grade_answer
from learning.domain.splits import digest_of
from learning.models import Example
from learning.scratch import Scratch
from workflows import artifacts


@dataclass(frozen=True, slots=True)
class Question:
    """One case with what both versions are asked, and what tools answered when it was recorded.

    ``is_walked``: the run of the recorded call is walked from the agent's steps on. ``note`` says
    why another one of a run is not.
    """

    case: Case
    client_id: UUID
    inputs: dict[str, Any]
    messages: list[dict[str, Any]] | None = None
    recorded_id: UUID | None = None
    run_id: UUID | None = None
    tools: tuple[Told, ...] = ()
    is_walked: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """One version's graded answer, its cost, and what it said.

    ``full_usd``: the cost without the discount on prompts that the endpoint remembered. ``parts``:
    the score of each answer on the way through a walked run; ``is_failed``: it failed on the way.
    ``said``: what the version was asked and said, for a judge.
    """

    graded: Graded
    cost_usd: Decimal
    text: str = ""
    full_usd: Decimal = Decimal(0)
    parts: Mapping[str, float] = field(default_factory=dict)
    is_failed: bool = False
    said: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def graded_questions(slug: str, client_id: UUID) -> list[Question]:
    """The catalogue's cases. They belong to nobody: every instance splits them alike."""
    return [
        Question(Case(digest_of(case["input"]), "catalogue", tuple(case["facts"])), client_id,
                 case["input"])
        for case in evidence.agent(slug).cases
    ]  # fmt: skip


def corrected_questions(slug: str, before: datetime) -> list[Question]:
    """Recorded calls that a person corrected in figures by then, graded by those figures."""
    rows = Example.objects.filter(
        agent_slug=slug, state=Example.State.APPROVED, created_at__lt=before,
        invocation_id__isnull=False,
    )  # fmt: skip
    facts = {
        row.invocation_id: facts_of_correction(row.wrong_answer, row.answer, row.question)
        for row in rows
    }
    ids = [i for i, found in facts.items() if found and i is not None]
    if not ids:
        return []
    recorded = recordings.recorded_calls(slug, since=before, until=before, limit=len(ids), ids=ids)
    return [question_of(r, "correction", facts[r.id]) for r in recorded]


class Unanswered(Exception):
    """Nothing is known of a version's answer, for a reason that is not the version's."""


# Nobody was asked, or nobody answered; what a version itself does wrong has other codes.
_ELSEWHERE = frozenset({"rate_limited", "too_many_requests", "unavailable"})


def no_fault_of_a_version(error: AppError) -> str:
    """Why ``error`` tells nothing of the version that was asked; empty where it does."""
    if isinstance(error, ReviewRequired):
        return f"the {error.guardrail} guardrail would ask a person about a text"
    return f"nobody answered ({error.code})" if error.code in _ELSEWHERE else ""


def question_of(recorded: Recorded, source: str, facts: tuple[Mapping[str, Any], ...]) -> Question:
    key = _key(recorded.inputs, recorded.messages, recorded.client_id)
    return Question(Case(key, source, facts), recorded.client_id, recorded.inputs,
                    recorded.messages, recorded.id, recorded.run_id, recorded.tools)  # fmt: skip


def _key(inputs: Any, messages: Any, client_id: UUID) -> str:
    return digest_of([inputs, messages, str(client_id)])


def ask(work_id: UUID, slug: str, question: Question, version_id: UUID) -> Asked:
    """A version's graded answer, paid by the budget of ``work_id``; a failed call scores 0.

    The same work, question and version get the first answer again. Raises BudgetExceeded, and
    Unanswered where nothing is known of the version.
    """
    call = Call(
        agent=slug, inputs=question.inputs, messages=question.messages, is_remembered=True,
        client_id=question.client_id, about_run_id=question.run_id,
        effect_id=f"replay/{work_id}/{question.case.key[:32]}/{version_id}",
        artifacts=Scratch(artifacts.store_for(question.client_id)),
    )  # fmt: skip
    try:
        answer = invoke(rehearsed(call, work_id, version_id, question.tools))
    except BudgetExceeded:
        raise
    except AppError as error:
        if why := no_fault_of_a_version(error):
            raise Unanswered(why) from error
        return Asked(Graded(0.0, (f"failed: {error.code}",)), Decimal(0))
    text = str(answer.output.get("text", ""))
    facts = answer.output.get("facts") or {}
    full = evidence.undiscounted_usd(answer.invocation_id)
    said = {"": (str(question.messages or question.inputs), text)}
    graded = grade_answer(text, question.case, facts)
    return Asked(graded, answer.cost_usd, text, full, said=said)


def rehearsed(call: Call, work_id: UUID, version_id: UUID, tools: Sequence[Told]) -> Call:
    """``call`` asked of this version, paid by the budget of ``work_id``, with no effect outside."""
    return replace(
        call, run_id=work_id, version_id=version_id, is_demo=True, allow_fallback=False,
        use_cache=False, stand_in=stand_in_for(tools),
    )  # fmt: skip


def stand_in_for(
    recorded: Sequence[Told],
) -> Callable[[Tool], Tool]:
    """Puts a recording in the place of a tool.

    Asked as it was then, a tool answers as it did then. Asked otherwise, one without effects
    works, and one with effects repeats its recorded result or says that it is suppressed.
    """
    answers: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {}
    for name, arguments, result in recorded:
        answers.setdefault(name, []).append((arguments, result))

    def stand_in(tool: Tool) -> Tool:
        if tool.fallback and not _is_harmless(tool.fallback):
            tool = replace(tool, fallback=None)
        known = answers.get(tool.name, [])
        if not known and tool.idempotent:
            return tool
        told = [_digest(_validated(tool, arguments)) for arguments, _ in known]

        def play(*given: Any, **values: Any) -> Any:
            # A tool of a source gets its arguments whole, one in code each by its name.
            named = given[0] if given else {k: v for k, v in values.items() if k != "context"}
            asked = _digest(named)
            for digest, (_, result) in zip(told, known, strict=True):
                if digest == asked:
                    return result
            if tool.idempotent:
                return tool.function(*given, **values)
            if known:
                return known[0][1]
            raise ToolFailed(tool.name, "its effects are suppressed in a replay")

        return replace(tool, function=play, idempotent=True, cache_seconds=0, fallback=(
            tool.fallback if tool.idempotent else None))  # fmt: skip

    return stand_in


def _is_harmless(name: str) -> bool:
    """Whether a fallback is still there and without effects."""
    try:
        return registry.get(name).idempotent
    except NotFound:  # its source was turned off
        return False


def _validated(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Recorded arguments as the tool's function gets them: its defaults stand beside them."""
    if isinstance(tool, RemoteTool):
        return arguments
    try:
        model = tool.arguments.model_validate(arguments)
    except ValidationError:  # of a release that took others
        return arguments
    return {name: getattr(model, name) for name in type(model).model_fields}


def _digest(values: dict[str, Any]) -> str:
    return digest_of(json.loads(json.dumps(values, default=_plain)))


def _plain(value: Any) -> Any:
    """Arguments as a model wrote them: numbers where the tool's types made decimals of them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    return str(value)
