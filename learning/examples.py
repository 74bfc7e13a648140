"""The library of examples: corrections, redacted and reviewed, for prompts and for tuning."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from agents import evidence, recordings, sight
from agents.domain.guardrails.redact import redact, sensitive_spans
from agents.domain.messages import text_of
from agents.domain.prompts import render
from config import logs
from config.access.callers import Caller
from config.errors import Conflict, InvalidInput, NotFound
from learning import knowledge_changes, said
from learning.domain import datasets
from learning.domain.datasets import Dataset, Lesson
from learning.domain.probes import leak_rate
from learning.domain.selection import BALANCE, choose, distinct
from learning.domain.splits import digest_of
from learning.models import Example
from monitoring import services as monitoring
from workflows import artifacts

logger = logging.getLogger(__name__)
MOST_COLLECTED = 2_000
# Compared pair by pair, so the cost is quadratic; more are sampled by the newest.
MOST_COMPARED = 1_000
MOST_CHARACTERS = 20_000
# Turns of a conversation that are kept before the question, and whose.
MOST_BEFORE, SPEAKING = 20, ("user", "assistant")
PROBE_SEED = 20261120


def collect(since: datetime, until: datetime) -> int:
    """Turn new corrections into proposed examples; how many were new."""
    made = 0
    for one in said.corrections(since, until, limit=MOST_COLLECTED):
        if Example.objects.filter(feedback_id=one.id).exists():
            continue
        recorded = recordings.recorded_calls(
            one.agent_slug, since=since, until=until, limit=1, ids=[one.invocation_id]
        )
        if not recorded:
            continue
        call = recorded[0]
        before, question = _asked(call.inputs, call.messages)
        made += _add(
            before,
            client_id=one.client_id,
            agent_slug=one.agent_slug,
            source=Example.Source.CORRECTION,
            question=question,
            answer=one.corrected,
            wrong_answer=call.text,
            reason=one.reason,
            invocation_id=one.invocation_id,
            feedback_id=one.id,
        )
    return made


def _asked(
    inputs: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] | None
) -> tuple[list[tuple[str, str]], str]:
    """What was said before the question, as role and text, and the question."""
    if messages is None:
        return [], json.dumps(inputs, ensure_ascii=False)
    said_before = [
        (str(one["role"]), text_of(one)) for one in messages if one.get("role") in SPEAKING
    ]
    turns = [(role, text) for role, text in said_before if text]
    return turns[-1 - MOST_BEFORE : -1], turns[-1][1] if turns else ""


def _add(
    before: Sequence[tuple[str, str]], *, question: str, answer: str, wrong_answer: str,
    reason: str, **fields: Any,
) -> int:  # fmt: skip
    texts = [text[:MOST_CHARACTERS] for text in (question, answer, wrong_answer, reason)]
    spoken = [text[:MOST_CHARACTERS] for _, text in before]
    masked = sum(len(sensitive_spans(text)) for text in (*texts, *spoken))
    clean = [redact(text) for text in texts]
    turns = [[role, redact(text)] for (role, _), text in zip(before, spoken, strict=True)]
    asked = " ".join(text.lower() for text in (*(text for _, text in turns), clean[0]))
    digest = digest_of([fields["agent_slug"], " ".join(asked.split())])
    try:
        with transaction.atomic():
            Example.objects.create(
                before=turns, question=clean[0], answer=clean[1], wrong_answer=clean[2],
                reason=clean[3], digest=digest, masked=masked, **fields,
            )  # fmt: skip
    except IntegrityError:  # the same question is there, or this correction is
        return 0
    return 1


def visible(caller: Caller, *, agent: str = "", state: str = "") -> QuerySet[Example]:
    """Examples of the clients and from the calls that the caller may see, newest first."""
    rows = sight.of_visible_calls(caller, Example.objects.all()).order_by("-id")
    if agent:
        rows = rows.filter(agent_slug=agent)
    return rows.filter(state=state) if state else rows


def decide(caller: Caller, example_id: UUID, *, state: str, reason: str = "") -> Example:
    """Approve, reject or retire an example; raises NotFound, Conflict or InvalidInput.

    One that was decided may only be retired, and only if it was approved. An approved correction
    of an answer that quoted a document may propose a change of that document.
    """
    found = _decide(caller, example_id, state=state, reason=reason)
    if state == Example.State.APPROVED:
        knowledge_changes.propose(found)
    return found


@transaction.atomic
def _decide(caller: Caller, example_id: UUID, *, state: str, reason: str = "") -> Example:
    caller.require("learning:decide", "decide about examples")
    if state not in (Example.State.APPROVED, Example.State.REJECTED, Example.State.RETIRED):
        raise InvalidInput("state", state, "approved, rejected or retired")
    before = Example.State.APPROVED if state == Example.State.RETIRED else Example.State.PROPOSED
    won = visible(caller).filter(pk=example_id, state=before).update(
        state=state, decided_by_id=caller.user_id, decided_at=Now(), decision_reason=reason[:300]
    )  # fmt: skip
    found = visible(caller).filter(pk=example_id).first()
    if found is None:
        raise NotFound("example", example_id)
    if not won:
        raise Conflict(f"example {example_id}", found.state, before)
    monitoring.audit(
        actor=caller.principal, action=f"learning.example.{state}", target=f"example:{found.pk}",
        client_id=found.client_id, user_id=caller.user_id, after={"reason": reason},
    )  # fmt: skip
    return found


def approved(agent: str) -> list[Example]:
    """The newest approved examples of an agent that all may see, near-duplicates dropped."""
    rows = sight.of_open_calls(
        Example.objects.filter(agent_slug=agent, state=Example.State.APPROVED)
    )
    found = list(rows.order_by("-id")[:MOST_COMPARED])
    return [found[place] for place in distinct([row.asked for row in found])]


def few_shot(
    agent: str,
    question: str,
    *,
    most: int = 3,
    balance: float = BALANCE,
    without: Collection[UUID] = (),
) -> list[dict[str, str]]:
    """Examples for a prompt, near to ``question`` and unlike one another: input and output.

    ``balance`` is the weight on nearness; the rest is on difference.
    ``without`` are examples that must not be shown, such as those of held-out questions.
    """
    library = [row for row in approved(agent) if row.pk not in without]
    picked = choose(question, [row.asked for row in library], most=most, balance=balance)
    return [{"input": library[p].asked, "output": library[p].answer} for p in picked]


def export(
    caller: Caller, *, agent: str, validation_ratio: float, seed: str, client_id: UUID
) -> dict[str, Any]:
    """A fine-tuning set of the approved examples that the caller may see, stored as artifacts.

    Training and validation as JSON Lines in the OpenAI chat format, and a data card. Raises
    NotFound for an unknown agent, Conflict when there is nothing to export.
    """
    if not 0 <= validation_ratio < 1:
        raise InvalidInput("validation_ratio", validation_ratio, "from 0 to under 1")
    version = evidence.production(agent)
    system = render(version.prompt, version.variables, {})
    seen = sight.of_open_calls(visible(caller, agent=agent, state=Example.State.APPROVED))
    rows = list(seen[:MOST_COMPARED])
    if not rows:
        raise Conflict(f"the library of {agent}", "without approved examples", "at least one")
    kept = [rows[place] for place in distinct([row.asked for row in rows])]
    lessons = [
        Lesson(
            redact(system), redact(row.question), redact(row.answer), row.source,
            tuple((role, redact(text)) for role, text in row.before),
        )
        for row in kept
    ]  # fmt: skip
    made = datasets.build(lessons, validation_ratio=validation_ratio, seed=seed)
    leaks = leak_rate([x.asked for x in lessons], redact, seed=PROBE_SEED)
    about = {"agent": agent, "version": version.number, "seed": seed,
             "made_at": timezone.now().isoformat(timespec="seconds")}  # fmt: skip
    refused = Counter({"near-duplicates": len(rows) - len(kept)})
    card = datasets.card(made, about=about, leaks=leaks, refused=+refused)
    files = _stored(agent, made, card, client_id=client_id, user_id=caller.user_id)
    logs.event(logger, "learning.examples.exported", agent=agent, examples=len(kept))
    return {
        "agent": agent,
        "training": len(made.training),
        "validation": len(made.validation),
        "digest": made.digest,
        "leak_rate": {"planted": leaks.planted, "leaked": leaks.leaked,
                      "ratio": leaks.ratio, "upper": leaks.upper},
        "data_card": card,
        "artifacts": files,
    }  # fmt: skip


def _stored(
    agent: str, made: Dataset, card: str, *, client_id: UUID, user_id: UUID | None
) -> dict[str, str]:
    contents: Sequence[tuple[str, str, str]] = (
        ("training", datasets.as_lines(made.training), "application/jsonl"),
        ("validation", datasets.as_lines(made.validation), "application/jsonl"),
        ("data_card", card, "text/markdown"),
    )
    return {
        name: str(
            artifacts.save(
                client_id=client_id, name=f"{agent}-{name}", content=text.encode(),
                content_type=kind, user_id=user_id,
            ).pk
        )
        for name, text, kind in contents
        if text
    }  # fmt: skip
