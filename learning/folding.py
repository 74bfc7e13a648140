"""Fold what units met into sufficient statistics per arm and day, and read them as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from agents import services as agents
from learning.domain import measures
from learning.domain.measures import Said, UnitSeen
from learning.models import ArmDay, Feedback, Score


@dataclass(frozen=True, slots=True)
class Source:
    """Where one stage's units come from: an agent's epochs, and the arms' buckets."""

    owner_id: UUID
    client_id: UUID
    agent_slug: str
    stage: str
    epochs: Sequence[int]
    arms: Mapping[str, measures.Ranges]
    metrics: Sequence[Mapping[str, Any]]
    since: datetime
    until: datetime


def fold(source: Source) -> int:
    """Write the stage's ArmDay rows anew; returns the number of units in any arm.

    Folding again gives the same rows, so two sweeps at once or a crash between do no harm.
    """
    if not source.epochs:
        return 0
    caps = {str(m["key"]): float(m["cap"]) for m in source.metrics if m.get("cap") is not None}
    cells = measures.fold(_units(source), arms=source.arms, metrics=source.metrics, caps=caps)
    rows = [
        ArmDay(
            owner_id=source.owner_id, client_id=source.client_id, stage=source.stage, arm=arm,
            day=day, units=cell["units"], statistics=cell["statistics"],
        )
        for (arm, day), cell in sorted(cells.items())
    ]  # fmt: skip
    with transaction.atomic():
        ArmDay.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["owner_id", "stage", "arm", "day"],
            update_fields=["units", "statistics", "folded_at"],
        )
        ArmDay.objects.filter(pk__in=[row.pk for row in rows]).update(folded_at=Now())
    return sum(row.units for row in rows)


def stages_of(owner_id: UUID, weights: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """The ``stages`` of a statistics document; ``weights``: stage → arm → share that was meant.

    Arms without units on a day are there with zeros, so that no data is seen as no data.
    """
    found: dict[str, dict[str, dict[str, ArmDay]]] = {}
    for row in ArmDay.objects.filter(owner_id=owner_id).order_by("day", "arm"):
        found.setdefault(row.stage, {}).setdefault(row.day.isoformat(), {})[row.arm] = row
    stages = []
    for name, shares in weights.items():
        days = found.get(name, {})
        stages.append(
            {
                "name": name,
                "weights": dict(shares),
                "days": [
                    {"date": day, "arms": [_arm(arm, rows.get(arm)) for arm in shares]}
                    for day, rows in sorted(days.items())
                ],
            }
        )
    return stages


def units(owner_id: UUID, stage: str) -> dict[str, int]:
    """Units per arm in one stage."""
    rows = ArmDay.objects.filter(owner_id=owner_id, stage=stage).order_by()
    return dict(rows.values("arm").annotate(total=Sum("units")).values_list("arm", "total"))


def with_zeros(stages: list[dict[str, Any]], metrics: Sequence[Mapping[str, Any]]) -> Any:
    """The same stages, every arm holding every metric, and a day where there was none."""
    for stage in stages:
        if not stage["days"]:
            stage["days"] = [
                {"date": "none", "arms": [_arm(arm, None) for arm in stage["weights"]]}
            ]
        for day in stage["days"]:
            for arm in day["arms"]:
                for metric in metrics:
                    arm["metrics"].setdefault(str(metric["key"]), _zero(str(metric["type"])))
    return stages


def _arm(arm: str, row: ArmDay | None) -> dict[str, Any]:
    if row is None:
        return {"key": arm, "units": 0, "metrics": {}}
    return {"key": arm, "units": row.units, "metrics": dict(row.statistics)}


def _zero(kind: str) -> dict[str, float]:
    if kind == "proportion":
        return {"n": 0, "successes": 0}
    if kind == "ratio":
        return {
            "n": 0, "numerator_sum": 0, "numerator_sum_squares": 0, "denominator_sum": 0,
            "denominator_sum_squares": 0, "numerator_denominator_sum_product": 0,
        }  # fmt: skip
    return {"n": 0, "sum": 0, "sum_squares": 0}


def _units(source: Source) -> Iterator[UnitSeen]:
    said = _said(source)
    for outcome in agents.outcomes(
        source.agent_slug, source.epochs, since=source.since, until=source.until
    ):
        yield UnitSeen(
            outcome.bucket, outcome.first_at.astimezone(UTC).date(), outcome.calls,
            outcome.failures, outcome.cost_usd, outcome.seconds, outcome.tokens,
            said.get(outcome.unit, Said()),
        )  # fmt: skip


def _said(source: Source) -> dict[str, Said]:
    """What was said per unit: standing ratings, complaints, and scores."""
    about = {
        "agent_slug": source.agent_slug, "split_epoch__in": list(source.epochs),
        "superseded_at": None,
    }  # fmt: skip
    sums: dict[str, list[float]] = {}
    for unit, kind, rating in Feedback.objects.filter(**about).values_list(
        "unit", "kind", "rating"
    ):
        cell = sums.setdefault(unit, [0.0, 0, 0])
        if rating is not None:
            cell[0] += rating
            cell[1] += 1
        # A rating of 1 or 2 is a complaint without words.
        cell[2] += kind == Feedback.Kind.COMPLAINT or (rating is not None and rating <= 2)
    scores: dict[str, dict[str, tuple[float, int]]] = {}
    for unit, name, value in Score.objects.filter(**about).values_list("unit", "name", "value"):
        total, count = scores.setdefault(unit, {}).get(name, (0.0, 0))
        scores[unit][name] = (total + value, count + 1)
    return {
        unit: Said(*_three(sums.get(unit)), scores.get(unit, {}))
        for unit in sums.keys() | scores.keys()
    }


def _three(cell: list[float] | None) -> tuple[float, int, int]:
    return (cell[0], int(cell[1]), int(cell[2])) if cell else (0.0, 0, 0)
