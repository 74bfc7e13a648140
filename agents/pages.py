"""Pages of agents: the fleet, one agent with its versions, one invocation with its calls."""

from __future__ import annotations

import difflib
import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from agents import fleet, queries, queries_calls
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page
from monitoring.asked import asked, link, offered

SHOWN_INVOCATIONS = 40


@require_GET
@page("agents:read")
def fleet_piece(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of the overview about agents: one sentence, and who needs somebody."""
    found = asked(request, caller)
    stands = fleet.standing(found.sight)
    context = {"standing": stands, "head": _head(stands), "rest": _rest(stands)}
    return render(request, "agents/_fleet.html", context)


def _head(stands: fleet.Standing) -> str:
    if not stands.agents:
        return "No agents yet."
    healthy = stands.active - len(stands.needing)
    if healthy == stands.agents > 1:
        return f"All {healthy} agents are healthy."
    return _healthy(healthy, stands.agents) + ("." if healthy == stands.agents else ";")


def _healthy(good: int, agents: int) -> str:
    verb = "is" if agents == 1 else "are"
    return f"{good} of {readable.plural(agents, 'agent')} {verb} healthy"


def _rest(stands: fleet.Standing) -> str:
    parts = []
    if stands.needing:
        names = readable.listed([slug for slug, _ in stands.needing])
        verb = "needs" if len(stands.needing) == 1 else "need"
        parts.append(f"{len(stands.needing)} {verb} you: {names}")
    if stands.paused:
        parts.append(f"{len(stands.paused)} paused: {readable.listed(stands.paused)}")
    return "; ".join(parts) + ("." if parts else "")


@require_GET
@page("agents:read")
def all_agents(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/agents``; ``?domain=``, ``?health=``, ``?range=`` filter, typing finds."""
    found = asked(request, caller)
    every = fleet.rows(found.sight, found.when)
    domains = sorted({row.agent["domain"] for row in every})
    rows = every
    if domain := request.GET.get("domain"):
        rows = [row for row in rows if row.agent["domain"] == domain]
    if health := request.GET.get("health"):
        rows = [row for row in rows if row.health == health]
    context = {
        **offered(caller, found), "rows": rows, "domains": domains,
        "healths": sorted({row.health for row in every}), "words": _words(rows, found.when.words),
        "tail": link("", found).removeprefix("?"),
    }  # fmt: skip
    return render(request, "agents/agents.html", context)


def _words(rows: list[fleet.Row], stretch: str) -> str:
    good = sum(row.health in ("healthy", "idle") for row in rows)
    called = sum(1 for row in rows if row.calls)
    bad = sorted((row for row in rows if row.alert and row.agent["state"] == "active"),
                 key=lambda row: row.agent["slug"])  # fmt: skip
    said = f"{_healthy(good, len(rows))}; "
    if bad:
        said += f"{readable.listed([row.agent['slug'] for row in bad])} " + (
            "needs you; " if len(bad) == 1 else "need you; "
        )
    return said + f"{called} answered in the last {stretch}."


@require_GET
@page("agents:read")
def one_agent(request: HttpRequest, caller: Caller, slug: str) -> HttpResponse:
    """``/dashboard/agents/{slug}``; ``?diff=1..2`` compares two versions."""
    found = asked(request, caller, "7d")
    agent = queries.agent_detail(slug)
    versions = agent["versions"]
    current = next((v for v in versions if "production" in v["labels"]), None)
    tools = {tool["name"]: tool for tool in queries.tools(caller)}
    context = {
        "agent": agent,
        "current": current or (versions[0] if versions else None),
        "tools": [tools.get(name, {"name": name}) for name in _tool_names(current)],
        **offered(caller, found),
        "panel": link("/dashboard/_panel", found, scope="agent", key=slug),
        "alerts": link("/dashboard/_alerts", found, scope="agent", key=slug),
        "stream": link("/dashboard/_stream", found, scope="agent", key=slug),
        "by_version": fleet.by_version(found.sight, found.when, slug),
        "invocations": queries_calls.recent_invocations(
            caller, agent=slug, limit=SHOWN_INVOCATIONS
        ),
        "diff": _diff(versions, request.GET.get("diff", "")),
        "shares": _shares(agent),
        "settings": _settings(current),
    }
    return render(request, "agents/agent.html", context)


def _tool_names(version: dict[str, Any] | None) -> list[str]:
    return [str(name) for name in (version or {}).get("tools", [])]


def _settings(version: dict[str, Any] | None) -> list[tuple[str, Any]]:
    return sorted((version or {}).get("model", {}).items())


def _shares(agent: dict[str, Any]) -> list[tuple[str, float]]:
    """Which version answers which share of the units, if a split is open."""
    if not agent["split"]:
        return []
    numbers = {str(v["id"]): f"v{v['number']}" for v in agent["versions"]}
    shares = agent["split"]["shares"]
    return [(numbers.get(str(key), str(key)), share) for key, share in shares.items()]


def _diff(versions: list[dict[str, Any]], span: str) -> list[tuple[str, str]]:
    """The lines of the difference between two versions, each with its class."""
    left, _, right = span.partition("..")
    known = {str(version["number"]): version for version in versions}
    if left not in known or right not in known:
        return []
    classes = {"+": "add", "-": "del", "@": "at"}
    lines = difflib.unified_diff(
        _lines(known[left]), _lines(known[right]), f"v{left}", f"v{right}", lineterm=""
    )
    return [(classes.get(line[:1], ""), line) for line in lines]


def _lines(version: dict[str, Any]) -> list[str]:
    content = {k: version[k] for k in ("model", "tools", "guardrails", "output_schema",
                                       "retrieval", "examples")}  # fmt: skip
    text = json.dumps(content, indent=2, sort_keys=True, default=str, ensure_ascii=False)
    return [*version["prompt"].splitlines(), *text.splitlines()]


@require_GET
@page("agents:read")
def invocation(request: HttpRequest, caller: Caller, invocation_id: UUID) -> HttpResponse:
    """``/dashboard/invocations/{id}``: what was asked, what happened, what came back."""
    shown = queries_calls.invocation_detail(caller, invocation_id)
    return render(request, "agents/invocation.html", {"one": _told(shown)})


@require_GET
@page("runs:read")
def calls(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of a step's panel about its calls: ``?run=`` and ``?step=``."""
    run_id, step_id = (_uuid(request, name) for name in ("run", "step"))
    context = {
        "invocations": [
            _told(one) for one in queries_calls.invocations_of_step(caller, step_id, run_id)
        ],
        "tools": queries_calls.tool_calls_of_step(caller, step_id, run_id),
    }
    return render(request, "agents/_calls.html", context)


def _uuid(request: HttpRequest, name: str) -> UUID:
    text = request.GET.get(name, "")
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(name, text, "must be an id") from None


def _told(one: dict[str, Any]) -> dict[str, Any]:
    """An invocation with its model and tool calls in the order in which they happened."""
    tree = [{"what": "model", **call} for call in one["calls"]]
    tree += [{"what": "tool", **call} for call in one["tools"]]
    tree.sort(key=lambda call: call["started_at"])
    longest = max([one["duration_seconds"], *(c["duration_seconds"] for c in tree)], default=0.0)
    for call in tree:
        offset = (call["started_at"] - one["started_at"]).total_seconds()
        call["at"] = _percent(offset, longest)
        call["width"] = _percent(call["duration_seconds"], longest)
    output = one["output"] if isinstance(one["output"], dict) else {"text": str(one["output"])}
    return {**one, "tree": tree, "text": output.get("text", ""), "output": output,
            "tokens": one["input_tokens"] + one["cached_tokens"] + one["output_tokens"]
            + one["reasoning_tokens"]}  # fmt: skip


def _percent(seconds: float, total: float) -> str:
    return f"{min(max(100 * seconds / total, 0.0), 100.0) if total else 0.0:.2f}"
