"""When an alert begins, fires, pauses and ends: decisions over numbers that were given.

A rule is judged to a Verdict; the verdict moves the alert's state. Between the limit and the
point where it is clear again (hysteresis) nothing changes, and data that vanished resolves
nothing for hours. Little traffic begins no alert, but can end one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from monitoring.domain.anomaly.detector import Detector, Settings
from monitoring.domain.anomaly.seasons import find_period
from monitoring.domain.anomaly.together import Together
from monitoring.domain.forecast import breach, breach_in_words, forecast
from monitoring.domain.objectives import least_burn


class Judgement(StrEnum):
    """What a rule says of one moment."""

    BREACH = "breach"
    HOLD = "hold"  # neither over the limit nor clear of it
    CLEAR = "clear"
    FEW = "few"  # too few to begin an alert with, and these are fine
    NO_DATA = "no_data"


class AlertState(StrEnum):
    """Where an alert stands. RESOLVED is final; a new breach makes a new alert."""

    PENDING = "pending"
    FIRING = "firing"
    NO_DATA = "no_data"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with what it was reached from. ``is_critical``: over the second limit too."""

    judgement: Judgement
    value: float | None = None
    baseline: float | None = None
    is_critical: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An open alert as it is: its state, since when it is pending, since when it is clear.

    In the state NO_DATA the last one is since when nothing bad was measured.
    """

    state: AlertState
    pending_since: datetime
    clear_since: datetime | None = None


# A season is only looked for where at least this share of the rows is there.
EVEN_SHARE = 0.8
NO_DATA = Verdict(Judgement.NO_DATA)
# Nobody can say any more whether it still holds: what was paused, retired or is asked no longer.
FORGET_AFTER = timedelta(hours=6)


def over_limit(
    value: float | None,
    limit: float,
    *,
    above: bool = True,
    clear: float | None = None,
    critical: float | None = None,
) -> Verdict:
    """A value against a limit. ``clear`` is where it counts as well again (default: the limit)."""
    if value is None:
        return NO_DATA
    sign = 1 if above else -1
    is_critical = critical is not None and sign * (value - critical) > 0
    if sign * (value - limit) > 0:
        return Verdict(Judgement.BREACH, value, limit, is_critical)
    fine = clear if clear is not None else limit
    judgement = Judgement.CLEAR if sign * (value - fine) <= 0 else Judgement.HOLD
    return Verdict(judgement, value, limit)


def against_baseline(
    value: float | None,
    baseline: float | None,
    ratio: float,
    *,
    above: bool = True,
    clear_ratio: float | None = None,
    critical_ratio: float | None = None,
) -> Verdict:
    """A value against ``ratio`` times its own past. Without a past there is nothing to say."""
    if value is None or baseline is None or baseline == 0:
        return NO_DATA
    verdict = over_limit(
        value / baseline, ratio, above=above, clear=clear_ratio, critical=critical_ratio
    )
    why = f"{value / baseline:.2f} × baseline; limit {ratio:g} ×"
    return Verdict(verdict.judgement, value, baseline, verdict.is_critical, why)


def burn_rate(
    short_bad_ratio: float | None, long_bad_ratio: float | None, *, target: float, factor: float
) -> Verdict:
    """Both windows use up the error budget at least ``factor`` times too fast.

    ``target`` is the share of good events promised (0.999). The long window proves that it
    matters, the short one that it still goes on. A budget too large to burn so fast burns when
    nearly everything is bad.
    Source: Beyer et al., "The Site Reliability Workbook", 2018, chapter 5.
    """
    if not 0 < target < 1:
        raise ValueError(f"need a target between 0 and 1, got {target}")
    if short_bad_ratio is None or long_bad_ratio is None:
        return NO_DATA
    budget = 1 - target
    least = least_burn(factor, budget)
    short, long = short_bad_ratio / budget, long_bad_ratio / budget
    judgement = Judgement.BREACH if min(short, long) >= least else Judgement.CLEAR
    why = (
        f"uses its error budget {long:.1f} times as fast as it may (now {short:.1f}); "
        f"limit {least:.3g}"
    )
    return Verdict(judgement, long, least, why=why)


def of_few(verdict: Verdict) -> Verdict:
    """What a verdict over too few says: they may be fine, and otherwise nothing changes."""
    if verdict.judgement is Judgement.NO_DATA:
        return NO_DATA
    is_clear = verdict.judgement is Judgement.CLEAR
    judgement = Judgement.FEW if is_clear else Judgement.HOLD
    return Verdict(judgement, verdict.value, verdict.baseline, why=verdict.why)


def anomalous(
    times: Sequence[float], values: Sequence[float | None], *, recent: int, settings: Settings
) -> Verdict:
    """Whether the detector flags one of the last ``recent`` values (oldest first, seconds)."""
    detector = Detector(settings)
    readings = [detector.update(at, value) for at, value in zip(times, values, strict=True)]
    last = readings[-recent:]
    if not any(reading.expected is not None for reading in last):
        return NO_DATA  # it is still warming up
    worst = max(last, key=lambda reading: reading.surprise)
    value = values[-recent:][last.index(worst)]
    judgement = Judgement.BREACH if any(r.flagged for r in last) else Judgement.CLEAR
    why = f"surprise {worst.surprise:.1f} (1 more is ten times rarer)"
    return Verdict(judgement, value, worst.expected, worst.surprise >= settings.surprise + 4, why)


def jointly_anomalous(
    times: Sequence[float],
    rows: Sequence[Mapping[str, float | None]],
    *,
    recent: int,
    settings: Settings,
) -> Verdict:
    """Whether several metrics, read at the same moments, are unusual in the last ``recent``.

    One alone may be flagged, or all of them are a little odd at once. ``value`` is the surprise,
    ``baseline`` its limit.
    """
    together = Together(settings)
    found = [together.update(at, row) for at, row in zip(times, rows, strict=True)]
    last = found[-recent:]
    if not any(r.expected is not None for joint in last for r in joint.readings.values()):
        return NO_DATA
    flagged = [joint for joint in last if joint.flagged]
    worst = max(flagged or last, key=lambda joint: joint.surprise)
    names = ", ".join(worst.contributors) or "nothing"
    why = f"{names} unusual at once; joint surprise {worst.surprise:.1f}"
    judgement = Judgement.BREACH if flagged else Judgement.CLEAR
    limit = settings.limit(len(found))
    return Verdict(judgement, worst.surprise, limit, worst.surprise >= limit + 4, why)


def either(short: Verdict, long: Verdict) -> Verdict:
    """What two looks at the same figure say: one breach is one; without data the other speaks."""
    found = [one for one in (short, long) if one.judgement is not Judgement.NO_DATA]
    return next((one for one in found if one.judgement is Judgement.BREACH),
                found[0] if found else NO_DATA)  # fmt: skip


def usual_total(statistic: str) -> bool:
    """Whether a baseline must be scaled to the window: a sum grows with the time."""
    return statistic == "total"


def will_breach(
    values: Sequence[float | None], limit: float, *, above: bool, horizon: int, row_seconds: float
) -> Verdict:
    """Whether the forecast's middle crosses the limit within ``horizon`` rows.

    Rows without a value are left out, and each of the others then stands for as much more time:
    what is measured by day alone is still forecast in hours of the clock. Where nearly all are
    there, a season is looked for, and what usually comes at an hour is no trend.
    """
    known = [value for value in values if value is not None]
    share = len(known) / len(values) if values else 0.0
    try:
        if share >= EVEN_SHARE and (period := _season(filled := _filled(values))):
            outlook = forecast(filled, horizon=horizon, period=period)
        else:
            row_seconds = row_seconds / share if share else row_seconds
            outlook = forecast(known, horizon=max(1, round(horizon * share)))
    except ValueError:
        return NO_DATA
    found = breach(outlook, limit, above=above)
    words = breach_in_words(found, row_seconds=row_seconds)
    judgement = Judgement.BREACH if found.expected is not None else Judgement.CLEAR
    return Verdict(judgement, known[-1], limit, why=words or "")


def _season(values: Sequence[float]) -> int | None:
    """The period in rows of which at least three are there; None without one."""
    period = find_period(values)
    return period if period and len(values) >= 3 * period else None


def _filled(values: Sequence[float | None]) -> list[float]:
    """Evenly spaced: a gap takes what was there before, at its beginning what comes after."""
    last = next(value for value in values if value is not None)
    filled = []
    for value in values:
        last = last if value is None else value
        filled.append(last)
    return filled


def silent(count: int, usual_count: int) -> Verdict:
    """Nothing came in where something usually does."""
    if usual_count == 0:
        return NO_DATA
    judgement = Judgement.CLEAR if count else Judgement.BREACH
    return Verdict(judgement, float(count), float(usual_count), why="nothing was measured")


def step(
    standing: Standing | None,
    judgement: Judgement,
    *,
    now: datetime,
    pending_for: timedelta,
    resolve_after: timedelta,
    few_for: timedelta = timedelta(),
) -> Standing | None:
    """Where the alert stands after this judgement; None: there is none (or it never fired).

    A breach must last ``pending_for`` to fire, and being clear ``resolve_after`` to resolve. Few
    calls that are fine end it ``few_for`` after it last breached, and no data at all FORGET_AFTER:
    calls further apart than a window are now the one and now the other, by one clock.
    """
    if standing is None or standing.state is AlertState.RESOLVED:
        if judgement is not Judgement.BREACH:
            return None
        at_once = pending_for <= timedelta()
        return Standing(AlertState.FIRING if at_once else AlertState.PENDING, now)
    if standing.state is AlertState.PENDING:
        return _from_pending(standing, judgement, now, pending_for)
    if judgement is Judgement.NO_DATA:
        return _without_data(standing, now)
    if judgement in (Judgement.CLEAR, Judgement.FEW):
        is_few = judgement is Judgement.FEW
        known = standing.clear_since if is_few or standing.state is AlertState.FIRING else None
        since = known or now
        wait = max(resolve_after, few_for) if is_few else resolve_after
        done = now - since >= wait
        state = AlertState.RESOLVED if done else AlertState.FIRING
        return Standing(state, standing.pending_since, since)
    return Standing(AlertState.FIRING, standing.pending_since)


def _without_data(standing: Standing, now: datetime) -> Standing:
    since = standing.clear_since or now
    given_up = now - since >= FORGET_AFTER
    state = AlertState.RESOLVED if given_up else AlertState.NO_DATA
    return Standing(state, standing.pending_since, since)


def _from_pending(
    standing: Standing, judgement: Judgement, now: datetime, pending_for: timedelta
) -> Standing | None:
    if judgement in (Judgement.CLEAR, Judgement.FEW):
        return None
    if judgement is Judgement.BREACH and now - standing.pending_since >= pending_for:
        return Standing(AlertState.FIRING, standing.pending_since)
    return standing
