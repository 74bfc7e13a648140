"""What an analysis starts from: metrics, arms, the test, and statistics per stage and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from learning.domain.statistics.bayesian import Prior
from learning.domain.statistics.effects import Alternative, Scale
from learning.domain.statistics.group_sequential import Spending
from learning.domain.statistics.multiplicity import Correction
from learning.domain.statistics.samples import Sample
from learning.domain.statistics.sequential import DEFAULT_TUNING

Role = Literal["primary", "secondary", "guardrail"]
Type = Literal["proportion", "mean", "count", "ratio", "quantile"]
TestKind = Literal["sequential", "fixed", "group_sequential", "bayesian", "bandit"]


@dataclass(frozen=True, slots=True)
class Metric:
    """``margin`` is how much worse a guardrail metric may get (above 0); None: it only stops.

    ``minimum_measured``: of a ratio, units of an arm under which nothing is read of it.
    """

    key: str
    type: Type
    role: Role
    lower_is_better: bool = False
    margin: float | None = None
    margin_scale: Scale = "relative"
    quantile: float | None = None
    numerator: Literal["mean", "proportion"] = "mean"
    denominator: Literal["mean", "proportion"] = "mean"
    covariate: Literal["mean", "proportion"] = "mean"
    minimum_measured: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """How arms are compared. ``look_fractions`` are the looks of a group-sequential test so far."""

    kind: TestKind = "sequential"
    alpha: float = 0.05
    scale: Scale = "relative"
    alternative: Alternative = "two_sided"
    tuning: float = DEFAULT_TUNING
    spending: Spending = "obrien_fleming"
    look_fractions: Sequence[float] = ()
    prior: Prior = field(default_factory=Prior)
    chance_to_win: float = 0.95
    normal: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """When it may end. Units are per arm; ``complete`` says the declared end has come."""

    minimum_units: int = 100
    minimum_days: float = 14
    planned_units: int | None = None
    planned_days: float | None = None
    days: float | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ArmData:
    """One arm in one period: assigned units, and the statistics per metric."""

    units: int
    samples: Mapping[str, Sample]


@dataclass(frozen=True, slots=True)
class Period:
    """A day of a stage, or a whole stage: what was added in it, per arm."""

    name: str
    arms: Mapping[str, ArmData]


@dataclass(frozen=True, slots=True)
class Stage:
    """A time in which shares did not change. ``weights`` are the shares that were meant."""

    name: str
    weights: Mapping[str, float]
    periods: Sequence[Period]


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that an analysis reads."""

    name: str
    arms: Sequence[str]
    control: str
    metrics: Sequence[Metric]
    test: Comparison
    plan: Plan
    stages: Sequence[Stage]
    correction: Correction = "holm"
    notes: Sequence[str] = ()
    is_aa: bool = False
    # Looked at all the time, as what runs is; and the date that is not over yet.
    watched: bool = False
    open_date: str = ""
    # Treatments that were taken out for harm: they are shown, and decide nothing any more.
    stopped: Sequence[str] = ()

    @property
    def looked_at(self) -> Study | None:
        """What the planned looks have read; None: everything.

        A group-sequential test has one look a day, so a day that is not over is no look yet, and
        none after the one that reads the planned size: more looks would spend more than its error.
        """
        if self.test.kind != "group_sequential" or not self.watched:
            return None
        units: dict[str, int] = {}
        for stage in self.stages:
            for period in stage.periods:
                if period.name != self.open_date:
                    met = [period.arms[arm].units for arm in self.live if arm in period.arms]
                    units[period.name] = units.get(period.name, 0) + sum(met)
        kept, total = set(), 0
        for name in sorted(units):
            if self.plan.planned_units and total >= self.plan.planned_units * len(self.live):
                break
            kept.add(name)
            total += units[name]
        stages = [
            replace(stage, periods=[one for one in stage.periods if one.name in kept])
            for stage in self.stages
        ]
        return replace(self, stages=[one for one in stages if one.periods], watched=False)

    @property
    def live(self) -> list[str]:
        """Arms that were to be met, and were not taken out."""
        met = [a for a in self.arms if any(s.weights.get(a, 0) > 0 for s in self.stages)]
        return [arm for arm in met or self.arms if arm not in self.stopped]

    @property
    def treatments(self) -> list[str]:
        return [arm for arm in self.arms if arm != self.control]

    @property
    def primary(self) -> Metric:
        return next(metric for metric in self.metrics if metric.role == "primary")

    def units(self, arm: str) -> int:
        """Units that met ``arm`` in all periods."""
        every = [period for stage in self.stages for period in stage.periods]
        return sum(period.arms[arm].units for period in every if arm in period.arms)
