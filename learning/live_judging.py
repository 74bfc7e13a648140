"""Admitted judges of Ratchet's own score a sample of live answers, within a budget a day.

Only one that is admitted, as measured against people, is asked; where none is, nothing is spent.
Which answers are drawn depends on their ids alone, so both arms of an experiment are sampled alike.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from agents import evidence
from agents import services as agents
from agents.errors import BudgetExceeded
from config import logs
from config.access import callers
from config.access.models import Client
from config.errors import AppError
from learning import feedback, judge_asking
from learning.domain.splits import share_of
from learning.models import Judge, Score, Subject

logger = logging.getLogger(__name__)
# How far back answers are drawn from, three times the pace of the beat: one that was missed is made
# up for.
LATELY = timedelta(minutes=15)
# How many answers of one judge a pass asks about at most, and how long it begins questions, of all
# judges together: with the last answer it is over before the next begins.
MOST_ANSWERS, MOST_ASKED, PASS_SECONDS = 1_000, 40, 200.0
# Two passes would pay twice for what neither has scored yet. A pass that was killed holds its lock
# for so long: above the longest pass, and below what the next may make up for.
LOCK, LOCK_SECONDS = "learning.judge_live", 600


def score_fresh(now: datetime | None = None) -> int:
    """Ask every admitted judge about its sample of the last minutes; how many scores there are.

    Another pass at the same time does nothing. What a pass has no time for is left to the next.
    """
    if settings.JUDGE_LIVE_USD_A_DAY <= 0 or settings.JUDGE_LIVE_PERCENT <= 0:
        return 0
    rows = Judge.objects.filter(state=Judge.State.ADMITTED).exclude(criterion="")
    newest = {row.name: row for row in rows.order_by("measured_at")}
    if not newest:
        return 0
    if not cache.add(LOCK, 1, LOCK_SECONDS):
        return 0
    try:
        return _pass(newest.values(), now or timezone.now())
    finally:
        cache.delete(LOCK)


def budget_of(row: Judge, day: datetime) -> UUID:
    """The id under which a judge's live questions of one day are paid."""
    return uuid5(row.pk, f"live/{day:%Y-%m-%d}")


def drawn(row: Judge, invocation_id: UUID) -> bool:
    """Whether an answer is in the judge's sample."""
    return 100 * share_of(invocation_id, seed=f"live/{row.version}") < settings.JUDGE_LIVE_PERCENT


def _pass(judges: Iterable[Judge], now: datetime) -> int:
    deadline, written = time.monotonic() + PASS_SECONDS, 0
    fresh = evidence.fresh_answers(now - LATELY, now, limit=MOST_ANSWERS)
    # Judges in turn: where time is short, no judge waits for all that another is asked.
    turns = deque((row, todo) for row in judges if (todo := _unscored(row, fresh)))
    if turns:
        judge_asking.prepare()
        _open_budgets([row for row, _ in turns], now)
    while turns:
        if time.monotonic() >= deadline:
            left = sum(len(todo) for _, todo in turns)
            logs.event(logger, "learning.judge.pass_is_over", left=left, written=written)
            break
        row, todo = turns.popleft()
        one = todo.popleft()
        try:
            written += _score(row, one, now)
        except BudgetExceeded as error:
            if error.budget.endswith(str(budget_of(row, now))):
                logs.event(logger, "learning.judge.day_is_spent", judge=str(row.pk))
                continue
            # That of the answer's client: others' answers are judged all the same.
            todo = deque(left for left in todo if left.client_id != one.client_id)
        except AppError as error:  # erased meanwhile, for instance
            logs.event(logger, "learning.judge.left_out", judge=str(row.pk), code=error.code)
        if todo:
            turns.append((row, todo))
    return written


def _unscored(row: Judge, fresh: list[evidence.Answered]) -> deque[evidence.Answered]:
    """What of its sample the judge has not scored yet, as much as a pass asks about."""
    sample = [one for one in fresh if drawn(row, one.id)]
    done = set(
        Score.objects.filter(
            subject_kind=Subject.INVOCATION, subject_id__in=[one.id for one in sample],
            name=row.name, source=Score.Source.JUDGE, source_version=row.version,
            superseded_at=None,
        ).values_list("subject_id", flat=True)
    )  # fmt: skip
    return deque([one for one in sample if one.id not in done][:MOST_ASKED])


def _open_budgets(judges: list[Judge], now: datetime) -> None:
    firm_id = Client.objects.values_list("pk", flat=True).get(is_firm=True)
    for row in judges:
        agents.open_run_budget(
            run_id=budget_of(row, now), client_id=firm_id, cap_usd=settings.JUDGE_LIVE_USD_A_DAY
        )


def _score(row: Judge, one: evidence.Answered, now: datetime) -> bool:
    """Ask about one answer; whether it has a score now. Raises BudgetExceeded."""
    value = judge_asking.grade(
        row, work_id=budget_of(row, now), client_id=one.client_id, about_run_id=one.run_id,
        effect=f"judge/{row.version}/{row.name}/live/{one.id}",
        question=judge_asking.question_of(one), answer=one.text,
    )  # fmt: skip
    if value is None:
        return False
    feedback.score(
        caller=callers.system("judge", one.client_id), subject_kind=Subject.INVOCATION,
        subject_id=one.id, name=row.name, value=value, source=Score.Source.JUDGE,
        source_version=row.version, reason="drawn from live answers",
    )  # fmt: skip
    return True
