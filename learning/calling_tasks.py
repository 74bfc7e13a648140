"""Tasks that call models or wait for a provider, apart from others.

I/O workers load them, and with them no library for analyses.
"""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from learning import finetuning, following_up, judge_asking, live_judging, replay, rollouts
from learning.rollouts import drilling


@shared_task(name="learning.rollback_drill", ignore_result=True)
def rollback_drill(rollout_id: str, seconds: float) -> None:
    """Send a drill its calls until it is taken back."""
    drilling.run(rollouts.find(UUID(rollout_id)), seconds=seconds)


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


@shared_task(name="learning.judge_live", ignore_result=True)
def judge_live() -> None:
    """Ask admitted judges about a sample of fresh answers."""
    live_judging.score_fresh()


@shared_task(name="learning.follow_up", ignore_result=True)
def follow_up() -> None:
    """Ask people how their runs were; a mail server may hang for seconds."""
    following_up.sweep()
