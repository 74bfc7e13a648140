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
# A queued call has its id from when it was asked for, and waits at most so long.
LONGEST_QUEUED = timedelta(hours=26)
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
    """When the version last answered since ``since``; None if it did not.

    Replays and studies, which ask it outside of any split, are nobody's exposure.
    """
    rows = Invocation.objects.filter(id__gte=first_id(since - SLACK), version_id=version_id)
    rows = rows.exclude(is_demo=True, split_epoch=None)
    return (
        rows.filter(started_at__gte=since)
        .order_by("-started_at")
        .values_list("started_at", flat=True)
        .first()
    )


def outcomes(
    slug: str, epochs: Sequence[int], *, since: datetime, until: datetime,
    among: Sequence[tuple[int, int, int]] = (), came_from: datetime | None = None,
    but_of: Sequence[int] = (), units: Sequence[str] | None = None,
    before: datetime | None = None,
) -> Iterator[Outcome]:  # fmt: skip
    """Every unit that met the agent in ``epochs``, its first call before ``until``.

    Calls of a unit are added up, whichever version answered: it keeps what it was assigned. With
    ``among`` only units count whose first call of all these was in ``epochs``, each with all of
    these calls: (epoch, below, above) are an epoch's calls of buckets under ``below`` and from
    ``above`` on. ``came_from``: only units whose first call was not before. ``but_of``: none that
    has a call in these epochs. ``units``: of these alone. ``before``: as it was when only calls had
    been recorded that ended before this moment.
    """
    join, met, values = _which_calls(slug, epochs, since, among)
    values |= {"until": until, "own": list(epochs)}
    more, having = "", ""
    if units is not None:
        more, values["units"] = f"{more} {_OF_UNITS}", list(units)
    if before is not None:
        more = f"{more} AND {_BEFORE}"
        values |= {"before": before, "before_id": first_id(before)}
    if but_of:
        then = "" if before is None else f"AND {_BEFORE}"
        more, values["but_of"] = f"{more} {_BUT_OF.format(then=then)}", list(but_of)
    if came_from is not None:
        having, values["came_from"] = "AND min(started_at) >= %(came_from)s", came_from
    query = _OUTCOMES.format(join=join, met=met, more=more, having=having)
    # All units of a long comparison are more than a process should hold.
    with connection.chunked_cursor() if units is None else connection.cursor() as cursor:
        cursor.execute(query, values)
        while rows := cursor.fetchmany(FETCHED):
            for row in rows:
                unit, bucket, first_at, calls, failures, cost, seconds, tokens, version = row
                yield Outcome(
                    unit, bucket, first_at, calls, failures, float(cost), float(seconds),
                    int(tokens), version,
                )  # fmt: skip


def units_that_changed(
    slug: str, *, since: datetime, until: datetime, after: datetime, came_from: datetime,
    among: Sequence[tuple[int, int, int]] = (),
) -> dict[int, set[str]]:  # fmt: skip
    """Epoch → units with a call in it that ``outcomes(before=after)`` does not know.

    Beside them those with a call in [``came_from``, ``until``): whoever came then is among these.
    """
    join, met, values = _which_calls(slug, None, since, among)
    values |= {
        "after": after, "after_id": first_id(after), "changed_id": first_id(after - LONGEST_QUEUED),
        "came_from": came_from, "came_id": first_id(came_from - LONGEST_QUEUED),
        "until": until, "until_id": first_id(until),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED.format(join=join, met=met), values)
        found: dict[int, set[str]] = {}
        for epoch, unit in cursor.fetchall():
            found.setdefault(epoch, set()).add(unit)
    return found


def units_are_named(slug: str, unit: str, *, since: datetime, until: datetime) -> bool:
    """Whether callers named units of their own in comparisons of the agent by ``unit``."""
    query = _NAMED.format(column=_COLUMNS[unit])
    with connection.cursor() as cursor:
        cursor.execute(query, {
            "agent": _agent(slug).pk, "first_id": first_id(since - SLACK), "since": since,
            "until": until,
        })  # fmt: skip
        return bool(cursor.fetchone()[0])


def _which_calls(
    slug: str, epochs: Sequence[int] | None, since: datetime,
    among: Sequence[tuple[int, int, int]],
) -> tuple[str, str, dict[str, Any]]:  # fmt: skip
    """What a question about an agent's calls joins, which of them it means, and its values.

    ``epochs`` None: of any.
    """
    values: dict[str, Any] = {
        "agent": _agent(slug).pk, "first_id": first_id(since - SLACK), "since": since,
    }  # fmt: skip
    if not among and epochs is None:
        return "", "split_epoch IS NOT NULL", values
    if not among:
        return "", "split_epoch = ANY(%(epochs)s)", values | {"epochs": list(epochs or ())}
    epoch, below, above = (list(part) for part in zip(*among, strict=True))
    return _AMONG, _MET, values | {"epoch": epoch, "below": below, "above": above}


