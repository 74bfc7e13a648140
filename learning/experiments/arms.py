"""The arms of a draft: versions of an agent, or of a workflow and of agents in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents import services as agents
from config.errors import InvalidInput
from learning import improvements
from workflows import evidence as workflows

MODES = ("ab", "aa")
# What a run can be assigned by: it has a client, and is itself.
WORKFLOW_UNITS = ("run", "client")
# Runs have no tokens of their own; their calls do.
NOT_OF_RUNS = ("tokens",)
Rows = list[dict[str, Any]]


def of_agent(slug: str, given: Sequence[dict[str, Any]]) -> Rows:
    """The arms of an experiment on an agent; raises NotFound, InvalidInput, Barred."""
    rows = []
    for index, raw in enumerate(given):
        if raw.get("agents"):
            raise InvalidInput(f"variants[{index}].agents", sorted(raw["agents"]),
                               "none: this experiment is on one agent")  # fmt: skip
        version = agents.version_values(slug, _named(raw, index))
        _check_live(version, f"variants[{index}].version")
        rows.append({**_arm(raw, version), "agent_versions": {}})
    control = _checked(rows)
    for row in rows:
        if row["version_id"] != control["version_id"]:
            improvements.check_not_barred(slug, row["version_id"])
    return rows


def of_workflow(name: str, given: Sequence[dict[str, Any]], unit: str) -> Rows:
    """The arms of an experiment on a workflow; raises NotFound, InvalidInput, Barred, Conflict."""
    if unit not in WORKFLOW_UNITS:
        raise InvalidInput("unit", unit, f"one of {', '.join(WORKFLOW_UNITS)} for a workflow")
    rows = []
    for index, raw in enumerate(given):
        version = workflows.version_values(name, str(raw.get("version") or ""))
        named: dict[str, str] = {}
        for slug, reference in (raw.get("agents") or {}).items():
            place = f"variants[{index}].agents.{slug}"
            if slug not in version["agents"]:
                known = ", ".join(sorted(version["agents"])) or "none"
                raise InvalidInput(place, slug, f"an agent that its steps ask: {known}")
            chosen = agents.version_values(slug, str(reference))
            _check_live(chosen, place)
            named[slug] = str(chosen["id"])
        rows.append({**_arm(raw, version), "agent_versions": named})
    control = _checked(rows)
    for row in rows:
        for slug, version_id in row["agent_versions"].items():
            if control["agent_versions"].get(slug) != version_id:
                improvements.check_not_barred(slug, version_id)
    return rows


def check_measures(metrics: Sequence[dict[str, Any]]) -> None:
    """Raise InvalidInput for a metric that runs don't have."""
    for index, raw in enumerate(metrics):
        if raw.get("key") in NOT_OF_RUNS:
            raise InvalidInput(f"metrics[{index}].key", raw["key"], "a measure that runs have")


def is_aa(rows: Rows, mode: str) -> bool:
    """Whether all arms are the same; raises InvalidInput where ``mode`` says otherwise."""
    if mode not in ("", *MODES):
        raise InvalidInput("mode", mode, f"one of {', '.join(MODES)}")
    found = len({(r["version_id"], *sorted(r["agent_versions"].items())) for r in rows}) == 1
    if mode and found != (mode == "aa"):
        number = rows[0]["version_number"]
        wanted = f"version {number} in every arm" if mode == "aa" else "two versions that differ"
        raise InvalidInput("variants", [row["version_number"] for row in rows], wanted)
    return found


def _named(raw: dict[str, Any], index: int) -> str:
    if not raw.get("version"):
        raise InvalidInput(f"variants[{index}].version", None, "a version's id, number or label")
    return str(raw["version"])


def _check_live(version: dict[str, Any], place: str) -> None:
    if version["retired_at"] is not None:
        raise InvalidInput(place, version["number"], "a live version")


def _arm(raw: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": str(raw.get("key") or f"v{version['number']}"),
        "version_id": version["id"],
        "version_number": version["number"],
        "weight": float(raw.get("weight", 1.0)),
        "is_control": bool(raw.get("is_control", False)),
    }


def _checked(rows: Rows) -> dict[str, Any]:
    """The control among arms that make sense together: the first if none says so."""
    if len(rows) < 2:
        raise InvalidInput("variants", len(rows), "two or more")
    keys, weights = [row["key"] for row in rows], [row["weight"] for row in rows]
    if len(set(keys)) < len(keys):
        raise InvalidInput("variants", keys, "a different key for each")
    if any(weight < 0 for weight in weights) or sum(weight > 0 for weight in weights) < 2:
        raise InvalidInput("variants", weights, "weights of 0 or more, two of them above 0")
    controls = [row for row in rows if row["is_control"]]
    if len(controls) > 1:
        raise InvalidInput("variants", len(controls), "one control")
    control = controls[0] if controls else rows[0]
    control["is_control"] = True
    if control["weight"] == 0:
        raise InvalidInput("variants", 0, "a weight above 0 for the control")
    return control
