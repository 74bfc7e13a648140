"""Admitted judges of Ratchet's own score a sample of live answers, within a budget a day.

Only one that is admitted, as measured against people, is asked; where none is, nothing is spent.
Which answers are drawn depends on their ids alone, so both arms of an experiment are sampled alike.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from django.conf import settings
from django.utils import timezone

from agents import evidence
from agents import services as agents
from agents.errors import BudgetExceeded
from config import logs
from config.access import callers
from config.access.models import Client
from learning import feedback, judge_asking
from learning.domain.splits import share_of
from learning.models import Judge, Score, Subject

logger = logging.getLogger(__name__)
# How far back answers are drawn from, three times the pace of the beat: one that was missed is made
# up for. How many of one judge a pass asks about at most: a pass takes no longer than the next.
LATELY = timedelta(minutes=15)
MOST_ANSWERS, MOST_ASKED = 1_000, 40


def score_fresh(now: datetime | None = None) -> int:
    """Ask every admitted judge about its sample of the last minutes; how many scores there are."""
    if settings.JUDGE_LIVE_USD_A_DAY <= 0 or settings.JUDGE_LIVE_PERCENT <= 0:
        return 0
    rows = Judge.objects.filter(state=Judge.State.ADMITTED).exclude(criterion="")
    newest = {row.name: row for row in rows.order_by("measured_at")}
    if not newest:
        return 0
    until = now or timezone.now()
    fresh = evidence.fresh_answers(until - LATELY, until, limit=MOST_ANSWERS)
    return sum(_score(row, fresh, until) for row in newest.values())


def budget_of(row: Judge, day: datetime) -> UUID:
    """The id under which a judge's live questions of one day are paid."""
    return uuid5(row.pk, f"live/{day:%Y-%m-%d}")


def drawn(row: Judge, invocation_id: UUID) -> bool:
    """Whether an answer is in the judge's sample."""
    return 100 * share_of(invocation_id, seed=f"live/{row.version}") < settings.JUDGE_LIVE_PERCENT


def _score(row: Judge, fresh: list[evidence.Answered], now: datetime) -> int:
    sample = [one for one in fresh if drawn(row, one.id)]
    done = set(
        Score.objects.filter(
            subject_kind=Subject.INVOCATION, subject_id__in=[one.id for one in sample],
            name=row.name, source=Score.Source.JUDGE, source_version=row.version,
            superseded_at=None,
        ).values_list("subject_id", flat=True)
    )  # fmt: skip
    todo = [one for one in sample if one.id not in done][:MOST_ASKED]
    if not todo:
        return 0
    judge_asking.prepare()
    work_id, written = budget_of(row, now), 0
    agents.open_run_budget(
        run_id=work_id, client_id=Client.objects.values_list("pk", flat=True).get(is_firm=True),
        cap_usd=settings.JUDGE_LIVE_USD_A_DAY,
    )  # fmt: skip
    for one in todo:
        try:
            value = judge_asking.grade(
                row, work_id=work_id, client_id=one.client_id, about_run_id=one.run_id,
                effect=f"judge/{row.version}/{row.name}/live/{one.id}",
                question=judge_asking.question_of(one), answer=one.text,
            )  # fmt: skip
        except BudgetExceeded:  # the day's, or that of the answer's client
            logs.event(logger, "learning.judge.day_is_spent", judge=str(row.pk))
            break
        if value is None:
            continue
        feedback.score(
            caller=callers.system("judge", one.client_id), subject_kind=Subject.INVOCATION,
            subject_id=one.id, name=row.name, value=value, source=Score.Source.JUDGE,
            source_version=row.version, reason="drawn from live answers",
        )  # fmt: skip
        written += 1
    return written