def earlier_outcomes(
    slug: str, unit: str, *, since: datetime, until: datetime, units: Sequence[str] | None = None
) -> Iterator[Outcome]:
    """What each unit (user, client, conversation or run) had of the agent in [since, until).

    Whatever version answered and whether or not a split was open; ``units``: of these alone.
    Raises KeyError for others.
    """
    column = _COLUMNS[unit]
    values: dict[str, Any] = {
        "agent": _agent(slug).pk, "first_id": first_id(since - SLACK), "since": since,
        "until": until, "last_id": first_id(until + LONGEST_QUEUED),
    }  # fmt: skip
    more = ""
    if units is not None:
        more, values["units"] = f"AND {column}::text = ANY(%(units)s)", list(units)
    with connection.cursor() as cursor:
        cursor.execute(_EARLIER.format(column=column, more=more), values)
        while rows := cursor.fetchmany(FETCHED):
            for one, first_at, calls, failures, cost, seconds, tokens in rows:
                yield Outcome(one, 0, first_at, calls, failures, float(cost), float(seconds),
                              int(tokens))  # fmt: skip


_COLUMNS = {
    "user": "user_id", "client": "client_id", "conversation": "conversation_id",
    "run": "coalesce(run_id, conversation_id, id)",
}  # fmt: skip
_EARLIER = """
    SELECT {column}::text, min(started_at), count(*),
           count(*) FILTER (WHERE state IN ('failed', 'blocked', 'fallback')),
           sum(cost_usd), sum(duration_seconds), sum(input_tokens + cached_tokens + output_tokens)
    FROM agents_invocation
    WHERE agent_id = %(agent)s AND id >= %(first_id)s AND id < %(last_id)s
      AND started_at >= %(since)s AND started_at < %(until)s
      AND {column} IS NOT NULL AND NOT is_demo {more}
    GROUP BY 1
"""
_NAMED = """
    SELECT EXISTS (
        SELECT 1 FROM agents_invocation
        WHERE agent_id = %(agent)s AND id >= %(first_id)s
          AND started_at >= %(since)s AND started_at < %(until)s
          AND split_epoch IS NOT NULL AND unit <> '' AND unit <> {column}::text
    )
"""
_AMONG = """
    JOIN unnest(%(epoch)s::int[], %(below)s::int[], %(above)s::int[])
      AS among (epoch, below, above) ON true
"""
_MET = "split_epoch = epoch AND (bucket < below OR bucket >= above)"
_CALLS = """
    FROM agents_invocation {join}
    WHERE agent_id = %(agent)s AND id >= %(first_id)s AND started_at >= %(since)s AND {met}
      AND unit <> '' AND bucket IS NOT NULL
"""
# Found by the index on units, which knows calls in a split only.
_OF_UNITS = "AND unit = ANY(%(units)s) AND split_epoch IS NOT NULL"
_ENDED_AT = "started_at + duration_seconds * interval '1 second'"
_BEFORE = f"id < %(before_id)s AND {_ENDED_AT} < %(before)s"
_BUT_OF = """
    AND NOT EXISTS (
        SELECT FROM agents_invocation AS other
        WHERE other.agent_id = %(agent)s AND other.unit = agents_invocation.unit
          AND id >= %(first_id)s AND started_at >= %(since)s
          AND split_epoch IS NOT NULL AND split_epoch = ANY(%(but_of)s) AND bucket IS NOT NULL
          {then}
    )
"""
_OUTCOMES = f"""
    SELECT unit, min(bucket), min(started_at), count(*),
           count(*) FILTER (WHERE state IN ('failed', 'blocked', 'fallback')),
           sum(cost_usd), sum(duration_seconds),
           sum(input_tokens + cached_tokens + output_tokens),
           (array_agg(version_id::text ORDER BY id))[1]
    {_CALLS} {{more}}
    GROUP BY unit
    HAVING min(started_at) < %(until)s AND min(split_epoch) = ANY(%(own)s) {{having}}
"""
_CHANGED = f"""
    SELECT DISTINCT split_epoch, unit {_CALLS}
      AND ((id >= %(changed_id)s AND (id >= %(after_id)s OR {_ENDED_AT} >= %(after)s))
           OR (id >= %(came_id)s AND id < %(until_id)s
               AND started_at >= %(came_from)s AND started_at < %(until)s))
"""


def _agent(slug: str) -> Agent:
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise NotFound("agent", slug)
    return agent
