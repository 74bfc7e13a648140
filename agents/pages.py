"""Pages of agents: the fleet, one agent with its versions, one invocation with its calls."""

from __future__ import annotations

import difflib
import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from agents import fleet, plots, queries
from config import readable
from config.access.callers import Caller
from config.errors import InvalidInput
from config.pages import page

SHOWN_INVOCATIONS = 40


@require_GET
@page("agents:read")
def fleet_piece(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of the overview about agents: a sentence, figures, the day hour by hour."""
    now = timezone.now()
    # A fresh installation has demo calls only: showing them beats showing nothing, and is said.
    demo = request.GET.get("demo") == "1" or not fleet.has_live_calls(caller, now=now)
    figures = fleet.figures(caller, now=now, demo=demo)
    context = {
        "figures": figures, "head": _head(figures), "rest": _rest(figures),
        "demo": demo and bool(figures["calls"] or figures["month_cost_usd"]),
        "calls": plots.call_bars(figures["hours"]),
        "latency": plots.latency_band(figures["hours"]),
    }  # fmt: skip
    return render(request, "agents/_fleet.html", context)


def _head(figures: dict[str, Any]) -> str:
    if not figures["agents"]:
        return "No agents yet."
    if figures["paused"]:
        paused = readable.listed(figures["paused"])
        return f"{figures['active']} of {figures['agents']} agents are active; paused: {paused}."
    return f"All {figures['active']} agents are active."


def _rest(figures: dict[str, Any]) -> str:
    if not figures["calls"]:
        return "Nobody called one in the last 24 hours."
    calls = readable.plural(figures["calls"], "call")
    agents = readable.plural(figures["called"], "of them", "of them")
    if not figures["errors"]:
        return f"{agents} answered {calls} in 24 hours without an error."
    return (
        f"{agents} took {calls} in 24 hours; {figures['errors']:,} failed or were blocked "
        f"({readable.percent(figures['error_ratio'])})."
    )


@require_GET
@page("agents:read")
def all_agents(request: HttpRequest, caller: Caller) -> HttpResponse:
    """``/dashboard/agents``; ``?domain=`` and ``?state=`` filter, typing finds."""
    rows = queries.agents_with_figures(caller)
    domains = sorted({row["domain"] for row in rows})
    if domain := request.GET.get("domain"):
        rows = [row for row in rows if row["domain"] == domain]
    if state := request.GET.get("state"):
        rows = [row for row in rows if row["state"] == state]
    for row in rows:
        row["error_ratio"] = row["errors"] / row["calls"] if row["calls"] else None
    active = sum(1 for row in rows if row["state"] == "active")
    called = sum(1 for row in rows if row["calls"])
    words = f"{active} of {readable.plural(len(rows), 'agent')} "
    words += f"{'is' if active == 1 else 'are'} active; {called} answered in the last 24 hours."
    context = {"rows": rows, "domains": domains, "words": words}
    return render(request, "agents/agents.html", context)


@require_GET
@page("agents:read")
def one_agent(request: HttpRequest, caller: Caller, slug: str) -> HttpResponse:
    """``/dashboard/agents/{slug}``; ``?diff=1..2`` compares two versions."""
    agent = queries.agent_detail(slug)
    versions = agent["versions"]
    current = next((v for v in versions if "production" in v["labels"]), None)
    tools = {tool["name"]: tool for tool in queries.tools(caller)}
    context = {
        "agent": agent,
        "current": current or (versions[0] if versions else None),
        "tools": [tools.get(name, {"name": name}) for name in _tool_names(current)],
        "figures": fleet.latency_of(caller, slug, now=timezone.now()),
        "invocations": queries.recent_invocations(caller, agent=slug, limit=SHOWN_INVOCATIONS),
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
    shown = queries.invocation_detail(caller, invocation_id)
    return render(request, "agents/invocation.html", {"one": _told(shown)})


@require_GET
@page("runs:read")
def calls(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The piece of a step's panel about its calls: ``?run=`` and ``?step=``."""
    run_id, step_id = (_uuid(request, name) for name in ("run", "step"))
    context = {
        "invocations": [_told(one) for one in queries.invocations_of_step(caller, step_id, run_id)],
        "tools": queries.tool_calls_of_step(caller, step_id, run_id),
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
