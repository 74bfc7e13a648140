"""Questions that a version has learnt from: they tell nothing of how it answers others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.utils import timezone

from agents import evidence, recordings
from agents.domain.guardrails.redact import redact
from agents.domain.messages import INSTRUCTING, text_of
from config.errors import NotFound
from learning.asking import Question
from learning.domain.selection import copies, wording
from learning.models import Example, TuningJob
from workflows import artifacts

Key = TypeVar("Key", str, UUID)
# Why such a case is not compared.
NOTE = "a version has learnt from it"
# Characters by which a question's likeness to others is told.
MOST_COMPARED = 4_000


def questions(slug: str, version_ids: Iterable[UUID]) -> frozenset[str]:
    """What the versions' prompts show as examples, and what their models were tuned on.

    A lesson may hold less than was asked: the whole of a corrected conversation is one of them.
    """
    found: set[str] = set()
    for version_id in version_ids:
        version = evidence.version(slug, version_id)
        found.update(_plain(example.get("input", "")) for example in version.examples)
        name = str(version.model.get("name", ""))
        for job in TuningJob.objects.filter(tuned_model=name) if name else ():
            found.update(_lessons(job))
    return frozenset(found | _taken_from(slug, found))


def among(asked: Sequence[Question], learnt: frozenset[str]) -> frozenset[str]:
    """Keys of those of ``asked`` that were learnt, each from its first turn on.

    As it was asked or redacted, and told again: in other letters, spacing or punctuation, with
    other figures in its sentences, or as like as two examples of which the library keeps one.
    """
    return _alike({question.case.key: _forms(question) for question in asked}, learnt)


def teaching(rows: Sequence[Example], held: Sequence[Question]) -> frozenset[UUID]:
    """Examples that tell the answer of a question that is held out, as ``among`` compares them."""
    asked = {one for question in held for one in _forms(question)}
    of_calls = {question.recorded_id for question in held if question.recorded_id}
    own = {row.pk for row in rows if row.invocation_id in of_calls}
    told = {row.pk: {_plain(row.asked), _lesson(row)} for row in rows}
    return _alike(told, frozenset(asked)) | own


def _alike(told: Mapping[Key, set[str]], known: frozenset[str]) -> frozenset[Key]:
    """Keys of those that are among the ``known`` in any of their forms."""
    if not known:
        return frozenset()
    wordings = {_wording(text) for text in known}
    found: set[Key] = set()
    others: dict[Key, str] = {}
    for key, forms in told.items():
        if forms & known or {_wording(text) for text in forms} & wordings:
            found.add(key)
        else:
            others[key] = min(forms)[:MOST_COMPARED]
    alike = copies([*others.values()], sorted(text[:MOST_COMPARED] for text in known))
    return frozenset(found | {key for key, is_copy in zip(others, alike, strict=True) if is_copy})


def _forms(question: Question) -> set[str]:
    """What was asked, as it was and redacted."""
    turns = _turns(question.inputs, question.messages)
    return {_whole(turns), _whole([(role, redact(text)) for role, text in turns])}


def _wording(text: str) -> str:
    """A question's text as all tellings of it share it."""
    try:
        told = wording(json.loads(text))
    except (ValueError, RecursionError):
        told = wording(text)
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def _taken_from(slug: str, lessons: set[str]) -> set[str]:
    """The whole questions of the recorded calls that these lessons were corrections of."""
    rows = Example.objects.filter(agent_slug=slug, invocation_id__isnull=False)
    ids = [
        row.invocation_id for row in (rows if lessons else ())
        if row.invocation_id is not None
        and not lessons.isdisjoint({_plain(row.question), _plain(row.asked), _lesson(row)})
    ]  # fmt: skip
    if not ids:
        return set()
    now = timezone.now()
    calls = recordings.recorded_calls(slug, since=now, until=now, limit=len(ids), ids=ids)
    return {_whole(_turns(call.inputs, call.messages)) for call in calls}


def _lesson(row: Example) -> str:
    return _whole([*((role, text) for role, text in row.before), ("user", row.question)])


def _lessons(job: TuningJob) -> set[str]:
    """What stands before each answer of the training file."""
    try:
        lines = artifacts.read(job.training_id, client_id=job.client_id).decode().splitlines()
    except NotFound:  # erased since
        return set()
    talks = [json.loads(line)["messages"] for line in lines]
    return {
        _whole(_turns({}, talk[:place]))
        for talk in talks for place, turn in enumerate(talk) if turn["role"] == "assistant"
    }  # fmt: skip


def _turns(
    inputs: dict[str, Any], messages: Sequence[Mapping[str, Any]] | None
) -> list[tuple[str, str]]:
    """Who said what; the orders before it are each version's own."""
    if messages is None:
        return [("user", json.dumps(inputs, ensure_ascii=False))]
    return [
        (str(one.get("role", "")), text_of(one))
        for one in messages if one.get("role") not in INSTRUCTING
    ]  # fmt: skip


def _whole(turns: Sequence[tuple[str, str]]) -> str:
    """A conversation as one text; one that is a single question as that question."""
    if len(turns) == 1:
        return _plain(turns[0][1])
    return json.dumps([[role, _plain(text)] for role, text in turns], ensure_ascii=False)


def _plain(asked: Any) -> str:
    """The same question has the same text, however its parts are ordered."""
    try:
        parts = json.loads(asked) if isinstance(asked, str) else asked
        return json.dumps(parts, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError):  # words, or brackets without end
        return " ".join(str(asked).split())
