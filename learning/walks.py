"""Recorded runs walked from the changed step on, with both versions, and how good either was.

What was before the agent's first step stays as it is recorded; that step and all that follows are
done again for both sides, so that both meet the same chance. Other agents answer with the version
that they answered with then. No effect leaves: tools with effects repeat what they gave, files stay
in memory, people are not asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models.functions import Now

from agents import evidence, recordings
from agents import services as agents
from agents.errors import BudgetExceeded
from agents.invoke import Call, invoke
from agents.recordings import Recorded, Told
from agents.tools import registry
from config.errors import AppError, NotFound
from learning import said
from learning.asking import (
    Asked,
    Question,
    no_fault_of_a_version,
    question_of,
    rehearsed,
    stand_in_for,
)
from learning.domain.replaying import (
    Case,
    Graded,
    facts_of_correction,
    grade_answer,
    grade_run,
)
from learning.domain.splits import digest_of
from learning.models import Replay
from learning.scratch import Scratch
from workflows import artifacts, rehearsing
from workflows.domain.documents import json_text
from workflows.domain.walking import Unwalkable
from workflows.rehearsing import Recording, Task, Was

# A walk that asks agents more often on a side is given up, its calls asked alone: it has cost
# enough, and holds up the replay for as long as all of them take one after the other.
MOST_ASKED = 60
# Earlier turns of a step whose tools' results a walk may repeat.
MOST_KNOWN = 50
TOOL_SECONDS = 120.0
TOO_MANY = f"it asks agents more than {MOST_ASKED} times"
# Why a run is not walked of which a file or a version is missing now.
GONE = "what it needs is no longer on record"


class OutOfMoney(Exception):
    """The replay's budget is used; no failure of the step that was about to be paid."""


def questions_of(agent: str, recorded: Sequence[Recorded], *, most: int) -> list[Question]:
    """At most ``most`` cases out of recorded calls: one for each run that can be walked.

    Others are asked by themselves; ``note`` says why, where they are part of a run.
    """
    asked: dict[UUID, set[UUID | None]] = {}
    for one in recorded:
        if one.run_id is not None:
            asked.setdefault(one.run_id, set()).add(one.step_id)
    reasons = rehearsing.reasons_against(list(asked), agent)
    for run_id, steps in asked.items():
        if run_id not in reasons and len(steps) > MOST_ASKED:
            reasons[run_id] = TOO_MANY
    found: dict[str, Question] = {}
    for one in recorded:
        question = question_of(one, "recorded", ())
        if one.run_id in reasons:
            question = replace(question, note=reasons[one.run_id])
        elif one.run_id is not None:
            case = Case(digest_of(["run", str(one.run_id)]), "run")
            question = replace(question, case=case, is_walked=True)
        found.setdefault(question.case.key, question)
    return list(found.values())[:most]


def alone(question: Question, why: str) -> Question:
    """The recorded call that a run was to be walked for, to be asked by itself."""
    case = replace(question.case, source="recorded")
    return replace(question, case=case, is_walked=False, note=why)


def both(replay: Replay, question: Question) -> tuple[Asked, Asked]:
    """The run of ``question`` walked with the baseline and with the candidate, each graded.

    Raises BudgetExceeded, NotFound, and Unwalkable where a side needs what was never recorded.
    """
    assert question.run_id is not None  # noqa: S101
    recording = rehearsing.recording_of(question.run_id, replay.agent_slug)
    case = replace(question.case, facts=_facts(recording))
    try:
        return (
            _Walk(replay, recording, replay.baseline_id).graded(case),
            _Walk(replay, recording, replay.candidate_id).graded(case),
        )
    except OutOfMoney as error:
        cause = error.__cause__
        raise cause if cause is not None else error from None


def side_by_side(before: Asked, after: Asked) -> list[tuple[str, float, float]]:
    """(step, baseline's score, candidate's) of each answer on the way that both sides owed.

    A side that failed owed what the other one gave; otherwise an answer that one side alone came to
    says nothing.
    """
    owed = [
        name for name in dict.fromkeys([*before.parts, *after.parts])
        if all(name in side.parts or side.is_failed for side in (before, after))
    ]  # fmt: skip
    return [(name, before.parts.get(name, 0.0), after.parts.get(name, 0.0)) for name in owed]


def _facts(recording: Recording) -> tuple[Mapping[str, Any], ...]:
    """What the run's outputs must state: the figures that a person's correction brought in."""
    corrected = said.correction_of_run(recording.run_id)
    if corrected is None:
        return ()
    inputs = json_text(recording.names["inputs"], field="inputs")
    return facts_of_correction(_text(recording.outputs), corrected, inputs)


def _text(outputs: Any) -> str:
    return json_text(outputs, field="outputs")


