"""What to do about an experiment: a verdict with its words first.

No data is never success. A machine may stop what harms at any look; it ships only what was
shown better, at a moment the test allows, with the guardrail metrics held and a sound sample
ratio.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from config.readable import plural

Kind = Literal["ship", "rollback", "review", "inconclusive"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# ``unreadable``: not enough, not measured, or an arm that does not vary beside a worse one.
Primary = Literal["better", "worse", "unclear", "unreadable"]
Guard = Literal["holds", "open", "breached", "unreadable"]
# When the test may be concluded: at any look, at its declared end, or nobody declared one.
Horizon = Literal["any_time", "reached", "ahead", "undeclared"]
# What a headline advises, which is no news once it was done.
ADVICE = " Roll back."
# And how it begins while more is to come.
WAITING = re.compile(r"^(?:A/A: )?(?:Keep waiting|\d+ more days?): ")


def named(metric: str) -> str:
    """A metric's key as a sentence says it: ``seconds per call``, ``cost USD``, ``accuracy``."""
    return metric.removeprefix("score:").replace("_", " ").replace(" usd", " USD")


@dataclass(frozen=True, slots=True)
class GuardReading:
    """One guardrail metric of one arm; ``breached`` is worse by more than the margin allows."""

    metric: str
    state: Guard


@dataclass(frozen=True, slots=True)
class ArmReading:
    """One treatment against control; ``effect`` is its estimate, better being above zero."""

    arm: str
    primary: Primary
    effect: float
    guards: Sequence[GuardReading] = ()
    summary: str = ""
    has_interval: bool = True

    @property
    def breached(self) -> list[str]:
        return [guard.metric for guard in self.guards if guard.state == "breached"]

    @property
    def unproven(self) -> list[str]:
        return [g.metric for g in self.guards if g.state in ("open", "unreadable")]

    @property
    def harmful(self) -> bool:
        return self.primary == "worse" or bool(self.breached)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is. Days are None where statistics came without dates.

    ``units`` are those of the smallest arm; ``planned_units`` too, and ``read_units``, which the
    planned looks have read, where these are fewer.
    """

    units: int
    minimum_units: int = 100
    days: float | None = None
    minimum_days: float = 14
    planned_units: int | None = None
    read_units: int | None = None

    @property
    def is_at_plan(self) -> bool:
        """Whether the planned looks have read the planned size."""
        read = self.units if self.read_units is None else self.read_units
        return self.planned_units is not None and read >= self.planned_units

    @property
    def days_left(self) -> int | None:
        """Whole days until both minima and the planned size are reached, at the present pace."""
        if self.days is None or self.days <= 0 or self.units <= 0:
            return None
        target = max(self.minimum_units, self.planned_units or 0)
        by_units = max(0, target - self.units) / (self.units / self.days)
        return math.ceil(max(by_units, self.minimum_days - self.days, 0))

    @property
    def enough_units(self) -> bool:
        return self.units >= self.minimum_units

    @property
    def ripe(self) -> bool:
        """Whether it may end well; harm need not wait for the days."""
        return self.enough_units and (self.days is None or self.days >= self.minimum_days)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``headline`` is for people; ``reasons`` are its parts; ``arm`` is whom it is about.

    ``is_complete``: the planned size is reached, and no difference was shown.
    """

    kind: Kind
    headline: str
    reasons: Sequence[str] = ()
    arm: str | None = None
    stop_arms: Sequence[str] = ()
    days_left: int | None = None
    is_complete: bool = False


def decide(
    arms: Sequence[ArmReading], progress: Progress, *, mismatch: bool, horizon: Horizon
) -> Verdict:
    """The verdict over all treatments. A sample ratio mismatch withholds everything else."""
    if progress.units == 0 or not arms:
        return Verdict("inconclusive", "No data yet in at least one arm: nothing can be said.")
    if mismatch:
        return Verdict(
            "review",
            "Sample ratio mismatch: don't read this.",
            ("units did not arrive in the shares that were meant; find out why, then start anew",),
        )
    if not progress.enough_units:
        return _too_early(progress)
    harmful = [reading for reading in arms if reading.harmful]
    sound = [reading for reading in arms if not reading.harmful]
    if not sound:
        return _roll_back(harmful)
    stop = tuple(reading.arm for reading in harmful)
    better = [reading for reading in sound if reading.primary == "better"]
    if not better:
        return _nothing_shown(sound, progress, horizon, stop)
    best = max(better, key=lambda reading: reading.effect)
    return _about_the_best(best, progress, horizon, stop)


