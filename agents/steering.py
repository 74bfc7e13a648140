"""Steer an agent's traffic by its name: for apps that know agents by slug and versions by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from agents import versions
from agents.models import Agent, AgentVersion, Invocation, Label, TrafficSplit
from config.errors import NotFound
from config.partitions import first_id

# Ids are made a little before a call starts and its row is written.
SLACK = timedelta(hours=1)
FETCHED = 2_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one unit met, over all its calls in the given epochs."""

    unit: str
    bucket: int
    first_at: datetime
    calls: int
    failures: int
    cost_usd: float
    seconds: float
    tokens: int
    version: str = ""


def open_agent(
    slug: str, *, prompt: str, name: str = "", domain: str = "operations", risk: str = "low"
) -> UUID:
    """An agent of this name that answers with ``prompt``, without tools; its version's id.

    One that is there is left as it is, and its production version returned.
    """
    agent, created = Agent.objects.get_or_create(
        slug=slug,
        defaults={"name": name or slug, "domain": domain, "purpose": prompt[:200], "risk": risk},
    )
    if not created:
        return UUID(str(production_of(slug)["id"]))
    version, _ = versions.publish(
        agent=agent, content=versions.Content(prompt), label=Label.Name.PRODUCTION
    )
    return version.pk


def publish_prompt(slug: str, prompt: str, *, by: str = "") -> UUID:
    """A version like production but for its prompt; its id. Raises NotFound, InvalidInput."""
    agent = _agent(slug)
    present = versions.version_of(agent, Label.Name.PRODUCTION)
    content = replace(versions.content_of(present), prompt=prompt)
    version, _ = versions.publish(agent=agent, content=content, created_by=by)
    return version.pk


def split_traffic(
    slug: str,
    arms: Mapping[str, list[list[int]]],
    *,
    unit: str,
    seed: str,
    audience: Sequence[str] = (),
    gates: Sequence[Mapping[str, Any]] = (),
    reason: str = "",
    by: str = "",
) -> int:
    """Open the agent's next epoch and return its number; raises NotFound, InvalidInput."""
    split = versions.open_split(
        agent=_agent(slug), arms=arms, unit=unit, seed=seed, audience=audience, gates=gates,
        reason=reason, by=by,
    )  # fmt: skip
    return split.epoch


def end_split(slug: str, *, by: str = "") -> bool:
    """Let production answer everybody again; False if no split was open."""
    return versions.close_split(agent=_agent(slug), by=by)


def open_epoch(slug: str) -> int | None:
    """The number of the agent's open split; None if production answers everybody."""
    rows = TrafficSplit.objects.filter(agent__slug=slug, closed_at=None)
    return rows.values_list("epoch", flat=True).first()


def epochs_named(slug: str, reason: str) -> list[int]:
    """All epochs of the agent that were opened for exactly this reason, in order."""
    rows = TrafficSplit.objects.filter(agent__slug=slug, reason=reason)
    return list(rows.order_by("epoch").values_list("epoch", flat=True))


def promote(slug: str, version_id: UUID, *, by: str = "") -> None:
    """Point ``production`` at the version; raises NotFound, Conflict."""
    agent = _agent(slug)
    versions.move_label(
        agent=agent, name=Label.Name.PRODUCTION, version=versions.version_of(agent, version_id),
        by=by,
    )  # fmt: skip


def production_of(slug: str) -> dict[str, Any]:
    """The version that answers where no split says otherwise; raises NotFound."""
    return version_values(slug, Label.Name.PRODUCTION)


def version_values(slug: str, reference: str | int | UUID) -> dict[str, Any]:
    """A version's id, number, digest and risk of its agent, by id, number or label."""
    agent = _agent(slug)
    version: AgentVersion = versions.version_of(agent, reference)
    return {
        "id": version.pk,
        "number": version.number,
        "digest": version.digest,
        "retired_at": version.retired_at,
        "agent_risk": agent.risk,
    }


