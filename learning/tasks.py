"""Celery's doors to learning. Names and payloads are wire format; a task decides nothing."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from learning import (
    checking,
    cycles,
    experiments,
    finetuning,
    held_out,
    judge_asking,
    knowledge_changes,
    replay,
    responding,
    rollouts,
    summing,
    trials,
)
from learning.calling_tasks import (
    ask_judge,
    fine_tune,
    follow_up,
    judge_live,
    rollback_drill,
    run_replay,
)
from learning.rollouts import drilling

logger = logging.getLogger(__name__)
__all__ = ["ask_judge", "fine_tune", "follow_up", "judge_live", "rollback_drill", "run_replay"]


@shared_task(name="learning.run_cycle", ignore_result=True)
def run_cycle(cadence: str) -> None:
    """Begin today's cycle, unless it has begun; forget checks whose calls are forgotten."""
    cycles.run(cadence)
    checking.forget(timezone.now())


# A chord counts the results of its pieces, so these two are kept.
@shared_task(name="learning.cycle_step", acks_late=True, ignore_result=False)
def cycle_step(cycle_id: str, name: str) -> bool:
    """Do one piece of a cycle."""
    return cycles.do_step(UUID(cycle_id), name)


@shared_task(name="learning.cycle_report", acks_late=True, ignore_result=False)
def cycle_report(cycle_id: str) -> bool:
    """Rank and report, once all pieces are there."""
    return cycles.conclude(UUID(cycle_id))


@shared_task(name="learning.resume", ignore_result=True)
def resume() -> None:
    """Send lost cycles, replays and judges again, tuning jobs due; make approved changes.

    Check fresh answers.
    """
    cycles.sweep()
    replay.sweep()
    judge_asking.sweep()
    finetuning.sweep()
    knowledge_changes.sweep()
    checking.check_fresh()


@shared_task(name="learning.freshen", ignore_result=True)
def freshen() -> None:
    """Patterns and proposed examples of what was said up to now, between two daily cycles.

    And what the holdout says; sums that are not added to any more go.
    """
    cycles.freshen(timezone.now())
    held_out.refresh(timezone.now())
    summing.forget(timezone.now())


@shared_task(name="learning.sweep_comparisons", ignore_result=True)
def sweep_comparisons() -> None:
    """Judge what is open, the safe direction first; none waits for another."""
    failed: list[Exception] = []
    for sweep in (responding.respond, rollouts.sweep, _close_lost_drills, experiments.sweep,
                  trials.sweep):  # fmt: skip
        try:
            sweep()
        except Exception as error:
            logger.exception("learning.sweep.failed", extra={"fields": {"sweep": sweep.__module__}})
            failed.append(error)
    if failed:
        raise failed[0]


def _close_lost_drills() -> None:
    drilling.close_lost(timezone.now())
