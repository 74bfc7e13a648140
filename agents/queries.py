"""What other apps and pages may read of agents: plain values, no models."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db.models import Avg, Count, F, Q, Sum
from django.utils import timezone

from agents import resolving, tripping
from agents.domain import traffic
from agents.endpoints.directory import seen
from agents.endpoints.embeddings import breaker_of
from agents.models import (
    Agent,
    AgentVersion,
    Budget,
    Endpoint,
    Invocation,
    Label,
    TrafficSplit,
)
from agents.queries_calls import invocation_detail as invocation_detail
from agents.queries_calls import only_agent_in as only_agent_in
from agents.queries_calls import recent_invocations as recent_invocations
from agents.tools import registry
from agents.tools.remote import finding
from config.access.callers import Caller
from config.access.hiding import of_visible_runs
from config.errors import InvalidInput, NotFound
from config.partitions import first_id
from scaling import breaker

Lane = Literal["io", "analysis"]
DAY = timedelta(hours=24)
# Which lane an agent needs changes with its production version, seldom; asked for at each step.
LANE_KEPT_SECONDS = 10.0
# No version of an agent has a number of more digits.
_MOST_DIGITS = 9
_lanes: dict[str, tuple[float, Lane]] = {}

_BAD = Q(state__in=[Invocation.State.FAILED, Invocation.State.BLOCKED])


def known_agents(*, born_by: datetime | None = None) -> frozenset[str]:
    """Slugs of all agents that are not retired; of those that were there at ``born_by``."""
    rows = Agent.objects.exclude(state=Agent.State.RETIRED)
    if born_by is not None:
        rows = rows.filter(created_at__lte=born_by)
    return frozenset(rows.values_list("slug", flat=True))


def slugs_of(domain: str) -> list[str]:
    """The agents of a domain, by name."""
    return list(Agent.objects.filter(domain=domain).order_by("slug").values_list("slug", flat=True))


def domain_of(slug: str) -> str:
    """The domain of an agent; an empty text for one that is unknown."""
    return Agent.objects.filter(slug=slug).values_list("domain", flat=True).first() or ""


def number_of_version(version_id: UUID) -> str:
    """A version's number, as measurements name it; an empty text for one that is unknown."""
    number = AgentVersion.objects.filter(pk=version_id).values_list("number", flat=True).first()
    return "" if number is None else str(number)


def numbers_of_versions(ids: Collection[UUID]) -> dict[UUID, int]:
    """Numbers of versions by id; those that are unknown are left out."""
    return dict(AgentVersion.objects.filter(pk__in=ids).values_list("id", "number"))


def versions_numbered(slug: str, number: str) -> list[UUID]:
    """Ids of an agent's version of this number: one, or none. Raises InvalidInput."""
    if not number.isdecimal():
        raise InvalidInput("version", number, "a version's number")
    if len(number) > _MOST_DIGITS:
        return []
    rows = AgentVersion.objects.filter(agent__slug=slug, number=int(number))
    return list(rows.values_list("id", flat=True))


def agent_lane(slug: str) -> Lane:
    """``analysis`` if a tool of the production version may hold the GIL; raises NotFound."""
    now = time.monotonic()
    kept = _lanes.get(slug)
    if kept is not None and kept[0] > now:
        return kept[1]
    label = Label.objects.filter(agent__slug=slug, name=Label.Name.PRODUCTION).first()
    if label is None:
        raise NotFound("agent", slug)
    tools = resolving.version_by_id(label.version_id).tools
    lane: Lane = "analysis" if any(tool.lane == "analysis" for tool in tools) else "io"
    _lanes[slug] = (now + LANE_KEPT_SECONDS, lane)
    return lane


def agents_with_figures(caller: Caller, *, domain: str = "") -> list[dict[str, Any]]:
    """Every agent with its last 24 hours, as far as ``caller`` sees them.

    ``calls``, ``errors``, ``cost_usd``, ``mean_seconds`` and ``last_at`` beside the agent's own
    fields; None where it was not called.
    """
    since = first_id(timezone.now() - DAY)
    recent = caller.only_visible(Invocation.objects.filter(id__gte=since))
    figures = {
        row["agent_id"]: row
        for row in recent.values("agent_id").annotate(
            calls=Count("id"),
            errors=Count("id", filter=_BAD),
            cost_usd=Sum("cost_usd"),
            tokens=Sum(F("input_tokens") + F("cached_tokens") + F("output_tokens")),
            mean_seconds=Avg("duration_seconds"),
        )
    }
    rows = Agent.objects.filter(domain=domain) if domain else Agent.objects.all()
    production = dict(
        Label.objects.filter(name=Label.Name.PRODUCTION).values_list("agent_id", "version__number")
    )
    return [
        {
            **agent_values(agent),
            "production": production.get(agent.pk),
            **_figures(figures.get(agent.pk)),
        }
        for agent in rows.order_by("domain", "slug")
    ]


def agent_values(agent: Agent) -> dict[str, Any]:
    """The fields of an agent that pages and the API show."""
    return {
        name: getattr(agent, name)
        for name in ("id", "slug", "name", "domain", "purpose", "audience", "risk", "state",
                     "state_reason", "objectives", "scaling", "limits", "fallback", "updated_at")
    }  # fmt: skip


