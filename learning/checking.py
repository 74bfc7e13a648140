"""Check fresh answers by code: each check is a score with its version and its reason."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.utils import timezone

from agents import evidence, retention
from config.access import callers
from config.partitions import first_id
from learning import feedback
from learning.domain.checks import VERSION, check_answer, words_of
from learning.models import Score, Subject

# How far back answers are looked for, and how many one pass checks: twice a sweep's pace, so that
# one that was missed is made up for. Of more than that the newest are checked: a sample will do.
LATELY = timedelta(minutes=15)
MOST_ANSWERS = 200
PREFIX = "check."
# Rows of one DELETE.
ROWS_AT_ONCE = 10_000


def check_fresh(now: datetime | None = None) -> int:
    """Score the answers of the last minutes that were not yet; how many scores there are.

    ``check.accuracy``: figures that stand in the input or in a tool's result;
    ``check.completeness``: the tools' figures that the answer states; ``check.relevance``: the
    question's words.
    """
    until = now or timezone.now()
    fresh = evidence.fresh_answers(until - LATELY, until, limit=MOST_ANSWERS)
    done = set(
        Score.objects.filter(
            subject_kind=Subject.INVOCATION, subject_id__in=[one.id for one in fresh],
            source=Score.Source.CODE, source_version=VERSION, superseded_at=None,
        ).values_list("subject_id", flat=True)
    )  # fmt: skip
    by_name: dict[str, dict[UUID, float]] = defaultdict(dict)
    reasons: dict[str, dict[UUID, str]] = defaultdict(dict)
    todo = [one for one in fresh if one.id not in done]
    results = evidence.tool_results([one.id for one in todo])
    cut = evidence.cut_answers([one.id for one in todo])
    for one in todo:
        asked = words_of(one.messages or one.inputs)
        tools = results.get(one.id)
        # What a passage or a shortened result held is not on record: nothing to hold figures to.
        given = "" if one.is_quoting or tools is None else f"{asked} {words_of(tools)}"
        for check in check_answer(
            one.text, question=asked, given=given, facts=one.facts, is_cut=one.id in cut
        ):
            by_name[check.name][one.id] = check.value
            reasons[check.name][one.id] = check.reason
    written = 0
    for name, values in by_name.items():
        client = todo[0].client_id
        written += feedback.score_all(
            caller=callers.system("checks", client), name=PREFIX + name, source="code",
            values=values, source_version=VERSION, reasons=reasons[name],
        )  # fmt: skip
    return written


def forget(now: datetime) -> int:
    """Delete the checks of months whose calls are deleted too; how many there were."""
    last = now - timedelta(days=retention.KEEP_DAYS)
    edge = datetime(last.year, last.month, 1, tzinfo=UTC)
    old = Score.objects.filter(
        id__lt=first_id(edge), name__startswith=PREFIX, source=Score.Source.CODE
    ).order_by("id")
    gone = 0
    while rows := list(old.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
        gone += Score.objects.filter(pk__in=rows).delete()[0]
    return gone
