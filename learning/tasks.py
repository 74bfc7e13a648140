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
    following_up,
    judge_asking,
    knowledge_changes,
    replay,
    responding,
    rollouts,
    trials,
)
from learning.drill_tasks import rollback_drill
from learning.rollouts import drilling

logger = logging.getLogger(__name__)
__all__ = ["rollback_drill"]


@shared_task(name="learning.replay", acks_late=True, ignore_result=True)
def run_replay(replay_id: str) -> None:
    """Ask what a replay has still to ask, and conclude it."""
    replay.work(UUID(replay_id))


@shared_task(name="learning.fine_tune", acks_late=True, ignore_result=True)
def fine_tune(job_id: str) -> None:
    """Bring one fine-tuning job a step on."""
    finetuning.work(UUID(job_id))


@shared_task(name="learning.ask_judge", acks_late=True, ignore_result=True)
def ask_judge(judge_id: str, *_: object) -> None:
    """Ask a judge about what was chosen for it, and measure it; earlier messages told more."""
    judge_asking.work(UUID(judge_id))


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

    Check fresh answers; ask people how runs were.
    """
    cycles.sweep()
    replay.sweep()
    judge_asking.sweep()
    finetuning.sweep()
    knowledge_changes.sweep()
    checking.check_fresh()
    following_up.sweep()


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
