"""A judge of Ratchet's own: a model that grades answers by a criterion, and compares two.

It is asked about work that people have labelled, and about corrections in both orders, so that it
is measured before anybody relies on it. Whoever begins it lends it its eyes: it is asked about what
that person may see, each time as a call of the client whose answer it is, and seen with its run.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from agents import evidence
from agents import services as agents
from agents.errors import BudgetExceeded
from agents.invoke import Call, invoke
from agents.tools.registry import Tool
from agents.versions import Content
from config import logs
from config.access import callers
from config.access.callers import Caller
from config.errors import AppError, Conflict, InvalidInput, NotFound
from learning import feedback, judging
from learning.models import Feedback, Judge, Preference, Subject

logger = logging.getLogger(__name__)
MOST_CAP_USD = Decimal(20)
MOST_ANSWERS = 200
# Of what one judge is asked, the pairs; each is asked twice.
MOST_PAIRS = 40
MOST_TEXT = 12_000
# Without a sign of life for so long, a judge is sent again.
LOST_AFTER = timedelta(minutes=5)
SLUG, PAIRS = "ratchet-judge", "ratchet-judge-of-pairs"
_GRADE = """\
You grade the answer of another agent by one criterion. The input holds the criterion, the question
and the answer. Judge by the criterion alone, not by length, tone or confidence. Give a score from 0
(the criterion is not met at all) to 1 (it is met fully), and the reason in a sentence or two.
"""
_COMPARE = """\
You compare two answers to one question by one criterion. The input holds the criterion, the
question, and both answers. Their order means nothing. Say which one meets the criterion better:
first, second, or tie; and the reason in a sentence or two.
"""


def _schema(name: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "required": [name, "reason"], "additionalProperties": False,
        "properties": {name: kind, "reason": {"type": "string"}},
    }  # fmt: skip


_MODEL = {"tier": "strong", "temperature": 0.0, "max_output_tokens": 400}
_RAILS = {"pii": "redact", "secrets": "block"}
CONTENTS = {
    SLUG: Content(prompt=_GRADE, model=_MODEL, guardrails=_RAILS,
                  output_schema=_schema("score", {"type": "number", "minimum": 0, "maximum": 1})),
    PAIRS: Content(prompt=_COMPARE, model=_MODEL, guardrails=_RAILS,
                   output_schema=_schema("preferred", {"enum": list(Preference.Place.values)})),
}  # fmt: skip


@transaction.atomic
def begin(*, caller: Caller, name: str, criterion: str, most: int, cap_usd: Decimal) -> Judge:
    """A judge by ``criterion``, asked about at most ``most`` labelled answers by a worker.

    The same criterion is the same judge: what it answered before is not asked again, and a higher
    ``cap_usd`` raises the cap of all that it is asked. Raises InvalidInput for limits, Conflict
    where people have labelled nothing under this name that the caller may see.
    """
    if not 0 < cap_usd <= MOST_CAP_USD:
        raise InvalidInput("cap_usd", str(cap_usd), f"above 0, at most {MOST_CAP_USD}")
    if not 1 <= most <= MOST_ANSWERS:
        raise InvalidInput("most", most, f"from 1 to {MOST_ANSWERS}")
    if not criterion.strip():
        raise InvalidInput("criterion", criterion, "what a good answer is, in words")
    labelled = judging.people_of(name, caller=caller)
    if not labelled:
        raise Conflict(f"the score {name!r}", "given by nobody yet",
                       "scores or ratings that people gave")  # fmt: skip
    row, _ = Judge.objects.select_for_update().get_or_create(
        name=name, version=version_of(criterion),
        defaults={"criterion": criterion, "created_by": caller.name[:80]},
    )  # fmt: skip
    if cap_usd > row.cap_usd:
        agents.set_budget(
            scope="run", key=str(row.pk), window="total", cap_usd=cap_usd,
            client_id=caller.home_client_id,
        )  # fmt: skip
    chosen = {"labels": list(labelled)[:most], "corrections": _corrections(caller)}
    Judge.objects.filter(pk=row.pk).update(
        cap_usd=max(cap_usd, row.cap_usd), worked_at=Now(),
        asked={kind: list(dict.fromkeys([*map(str, ids), *row.asked.get(kind, ())]))
               for kind, ids in chosen.items()},
    )  # fmt: skip
    transaction.on_commit(partial(_send, row.pk))
    row.refresh_from_db()
    return row


def _corrections(caller: Caller) -> list[UUID]:
    rows = feedback.visible(caller).filter(
        kind=Feedback.Kind.CORRECTION, superseded_at=None, subject_kind=Subject.INVOCATION
    )
    return list(rows.order_by("-id").values_list("pk", flat=True)[:MOST_PAIRS])


def _send(judge_id: UUID) -> None:
    current_app.send_task("learning.ask_judge", (str(judge_id),), queue="low")


def sweep() -> int:
    """Send judges again that have something to be asked and nobody asks; how many."""
    lost = Judge.objects.filter(worked_at__lt=timezone.now() - LOST_AFTER)
    ids = list(lost.values_list("pk", flat=True))
    Judge.objects.filter(pk__in=ids).update(worked_at=Now())
    for judge_id in ids:
        _send(judge_id)
    return len(ids)


def version_of(criterion: str) -> str:
    """What names this judge: its criterion and how it is asked; another model is another judge."""
    said = repr((" ".join(criterion.split()), _GRADE, _COMPARE, _MODEL))
    return f"ratchet-{hashlib.sha256(said.encode()).hexdigest()[:10]}"


def work(judge_id: UUID) -> Judge:
    """Ask it about the answers and corrections chosen, then measure it. Safe to run twice."""
    row = Judge.objects.get(pk=judge_id)
    try:
        _grade_all(row)
        _compare_all(row)
    except BudgetExceeded as error:
        logs.event(logger, "learning.judge.stopped", level=logging.WARNING, judge=str(row.pk),
                   error=str(error))  # fmt: skip
    measured = judging.measure(name=row.name, version=row.version, by=row.created_by)
    # Whoever asked for more meanwhile has sent for it, and is waited for.
    Judge.objects.filter(pk=row.pk, asked=row.asked, cap_usd=row.cap_usd).update(worked_at=None)
    return measured


def _grade_all(row: Judge) -> None:
    version = _version(SLUG)
    for one in evidence.answers([UUID(pk) for pk in row.asked.get("labels", ())]):
        found = _asked(row, one, SLUG, version, f"grade/{one.id}", {
            "criterion": row.criterion, "question": question_of(one),
            "answer": one.text[:MOST_TEXT],
        })  # fmt: skip
        score = found.get("score")
        if isinstance(score, int | float) and 0 <= score <= 1:
            feedback.score(
                caller=callers.system("judge", one.client_id), subject_kind=Subject.INVOCATION,
                subject_id=one.id, name=row.name, value=float(score), source="judge",
                source_version=row.version, reason=found["reason"],
            )  # fmt: skip


def _compare_all(row: Judge) -> None:
    """Each corrected answer beside the answer that was corrected, once in each order."""
    rows = Feedback.objects.filter(pk__in=row.asked.get("corrections", ()), superseded_at=None)
    corrections = {one.subject_id: one for one in rows.order_by("id")}
    version = _version(PAIRS)
    for answer in evidence.answers(list(corrections)):
        correction = corrections[answer.id]
        texts = {answer.id: answer.text, correction.pk: correction.corrected_output}
        for first, second in ((answer.id, correction.pk), (correction.pk, answer.id)):
            found = _asked(row, answer, PAIRS, version, f"pair/{first}/{second}", {
                "criterion": row.criterion, "question": question_of(answer),
                "first": texts[first][:MOST_TEXT], "second": texts[second][:MOST_TEXT],
            })  # fmt: skip
            try:
                judging.prefer(
                    caller=callers.system("judge", answer.client_id), name=row.name,
                    source_version=row.version, first_id=first, second_id=second,
                    preferred=str(found.get("preferred", "")),
                    reason=str(found.get("reason", "")),
                )  # fmt: skip
            except (Conflict, InvalidInput, NotFound):
                continue  # judged before, or nothing that can be used


def prepare() -> None:
    """Publish the agent that judges, before several threads ask it."""
    _version(SLUG)


def grade(
    row: Judge,
    *,
    work_id: UUID,
    client_id: UUID,
    about_run_id: UUID | None,
    effect: str,
    question: str,
    answer: str,
) -> float | None:
    """The judge's score of one answer, paid by the budget of ``work_id``; None without a word.

    Asked by the same words as when it was measured. Raises BudgetExceeded.
    """
    inputs = {"criterion": row.criterion, "question": question[:MOST_TEXT],
              "answer": answer[:MOST_TEXT]}  # fmt: skip
    call = Call(
        agent=SLUG, inputs=inputs, client_id=client_id, run_id=work_id, about_run_id=about_run_id,
        version_id=_version(SLUG), effect_id=effect, is_demo=True, allow_fallback=False,
        use_cache=False, stand_in=_as_it_is,
    )  # fmt: skip
    try:
        found = invoke(call).output.get("json")
    except BudgetExceeded:
        raise
    except AppError as error:
        logs.event(logger, "learning.judge.silent", level=logging.WARNING, judge=str(row.pk),
                   code=error.code)  # fmt: skip
        return None
    score = found.get("score") if isinstance(found, dict) else None
    return float(score) if isinstance(score, int | float) and 0 <= score <= 1 else None


def _as_it_is(tool: Tool) -> Tool:
    """A judge has no tools; what has a stand-in is work of learning and no traffic."""
    return tool


def _asked(
    row: Judge,
    about: evidence.Answered,
    slug: str,
    version: UUID,
    effect: str,
    inputs: dict[str, Any],
) -> dict[str, Any]:
    """What the model says; nothing where it can't be asked. Raises BudgetExceeded.

    Its reason may quote the answer, so it stays in the call's record: where to find it is given.
    """
    Judge.objects.filter(pk=row.pk).update(worked_at=Now())
    try:
        answer = invoke(
            Call(
                agent=slug, inputs=inputs, client_id=about.client_id, run_id=row.pk,
                about_run_id=about.run_id, version_id=version,
                effect_id=f"judge/{row.version}/{row.name}/{effect}",
                is_demo=True, allow_fallback=False, use_cache=False,
            )
        )  # fmt: skip
    except BudgetExceeded:
        raise
    except AppError as error:
        logs.event(logger, "learning.judge.silent", level=logging.WARNING, judge=str(row.pk),
                   code=error.code)  # fmt: skip
        return {}
    found = answer.output.get("json")
    if not isinstance(found, dict):
        return {}
    return {**found, "reason": f"said in the call {answer.invocation_id}"}


def question_of(one: evidence.Answered) -> str:
    """What was asked, as a judge is told it."""
    return str(one.messages or one.inputs)[:MOST_TEXT]


def _version(slug: str) -> UUID:
    content = CONTENTS[slug]
    agents.open_agent(slug, prompt=content.prompt, name="Judge", domain="operations", risk="low")
    version, _ = agents.publish(
        agent=evidence.agent(slug), content=content, note="judges answers", created_by="learning"
    )
    return version.pk