def last_call_of(version_id: UUID, since: datetime) -> datetime | None:
    """When the version last answered since ``since``; None if it did not."""
    rows = Invocation.objects.filter(id__gte=first_id(since - SLACK), version_id=version_id)
    return (
        rows.filter(started_at__gte=since)
        .order_by("-started_at")
        .values_list("started_at", flat=True)
        .first()
    )


def outcomes(
    slug: str, epochs: Sequence[int], *, since: datetime, until: datetime,
    among: Sequence[tuple[int, int, int]] = (),
) -> Iterator[Outcome]:  # fmt: skip
    """Every unit that met the agent in ``epochs``, its first call before ``until``.

    Calls of a unit are added up, whichever version answered: it keeps what it was assigned. With
    ``among`` only units count whose first call of all these was in ``epochs``, each with all of
    these calls: (epoch, below, above) are an epoch's calls of buckets under ``below`` and from
    ``above`` on.
    """
    agent = _agent(slug)
    own = list(epochs)
    asked: list[Any] = [agent.pk, first_id(since - SLACK), since]
    met = "split_epoch = ANY(%s)"
    if among:
        met = _MET
        parts = [list(part) for part in zip(*among, strict=True)]
        values: list[Any] = [*parts, *asked, until, own]
    else:
        values = [*asked, own, until, own]
    with connection.cursor() as cursor:
        cursor.execute(_OUTCOMES.format(join=_AMONG if among else "", met=met), values)
        while rows := cursor.fetchmany(FETCHED):
            for row in rows:
                unit, bucket, first_at, calls, failures, cost, seconds, tokens, version = row
                yield Outcome(
                    unit, bucket, first_at, calls, failures, float(cost), float(seconds),
                    int(tokens), version,
                )  # fmt: skip


def earlier_outcomes(
    slug: str, unit: str, *, since: datetime, until: datetime
) -> Iterator[Outcome]:
    """What each unit (``user``, ``client``, ``conversation``) had of the agent in [since, until).

    Whatever version answered and whether or not a split was open. Raises KeyError for others.
    """
    column = _COLUMNS[unit]
    agent = _agent(slug)
    with connection.cursor() as cursor:
        cursor.execute(
            _EARLIER.format(column=column), [agent.pk, first_id(since - SLACK), since, until]
        )
        while rows := cursor.fetchmany(FETCHED):
            for one, first_at, calls, failures, cost, seconds, tokens in rows:
                yield Outcome(one, 0, first_at, calls, failures, float(cost), float(seconds),
                              int(tokens))  # fmt: skip


_COLUMNS = {"user": "user_id", "client": "client_id", "conversation": "conversation_id"}
_EARLIER = """
    SELECT {column}::text, min(started_at), count(*),
           count(*) FILTER (WHERE state IN ('failed', 'blocked', 'fallback')),
           sum(cost_usd), sum(duration_seconds), sum(input_tokens + cached_tokens + output_tokens)
    FROM agents_invocation
    WHERE agent_id = %s AND id >= %s AND started_at >= %s AND started_at < %s
      AND {column} IS NOT NULL AND NOT is_demo
    GROUP BY 1
"""
_AMONG = "JOIN unnest(%s::int[], %s::int[], %s::int[]) AS among (epoch, below, above) ON true"
_MET = "split_epoch = epoch AND (bucket < below OR bucket >= above)"
_OUTCOMES = """
    SELECT unit, min(bucket), min(started_at), count(*),
           count(*) FILTER (WHERE state IN ('failed', 'blocked', 'fallback')),
           sum(cost_usd), sum(duration_seconds),
           sum(input_tokens + cached_tokens + output_tokens),
           (array_agg(version_id::text ORDER BY id))[1]
    FROM agents_invocation {join}
    WHERE agent_id = %s AND id >= %s AND started_at >= %s AND {met}
      AND unit <> '' AND bucket IS NOT NULL
    GROUP BY unit HAVING min(started_at) < %s AND min(split_epoch) = ANY(%s)
"""


def _agent(slug: str) -> Agent:
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise NotFound("agent", slug)
    return agent
