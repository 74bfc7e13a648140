"""What an analysis starts from: metrics, arms, the test, and statistics per stage and day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """``margin`` is how much worse a guardrail metric may get (above 0); None: it only stops."""

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
    # Looked at all the time, as what runs is; and whether its last day is not over yet.
    watched: bool = False
    last_is_open: bool = False
    # Treatments that were taken out for harm: they are shown, and decide nothing any more.
    stopped: Sequence[str] = ()

    @property
    def whole_periods(self) -> int | None:
        """How many periods the planned looks may read; None: all of them.

        A group-sequential test has one look a day, so a day that is not over is no look yet: looked
        at each minute it would spend far more than its error.
        """
        if self.test.kind != "group_sequential" or not self.last_is_open:
            return None
        return sum(len(stage.periods) for stage in self.stages) - 1

    @property
    def treatments(self) -> list[str]:
        return [arm for arm in self.arms if arm != self.control]

    @property
    def primary(self) -> Metric:
        return next(metric for metric in self.metrics if metric.role == "primary")

    def units(self, arm: str, periods: int | None = None) -> int:
        """Units that met ``arm`` in the first ``periods`` periods, or in all."""
        every = [period for stage in self.stages for period in stage.periods][:periods]
        return sum(period.arms[arm].units for period in every if arm in period.arms)
