"""Draft an experiment: its arms, buckets, metrics, test and plan, fixed before it starts."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from django.db import transaction

from agents import services as agents
from config.access.callers import Caller
from config.errors import InvalidInput
from learning import improvements, rollouts
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.analysis.settings import comparison as read_test
from learning.experiments.judging import document
from learning.models import Experiment, Variant

DEFAULT_METRICS = (
    {"key": "success", "role": "primary"},
    {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
    {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
)
DEFAULT_PLAN = {"minimum_units": 100, "minimum_days": 14}
PLAN_FIELDS = frozenset({"minimum_units", "minimum_days", "planned_units", "planned_days"})


@transaction.atomic
def create(
    *,
    caller: Caller,
    agent_slug: str,
    name: str,
    variants: list[dict[str, Any]],
    hypothesis: str = "",
    unit: str = "run",
    coverage_ratio: float = 1.0,
    metrics: list[dict[str, Any]] | None = None,
    test: dict[str, Any] | None = None,
    plan: dict[str, Any] | None = None,
    maturity_hours: float = 0.0,
    autoconclude: bool = False,
    improvement_id: UUID | None = None,
    rollout_plan: dict[str, Any] | None = None,
    seed: str = "",
) -> Experiment:
    """A draft with its arms laid out in buckets; its seed, random unless given, never changes.

    ``variants``: ``{"key", "version", "weight", "is_control"}``, version by id, number or label.
    Raises InvalidInput for what can't be compared, Barred for a version that was rolled back.
    """
    rows = _variants(agent_slug, variants)
    control = next(row["key"] for row in rows if row["is_control"])
    ranges = measures.layout({r["key"]: r["weight"] for r in rows}, control, coverage_ratio)
    specs = [measures.metric(raw, i) for i, raw in enumerate(metrics or DEFAULT_METRICS)]
    settings = {"test": test or "sequential", "metrics": specs}
    read_test(settings)
    wrong = sorted(set(plan or {}) - PLAN_FIELDS)
    if wrong:
        raise InvalidInput(f"plan.{wrong[0]}", (plan or {})[wrong[0]], " or ".join(PLAN_FIELDS))
    experiment = Experiment.objects.create(
        client_id=caller.home_client_id, agent_slug=agent_slug, name=name, hypothesis=hypothesis,
        unit=unit, seed=seed or secrets.token_hex(16), coverage_ratio=coverage_ratio, metrics=specs,
        test=test or {"kind": "sequential"}, plan={**DEFAULT_PLAN, **(plan or {})},
        maturity_hours=maturity_hours, autoconclude=autoconclude, improvement_id=improvement_id,
        rollout_plan=rollouts.checked_plan(rollout_plan or {}),
        created_by=caller.name[:80],
    )  # fmt: skip
    Variant.objects.bulk_create(
        Variant(experiment=experiment, ranges=ranges[row["key"]], **row) for row in rows
    )
    analyse(document(experiment))  # refuses settings that could not be analysed, before the start
    return experiment


def _variants(agent_slug: str, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(given) < 2:
        raise InvalidInput("variants", len(given), "two or more")
    rows = []
    for index, raw in enumerate(given):
        version = agents.version_values(agent_slug, raw["version"])
        if version["retired_at"] is not None:
            raise InvalidInput(f"variants[{index}].version", version["number"], "a live version")
        rows.append(
            {
                "key": str(raw.get("key") or f"v{version['number']}"),
                "version_id": version["id"],
                "version_number": version["number"],
                "weight": float(raw.get("weight", 1.0)),
                "is_control": bool(raw.get("is_control", False)),
            }
        )
    if len({row["key"] for row in rows}) < len(rows):
        raise InvalidInput("variants", [row["key"] for row in rows], "a different key for each")
    if any(row["weight"] <= 0 for row in rows):
        raise InvalidInput("variants", [row["weight"] for row in rows], "weights above 0")
    controls = sum(row["is_control"] for row in rows)
    if controls > 1:
        raise InvalidInput("variants", controls, "one control")
    if not controls:
        rows[0]["is_control"] = True
    control = next(row["version_id"] for row in rows if row["is_control"])
    for row in rows:
        if row["version_id"] != control:
            improvements.check_not_barred(agent_slug, row["version_id"])
    return rows