def of_the_same(verdict: Verdict) -> Verdict:
    """The verdict of an A/A comparison: nothing is shipped or rolled back, the set-up is judged."""
    if verdict.kind in ("ship", "rollback") or (verdict.kind == "review" and verdict.arm):
        return Verdict(
            "review",
            "A/A: a difference was shown between arms of one version. Don't trust this set-up.",
            (*verdict.reasons, verdict.headline, "look at the metric, the units and the logging"),
            days_left=verdict.days_left,
        )
    if verdict.kind == "inconclusive" and verdict.is_complete:
        words = "A/A: no difference was shown at the planned size, as it should be."
        return replace(verdict, headline=words)
    if verdict.kind == "inconclusive":
        return replace(verdict, headline=f"A/A: {verdict.headline}")
    return verdict


def _too_early(progress: Progress) -> Verdict:
    left = progress.days_left
    return Verdict(
        "inconclusive",
        f"{_wait(left)}: {progress.units:,} of at least "
        f"{plural(progress.minimum_units, 'unit')} an arm.",
        (
            f"the smallest arm has {plural(progress.units, 'unit')}; the minimum is "
            f"{progress.minimum_units:,}",
        ),
        days_left=left,
    )


def _roll_back(harmful: Sequence[ArmReading]) -> Verdict:
    worst = min(harmful, key=lambda reading: reading.effect)
    breached = worst.breached
    if breached:
        headline = f"Guardrail failing: {', '.join(breached)} got worse in {worst.arm}.{ADVICE}"
    else:
        headline = f"{worst.arm} is worse: {worst.summary or 'on the primary metric'}.{ADVICE}"
    reasons = [
        f"{reading.arm}: {', '.join(reading.breached) or 'the primary metric'} got worse"
        for reading in harmful
    ]
    stop = tuple(reading.arm for reading in harmful)
    return Verdict("rollback", headline, tuple(reasons), worst.arm, stop)


def _nothing_shown(
    sound: Sequence[ArmReading], progress: Progress, horizon: Horizon, stop: tuple[str, ...]
) -> Verdict:
    if all(reading.primary == "unreadable" for reading in sound):
        return Verdict(
            "inconclusive",
            "The primary metric can't be read yet.",
            tuple(f"{reading.arm}: {reading.summary or 'no variation'}" for reading in sound),
            stop_arms=stop,
            days_left=progress.days_left,
        )
    if horizon == "reached" or (progress.is_at_plan and progress.ripe):
        return Verdict(
            "inconclusive",
            "No difference was shown at the planned size: keep the control.",
            ("the experiment is complete",),
            stop_arms=stop,
            days_left=0,
            is_complete=True,
        )
    left = progress.days_left
    return Verdict(
        "inconclusive",
        f"{_wait(left)}: no difference is shown so far.",
        tuple(_why_nothing(reading) for reading in sound),
        stop_arms=stop,
        days_left=left,
    )


def _why_nothing(reading: ArmReading) -> str:
    if reading.has_interval:
        return "the interval of the primary metric holds zero"
    return f"{reading.arm}: {reading.summary or 'no variation'}"


def _about_the_best(
    best: ArmReading, progress: Progress, horizon: Horizon, stop: tuple[str, ...]
) -> Verdict:
    what = f"{best.arm} is better: {best.summary}" if best.summary else f"{best.arm} is better"
    left = progress.days_left
    if horizon == "undeclared":
        return Verdict(
            "review",
            f"{what}, if this is the one look that was planned; no end was declared.",
            ("a test for one look needs planned_units, planned_days or complete",),
            best.arm,
            stop,
        )
    if horizon == "ahead" or not progress.ripe:
        return Verdict(
            "inconclusive",
            f"{_wait(left)}: {what} so far.",
            ("the declared end or the minimum of days is not reached",),
            best.arm,
            stop,
            left,
        )
    if best.unproven:
        names = ", ".join(best.unproven)
        return Verdict(
            "review" if progress.is_at_plan or horizon == "reached" else "inconclusive",
            f"{what}, but {names} is not yet shown to hold within its margin.",
            (f"guardrail metric not proven: {names}",),
            best.arm,
            stop,
            left,
        )
    rest = ", nothing else got worse" if best.guards else ""
    words = f"Ship {best.arm}: {best.summary}{rest}." if best.summary else f"Ship {best.arm}{rest}."
    return Verdict("ship", words, (), best.arm, stop, 0)


def _wait(days: int | None) -> str:
    if not days:
        return "Keep waiting"
    return plural(days, "more day")
