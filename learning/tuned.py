"""What a finished fine-tuning job brings: a candidate version, an improvement, a replay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from agents import evidence, loading, versions
from agents import services as agents
from config.errors import AppError
from config.readable import plural
from learning import improvements, replay
from learning.domain.prioritise import FORMULA, Priority, confidence_of
from learning.models import Replay, TuningJob

REPLAY_CAP_USD = Decimal(1)
# What a tuned model is thought to be worth before it is measured; a replay and a trial say more.
ASSUMED_USD_A_MONTH = 50.0


@dataclass(frozen=True, slots=True)
class Brought:
    """The candidate and its proposal, or in words why there is none."""

    said: str
    version_id: UUID | None = None
    improvement_id: UUID | None = None


def bring_back(job: TuningJob) -> Brought:
    """A version that names the tuned model, proposed for review; the same if asked again."""
    base = evidence.version(job.agent_slug, job.base_version_id)
    loading.add_tuned_model(job.endpoint, job.tuned_model, base=job.served_as)
    content = versions.content_of(base)
    # The lessons are in the model now: showing them again would pay for them in every prompt.
    content = replace(content, model={**content.model, "name": job.tuned_model}, examples=[])
    try:
        version, _ = agents.publish(
            agent=evidence.agent(job.agent_slug), content=content,
            note=f"tuned on {plural(job.lessons, 'example')}", created_by=job.asked_by,
        )  # fmt: skip
        row = _proposed(job, version.pk)
    except AppError as error:
        return Brought(f"the model is there, its version was refused: {error}")
    _replay(job, version.pk, row)
    return Brought("its model waits for review", version.pk, row)


def _proposed(job: TuningJob, version_id: UUID) -> UUID:
    priority = Priority(ASSUMED_USD_A_MONTH, confidence_of(job.lessons, half=100), 0.5)
    row, _ = improvements.propose(
        client_id=job.client_id, agent_slug=job.agent_slug, kind="model",
        title=f"A model tuned on {job.lessons} reviewed examples",
        proposal={"model": job.tuned_model, "endpoint": job.endpoint, "tuning_job": str(job.pk)},
        evidence={"data": job.data, "digest": job.digest, "trained_tokens": job.trained_tokens,
                  "data_card": str(job.card_id), "formula": FORMULA,
                  "priority": priority.shown()},
        expected={"metric": "accuracy", "direction": "up", "how": "see its replay"},
        impact=priority.impact_usd, confidence=priority.confidence, effort=priority.effort_days,
        risk="high", base_version_id=job.base_version_id, candidate_version_id=version_id,
        proposed_by=job.asked_by,
    )  # fmt: skip
    return row.pk


def _replay(job: TuningJob, version_id: UUID, improvement_id: UUID) -> None:
    """Let both answer recorded questions, unless that has begun."""
    if Replay.objects.filter(improvement_id=improvement_id).exists():
        return
    try:
        replay.start(
            agent=job.agent_slug, candidate_id=version_id, baseline_id=job.base_version_id,
            client_id=job.client_id, cap_usd=REPLAY_CAP_USD, improvement_id=improvement_id,
            asked_by=job.asked_by,
        )  # fmt: skip
    except AppError:  # the weekly cycle tries again
        return