def _told(recording: Recording) -> str:
    """All that is recorded of a run, to look for references in it."""
    outputs = [one.output for one in recording.ended.values()]
    turns = [(was.arguments, was.output) for known in recording.turns.values() for was in known]
    return json.dumps([dict(recording.names), outputs, turns], default=str)


@dataclass(slots=True)
class _Walk:
    """One side: the recorded run with this version in the place of the agent."""

    replay: Replay
    recording: Recording
    version_id: UUID
    cost_usd: Decimal = Decimal(0)
    parts: dict[str, list[Graded]] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    said: dict[str, tuple[str, str]] = field(default_factory=dict)
    store: Scratch = field(init=False)

    def __post_init__(self) -> None:
        one = self.recording
        self.store = Scratch(artifacts.store_for(one.client_id, one.run_id))

    def graded(self, case: Case) -> Asked:
        """Walk to the end and grade what was answered on the way."""
        walked = rehearsing.rehearse(self.recording, self.replay.agent_slug, self._do)
        if self.store.is_short_of(_told(self.recording)):  # neither version's fault
            raise Unwalkable(GONE)
        outputs = _text(walked.outputs)
        found = grade_run(self.parts, failed=walked.failed, outputs=outputs, case=case)
        # A run that failed is worth nothing, and so is what was answered in it; one that is held
        # to a person's figures is one answer.
        scores = {name: 0.0 if walked.failed else score for name, score in self.scores.items()}
        parts = {} if case.facts else scores
        return Asked(found, self.cost_usd, parts=parts, is_failed=bool(walked.failed),
                     said=self.said)  # fmt: skip

    def _do(self, task: Task) -> Any:
        Replay.objects.filter(pk=self.replay.pk).update(worked_at=Now())
        return self._use(task) if task.kind == "tool" else self._ask(task)

    def _use(self, task: Task) -> Any:
        told = [
            (task.target, was.arguments, was.output)
            for was in task.known[:MOST_KNOWN]
            if isinstance(was.arguments, dict) and isinstance(was.output, dict)
        ]
        return agents.play_tool(
            stand_in_for(told)(registry.get(task.target)), task.arguments,
            client_id=self.recording.client_id, artifacts=self.store,
            deadline=time.monotonic() + TOOL_SECONDS,
        )  # fmt: skip

    def _ask(self, task: Task) -> Any:
        replay, known = self.replay, task.known[:MOST_KNOWN]
        if len(self.scores) >= MOST_ASKED:
            raise Unwalkable(TOO_MANY)
        call = Call(
            agent=task.target, inputs=task.arguments, client_id=self.recording.client_id,
            about_run_id=task.run_id, artifacts=self.store,
            effect_id=f"replay/{replay.pk}/{task.run_id}/{task.name}/{self.version_id}",
        )  # fmt: skip
        is_ours = task.target == replay.agent_slug
        try:
            version = self.version_id if is_ours else _version_then(task.target, known)
        except NotFound:
            raise Unwalkable(GONE) from None
        graded = self.parts.setdefault(task.key, [])
        try:
            answer = invoke(rehearsed(call, replay.pk, version, _tools_then(known)))
        except BudgetExceeded as error:
            raise OutOfMoney from error
        except AppError as error:
            if why := no_fault_of_a_version(error):
                raise Unwalkable(why) from error
            graded.append(Graded(0.0, (f"failed: {error.code}",)))
            self.scores[self._place(task)] = 0.0
            raise
        self.cost_usd += answer.cost_usd
        text, facts = str(answer.output.get("text", "")), answer.output.get("facts") or {}
        found = grade_answer(text, Case("", "run"), facts)
        if task.run_id != self.recording.run_id:  # who sees this run may not see those inside
            found = replace(found, missing=())
        graded.append(found)
        self.scores[self._place(task)] = found.score
        if is_ours:
            self.said[self._place(task)] = (str(task.arguments), text)
        return answer.output

    def _place(self, task: Task) -> str:
        """Names an answer alike on both sides; one of a run inside by a digest, as it is hidden."""
        if task.run_id == self.recording.run_id:
            return task.name
        return f"inside {digest_of([str(task.run_id), task.name])[:12]}"


def _version_then(agent: str, known: Sequence[Was]) -> UUID:
    """The version that answered then; production's for a step that was not reached then."""
    ids = [was.invocation_id for was in known if was.invocation_id is not None]
    versions = recordings.versions_of(ids)
    found = next((versions[one] for one in ids if one in versions), None)
    return found or evidence.production(agent).pk


def _tools_then(known: Sequence[Was]) -> list[Told]:
    ids = [was.invocation_id for was in known if was.invocation_id is not None]
    tools = recordings.recorded_tools(ids)
    return [told for one in ids for told in tools.get(one, ())]
