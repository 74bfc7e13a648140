"""Fold what units met into sufficient statistics per arm and day, and read them as a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now

from agents import services as agents
from learning import judging
from learning.domain import measures, quantiles
from learning.domain.measures import Said, UnitSeen
from learning.models import ArmDay, Feedback, Score, Subject
from workflows import splits

# Runs whose feedback one question asks for.
ASKED_AT_ONCE = 5_000
# A stage's units that came during an incident are a stage of this name.
APART = "~"
# Who met a stage, units of earlier ones among them: evidence of nothing but that it is met.
MET = "+"
Cells = dict[tuple[str, date], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where one stage's units come from: an agent's or a workflow's epochs, and arms' buckets.

    ``parked``: version → arm of no range. ``incidents``: spans whose units are kept apart.
    ``seen``: units of earlier stages, which don't count again; this stage's are added to it.
    ``started_at``: what CUPED calls before, where a metric uses it. ``among``: calls, as
    ``agents.outcomes`` takes them, of which a unit's first must be in ``epochs``.
    """

    owner_id: UUID
    client_id: UUID
    agent_slug: str
    stage: str
    epochs: Sequence[int]
    arms: Mapping[str, measures.Ranges]
    metrics: Sequence[Mapping[str, Any]]
    since: datetime
    until: datetime
    parked: Mapping[str, str] = field(default_factory=dict)
    incidents: Sequence[tuple[datetime, datetime]] = ()
    workflow: str = ""
    unit: str = "run"
    seen: set[str] | None = None
    started_at: datetime | None = None
    among: Sequence[tuple[int, int, int]] = ()


def fold(source: Source) -> int:
    """Write the stage's ArmDay rows anew; returns the number of units in any arm.

    Folding again gives the same rows, so two sweeps at once or a crash between do no harm.
    """
    if not source.epochs:
        return 0
    rows = [
        ArmDay(
            owner_id=source.owner_id, client_id=source.client_id, stage=stage, arm=arm,
            day=day, units=cell["units"], statistics=cell["statistics"],
        )
        for stage, found in cells(source).items()
        for (arm, day), cell in sorted(found.items())
    ]  # fmt: skip
    kept = {(row.stage, row.arm, row.day) for row in rows}
    with transaction.atomic():
        before = ArmDay.objects.filter(
            owner_id=source.owner_id, stage__in=[source.stage, APART + source.stage]
        )
        gone = [
            pk for pk, *place in before.values_list("pk", "stage", "arm", "day")
            if tuple(place) not in kept
        ]  # fmt: skip
        ArmDay.objects.filter(pk__in=gone).delete()
        ArmDay.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["owner_id", "stage", "arm", "day"],
            update_fields=["units", "statistics", "folded_at"],
        )
        ArmDay.objects.filter(pk__in=[row.pk for row in rows]).update(folded_at=Now())
    return sum(row.units for row in rows)


def cells(source: Source) -> dict[str, Cells]:
    """Stage → (arm, day) → units and sums; what came during an incident is a stage of its own."""
    sides: dict[str, list[UnitSeen]] = {source.stage: [], APART + source.stage: []}
    past = _past(source)
    for unit, first_at in _units(source):
        within = any(start <= first_at < end for start, end in source.incidents)
        sides[APART + source.stage if within else source.stage].append(unit)
    every = [unit for side in sides.values() for unit in side]
    caps = measures.caps_of(every, arms=source.arms, metrics=source.metrics)
    return {
        stage: measures.fold(
            found,
            arms=source.arms,
            metrics=source.metrics,
            caps=caps,
            parked=source.parked,
            before=past,
        )
        for stage, found in sides.items()
    }


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


def _past(source: Source) -> dict[float, dict[str, UnitSeen]]:
    """Days → unit → what it had in so many days before the start; of units that come back."""
    if source.started_at is None:
        return {}
    return {
        days: {
            one.unit: UnitSeen(0, source.started_at.date(), one.calls, one.failures, one.cost_usd,
                               one.seconds, one.tokens, unit=one.unit)
            for one in agents.earlier_outcomes(
                source.agent_slug, source.unit, since=source.started_at - timedelta(days=days),
                until=source.started_at,
            )
        }
        for days in measures.has_past(source.metrics)
    }  # fmt: skip


def _units(source: Source) -> Iterator[tuple[UnitSeen, datetime]]:
    said = _said(source)
    for outcome in _outcomes(source):
        if source.seen is not None:
            if outcome.unit in source.seen:
                continue
            source.seen.add(outcome.unit)
        seen = UnitSeen(
            outcome.bucket, outcome.first_at.astimezone(UTC).date(), outcome.calls,
            outcome.failures, outcome.cost_usd, outcome.seconds, outcome.tokens,
            said.get(outcome.unit, Said()), outcome.version, outcome.unit,
        )  # fmt: skip
        yield seen, outcome.first_at


def _outcomes(source: Source) -> Iterator[agents.Outcome | splits.RunOutcome]:
    when: dict[str, datetime] = {"since": source.since, "until": source.until}
    if source.workflow:
        return splits.outcomes(source.workflow, source.epochs, unit=source.unit, **when)
    return agents.outcomes(source.agent_slug, source.epochs, among=source.among, **when)


def _about(source: Source, model: Any, *fields: str) -> Iterator[tuple[Any, ...]]:
    """(unit, *fields) of what was said: of an agent's calls, or of a workflow's runs."""
    rows = model.objects.filter(superseded_at=None)
    if not source.workflow:
        epochs = {*source.epochs, *(epoch for epoch, _, _ in source.among)}
        own = rows.filter(agent_slug=source.agent_slug, split_epoch__in=epochs)
        yield from own.values_list("unit", *fields)
        return
    of = splits.units_of_runs(source.workflow, source.epochs, unit=source.unit, since=source.since)
    runs = list(of)
    for place in range(0, len(runs), ASKED_AT_ONCE):
        part = rows.filter(
            subject_kind=Subject.RUN, subject_id__in=runs[place : place + ASKED_AT_ONCE]
        )
        for run_id, *values in part.values_list("subject_id", *fields):
            yield of[run_id], *values


def _said(source: Source) -> dict[str, Said]:
    """What was said per unit: standing ratings, complaints, and scores."""
    sums: dict[str, list[float]] = {}
    for unit, kind, rating in _about(source, Feedback, "kind", "rating"):
        cell = sums.setdefault(unit, [0.0, 0, 0])
        if rating is not None:
            cell[0] += rating
            cell[1] += 1
        # A rating of 1 or 2 is a complaint without words.
        cell[2] += kind == Feedback.Kind.COMPLAINT or (rating is not None and rating <= 2)
    scores: dict[str, dict[str, tuple[float, int]]] = {}
    known = judging.admitted()
    fields = ("name", "value", "source", "source_version")
    for unit, name, value, by, version in _about(source, Score, *fields):
        if not judging.may_decide(by, name, version, known):
            continue
        total, count = scores.setdefault(unit, {}).get(name, (0.0, 0))
        scores[unit][name] = (total + value, count + 1)
    return {
        unit: Said(*_three(sums.get(unit)), scores.get(unit, {}))
        for unit in sums.keys() | scores.keys()
    }


def _three(cell: list[float] | None) -> tuple[float, int, int]:
    return (cell[0], int(cell[1]), int(cell[2])) if cell else (0.0, 0, 0)
