"""Keep sufficient statistics per arm and day of what units met, and read them as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from learning import summing
from learning.domain import quantiles
from learning.domain.sums import NO_DAY, Cells
from learning.models import ArmDay
from learning.outcomes import APART, Source, cells

# Who met a stage, units of earlier ones among them: evidence of nothing but that it is met.
MET = "+"
__all__ = ["APART", "MET", "Cells", "Source", "cells"]


def fold(source: Source, look: summing.Look | None = None) -> int:
    """Write the stage's ArmDay rows, where they changed; returns the number of units in any arm.

    Folding again gives the same rows, so two sweeps at once or a crash between do no harm.
    ``look``: what the stages of one comparison share.
    """
    if not source.epochs:
        return 0
    rows = [
        ArmDay(
            owner_id=source.owner_id, client_id=source.client_id, stage=stage, arm=arm,
            day=day, units=cell["units"], statistics=cell["statistics"],
        )
        for stage, found in summing.cells(source, look or summing.Look()).items()
        for (arm, day), cell in sorted(found.items())
    ]  # fmt: skip
    with transaction.atomic():
        stages = [source.stage, APART + source.stage]
        kept = {
            (row.stage, row.arm, row.day): row
            for row in ArmDay.objects.filter(owner_id=source.owner_id, stage__in=stages)
        }
        new = []
        for row in rows:
            before = kept.pop((row.stage, row.arm, row.day), None)
            if before is None or _told(before) != _told(row):
                new.append(row)
        ArmDay.objects.filter(pk__in=[row.pk for row in kept.values()]).delete()
        ArmDay.objects.bulk_create(
            new,
            update_conflicts=True,
            unique_fields=["owner_id", "stage", "arm", "day"],
            update_fields=["units", "statistics", "folded_at"],
        )
        ArmDay.objects.filter(pk__in=[row.pk for row in new]).update(folded_at=Now())
    return sum(row.units for row in rows)


def _told(row: ArmDay) -> tuple[int, Any]:
    return row.units, row.statistics


def with_apart(weights: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """The stages of ``weights`` and, beside them, what came during incidents in each."""
    return {**weights, **{APART + name: shares for name, shares in weights.items()}}


def left_out(owner_id: UUID) -> int:
    """Units that came during an incident, in all arms and stages."""
    rows = ArmDay.objects.filter(owner_id=owner_id, stage__startswith=APART)
    rows = rows.exclude(stage__startswith=APART + MET)
    return int(rows.aggregate(total=Sum("units"))["total"] or 0)


def stages_of(
    owner_id: UUID,
    weights: Mapping[str, Mapping[str, float]],
    instead: Mapping[str, Cells] | None = None,
) -> list[dict[str, Any]]:
    """The ``stages`` of a statistics document; ``weights``: stage → arm → share that was meant.

    Arms without units on a day are there with zeros, so that no data is seen as no data.
    ``instead`` of what is stored of a stage, cells as ``cells`` makes them.
    """
    found: dict[str, dict[str, dict[str, ArmDay]]] = {}
    for row in ArmDay.objects.filter(owner_id=owner_id).order_by("day", "arm"):
        found.setdefault(row.stage, {}).setdefault(row.day.isoformat(), {})[row.arm] = row
    for stage, given in (instead or {}).items():
        found[stage] = {}
        for (arm, day), cell in sorted(given.items()):
            row = ArmDay(units=cell["units"], statistics=cell["statistics"])
            found[stage].setdefault(day.isoformat(), {})[arm] = row
    stages = []
    for name, shares in weights.items():
        days = found.get(name, {})
        if not days and name.startswith(APART):
            continue
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


def days_of(owner_id: UUID) -> list[str]:
    """The dates on which anybody came, in order, but in incidents."""
    rows = ArmDay.objects.filter(owner_id=owner_id).exclude(stage__startswith=APART)
    days = rows.order_by("day").values_list("day", flat=True).distinct()
    return [day.isoformat() for day in days]


def units(owner_id: UUID, stage: str) -> dict[str, int]:
    """Units per arm in one stage."""
    rows = ArmDay.objects.filter(owner_id=owner_id, stage=stage).order_by()
    return dict(rows.values("arm").annotate(total=Sum("units")).values_list("arm", "total"))


def with_zeros(stages: list[dict[str, Any]], metrics: Sequence[Mapping[str, Any]]) -> Any:
    """The same stages, every arm holding every metric, and a day where there was none."""
    for stage in stages:
        if not stage["days"]:
            stage["days"] = [
                {"date": NO_DAY, "arms": [_arm(arm, None) for arm in stage["weights"]]}
            ]
        for day in stage["days"]:
            for arm in day["arms"]:
                for metric in metrics:
                    arm["metrics"].setdefault(str(metric["key"]), _zero(metric))
    return quantiles.whole_stages(stages, metrics)


def _arm(arm: str, row: ArmDay | None) -> dict[str, Any]:
    if row is None:
        return {"key": arm, "units": 0, "metrics": {}}
    return {"key": arm, "units": row.units, "metrics": dict(row.statistics)}


def _zero(metric: Mapping[str, Any]) -> dict[str, float]:
    kind = str(metric["type"])
    past = {}
    if metric.get("cuped_days"):
        past = {"covariate_sum": 0, "covariate_sum_squares": 0, "covariate_sum_product": 0}
    if kind == "quantile":
        return {"n": 0}
    if kind == "proportion":
        return {"n": 0, "successes": 0, **past}
    if kind == "ratio":
        return {
            "n": 0, "numerator_sum": 0, "numerator_sum_squares": 0, "denominator_sum": 0,
            "denominator_sum_squares": 0, "numerator_denominator_sum_product": 0,
        }  # fmt: skip
    return {"n": 0, "sum": 0, "sum_squares": 0, **past}