def agent_detail(slug: str) -> dict[str, Any]:
    """One agent with versions, labels and its open split; raises NotFound."""
    agent = Agent.objects.filter(slug=slug).first()
    if agent is None:
        raise NotFound("agent", slug)
    labels = {label.name: label.version_id for label in Label.objects.filter(agent=agent)}
    split = TrafficSplit.objects.filter(agent=agent, closed_at=None).first()
    return {
        **agent_values(agent),
        "cases": agent.cases,
        "labels": labels,
        "versions": [_version_values(v, labels) for v in agent.versions.order_by("-number")],
        "split": None if split is None else split_values(split),
        "taken_out": tripping.taken_out(slug, _live(agent, labels, split)),
        "budgets": [
            {
                "window": budget.window,
                "cap_usd": budget.cap_usd,
                "soft_cap_usd": budget.soft_cap_usd,
                "spent_usd": budget.spent_now_usd,
                "held_usd": budget.held_usd,
            }
            for budget in Budget.objects.filter(scope=Budget.Scope.AGENT, key=slug)
        ],
    }


def _live(agent: Agent, labels: dict[str, UUID], split: TrafficSplit | None) -> list[int]:
    """Numbers of the versions that may answer somebody: with a label, or in the open split."""
    ids = {*map(str, labels.values()), *(split.arms if split else ())}
    return list(agent.versions.filter(pk__in=ids).values_list("number", flat=True))


def split_values(split: TrafficSplit) -> dict[str, Any]:
    """An epoch with each version's share."""
    return {
        "id": split.pk,
        "epoch": split.epoch,
        "seed": split.seed,
        "unit": split.unit,
        "arms": split.arms,
        "shares": traffic.shares(split.arms),
        "reason": split.reason,
        "opened_by": split.opened_by,
        "opened_at": split.opened_at,
        "closed_at": split.closed_at,
    }


def subjects(caller: Caller, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """What feedback is about: id, client, agent, version, unit and epoch of these invocations."""
    rows = of_visible_runs(caller, Invocation.objects.filter(pk__in=ids))
    return list(rows.values("id", "client_id", "agent_slug", "version_id", "unit", "split_epoch"))


def run_costs(run_id: UUID) -> dict[str, Any]:
    """What a run's calls cost and took: calls, cost_usd, tokens, simulated."""
    found = Invocation.objects.filter(run_id=run_id).aggregate(
        calls=Count("id"),
        cost_usd=Sum("cost_usd"),
        input_tokens=Sum(F("input_tokens") + F("cached_tokens")),
        output_tokens=Sum(F("output_tokens") + F("reasoning_tokens")),
        real=Count("id", filter=Q(is_simulated=False, cached="", model_calls__gt=0)),
    )
    return {
        "calls": found["calls"],
        "cost_usd": found["cost_usd"] or 0,
        "input_tokens": found["input_tokens"] or 0,
        "output_tokens": found["output_tokens"] or 0,
        "simulated": found["real"] == 0,
    }


def tools(caller: Caller | None = None) -> list[dict[str, Any]]:
    """Every tool with its schema and what it declares.

    With a ``caller`` also those of the configured sources that it may see.
    """
    remote = () if caller is None else tuple(finding.listing(caller.client_ids))
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "output_schema": tool.output_schema,
            "light": tool.light,
            "idempotent": tool.idempotent,
            "cache_seconds": tool.cache_seconds,
            "timeout_seconds": tool.timeout_seconds,
            "fallback": tool.fallback,
            "lane": tool.lane,
            "tags": sorted(tool.tags),
        }
        for tool in (*registry.all_tools(), *remote)
    ]


def endpoints() -> list[dict[str, Any]]:
    """Every endpoint without its key."""
    return [endpoint_values(endpoint) for endpoint in Endpoint.objects.all()]


def endpoint_values(endpoint: Endpoint) -> dict[str, Any]:
    """One endpoint as the API shows it: whether it has a key, never the key.

    ``health``: its shared breaker, those of its embedding models, and what this process has seen.
    """
    embedding = [
        one["name"] for one in endpoint.served if "embeddings" in one.get("capabilities", ())
    ]
    names = [f"endpoint:{endpoint.name}", *(breaker_of(endpoint.name, one) for one in embedding)]
    state, *states = breaker.states_of(names)
    return {
        "health": {
            "breaker": state,
            **({"embeddings": dict(zip(embedding, states, strict=True))} if embedding else {}),
            **seen.health(endpoint.name),
        },
        "id": endpoint.pk,
        "name": endpoint.name,
        "base_url": endpoint.base_url,
        "provider": endpoint.run_by,
        "is_offline": endpoint.is_offline,
        "state": endpoint.state,
        "models": endpoint.served,
        "priority": endpoint.priority,
        "weight": endpoint.weight,
        "max_in_flight": endpoint.max_in_flight,
        "limits": endpoint.limits,
        "api_key_env": endpoint.api_key_env,
        "has_key": bool(endpoint.api_key_encrypted),
    }


def version_values(version: AgentVersion) -> dict[str, Any]:
    """One version with all its content."""
    return {
        name: getattr(version, name)
        for name in ("id", "number", "prompt", "variables", "model", "tools", "guardrails",
                     "output_schema", "retrieval", "examples", "digest", "note", "created_by",
                     "created_at", "retired_at")
    }  # fmt: skip


def _version_values(version: AgentVersion, labels: dict[str, UUID]) -> dict[str, Any]:
    names = sorted(name for name, version_id in labels.items() if version_id == version.pk)
    return {**version_values(version), "labels": names}


def _figures(row: dict[str, Any] | None) -> dict[str, Any]:
    row = row or {}
    return {
        "calls": row.get("calls", 0),
        "errors": row.get("errors", 0),
        "cost_usd": row.get("cost_usd") or 0,
        "tokens": row.get("tokens") or 0,
        "mean_seconds": row.get("mean_seconds"),
    }
