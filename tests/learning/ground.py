"""An agent with versions, and calls of it as rows: what the loop reads, without any model."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from agents import versions
from agents.domain import traffic
from agents.models import Agent, AgentVersion, Invocation, Label, TrafficSplit
from config.access.models import Client
from learning.models import Feedback, Improvement, Replay, Score
from tests.rows import anew, insert

SLUG = "tax-vat-001"


def make_agent(risk: str = "low", slug: str = SLUG) -> tuple[Agent, AgentVersion, AgentVersion]:
    """An agent, its production version and a candidate."""
    agent = Agent.objects.create(slug=slug, name="VAT", domain="tax", purpose="p", risk=risk)
    old, _ = versions.publish(
        agent=agent, content=versions.Content("Answer."), label=Label.Name.PRODUCTION
    )
    new, _ = versions.publish(agent=agent, content=versions.Content("Answer better."))
    return agent, old, new


def id_at(moment: datetime, rng: random.Random) -> UUID:
    """An id as a row has it that was made then."""
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | rng.getrandbits(76))


def meet(
    agent: Agent,
    client: Client,
    *,
    units: int,
    success: dict[UUID, float],
    seed: int = 1,
    days: int = 1,
    started: Any = None,
    each: Callable[[Invocation], None] = lambda call: None,
) -> list[Invocation]:
    """So many new units call the agent under its open split; ``success`` by version.

    ``each`` may change a call before it is stored.
    """
    rng = random.Random(seed)
    split = TrafficSplit.objects.filter(agent=agent, closed_at=None).first()
    production = Label.objects.get(agent=agent, name="production").version
    start = started or timezone.now()
    rows = []
    for number in range(units):
        unit = f"{seed}-{number}"
        is_in = split is not None and traffic.passes(split.gates, unit)
        bucket = traffic.bucket_of(split.seed, unit) if is_in else None
        arm = traffic.arm_of(split.arms, bucket) if is_in else None
        version_id = UUID(arm) if arm else production.pk
        good = rng.random() < success[version_id]
        rows.append(
            Invocation(
                client_id=client.pk, agent_id=agent.pk, agent_slug=agent.slug,
                version_id=version_id, version_number=1, split_id=split.pk if is_in else None,
                split_epoch=split.epoch if is_in else None, unit=unit if is_in else "",
                bucket=bucket,
                state="succeeded" if good else "failed", cost_usd="0.01",
                duration_seconds=1 + rng.random() / 10,
                started_at=start + timedelta(days=number % days, microseconds=number),
            )
        )  # fmt: skip
    for row in rows:
        each(row)
    return insert(rows)


def said_of(
    model: type[Feedback] | type[Score], first: Invocation, rest: dict[Invocation, dict[str, Any]]
) -> None:
    """Say of the ``rest`` what was said of the ``first`` call, each with numbers of its own.

    As rows: what a request does is seen at the first, and hundreds of them take a minute.
    """
    like = model.objects.get(subject_id=first.pk, superseded_at=None)
    model.objects.filter(subject_id__in=[call.pk for call in rest]).update(
        superseded_at=timezone.now()
    )
    insert(
        anew(like, subject_id=call.pk, unit=call.unit, version_id=call.version_id,
             split_epoch=call.split_epoch, **own)
        for call, own in rest.items()
    )  # fmt: skip


def replayed(row: Improvement, verdict: str = "not_worse") -> Replay:
    """The candidate's replay beside production has ended with ``verdict``."""
    present = Label.objects.get(agent__slug=row.agent_slug, name="production").version_id
    return Replay.objects.create(
        agent_slug=row.agent_slug, baseline_id=present, candidate_id=row.candidate_version_id,
        client_id=row.client_id, cap_usd=1, improvement_id=row.pk, verdict=verdict, state="done",
        ended_at=timezone.now(),
        result={"cases": 30, "independent": 30, "baseline_score": 0.8, "candidate_score": 0.8},
    )  # fmt: skip
