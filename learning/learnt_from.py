"""Questions that a version has learnt from: they tell nothing of how it answers others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from agents import evidence
from agents.domain.guardrails.redact import redact
from config.errors import NotFound
from learning.asking import Question
from learning.models import TuningJob
from workflows import artifacts

# Why such a case is not compared.
NOTE = "a version has learnt from it"


def questions(slug: str, version_ids: Iterable[UUID]) -> frozenset[str]:
    """What the versions' prompts show as examples, and what their models were tuned on."""
    found: set[str] = set()
    for version_id in version_ids:
        version = evidence.version(slug, version_id)
        found.update(_plain(example.get("input", "")) for example in version.examples)
        name = str(version.model.get("name", ""))
        for job in TuningJob.objects.filter(tuned_model=name) if name else ():
            found.update(_lessons(job))
    return frozenset(found)


def is_among(question: Question, learnt: frozenset[str]) -> bool:
    """Whether ``question`` is one of them, as it was asked or redacted."""
    if not learnt:
        return False
    asked: Any = question.inputs
    if question.messages is not None:
        asked = question.messages[-1].get("content", "")
    text = asked if isinstance(asked, str) else json.dumps(asked, ensure_ascii=False)
    return not learnt.isdisjoint({_plain(text), _plain(redact(text))})


def _lessons(job: TuningJob) -> set[str]:
    try:
        lines = artifacts.read(job.training_id, client_id=job.client_id).decode().splitlines()
    except NotFound:  # erased since
        return set()
    turns = [turn for line in lines for turn in json.loads(line)["messages"]]
    return {_plain(turn["content"]) for turn in turns if turn["role"] == "user"}


def _plain(asked: Any) -> str:
    """The same question has the same text, however its parts are ordered."""
    if isinstance(asked, str):
        try:
            asked = json.loads(asked)
        except ValueError:
            return " ".join(asked.split())
    return json.dumps(asked, sort_keys=True, ensure_ascii=False)
