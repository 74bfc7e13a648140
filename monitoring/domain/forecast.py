"""Where an evenly spaced series is going, with intervals that hold what they promise.

The point forecast is seasonal (last cycles' median shape) plus a robust, damped trend. The
intervals are conformal: at each horizon they are the quantiles of the errors which the same
method made when it was run on earlier parts of the same series.
Sources: Xu, Xie, "Conformal Prediction for Time Series", ICML 2021 (split form); Gardner,
McKenzie, "Forecasting Trends in Time Series", Management Science 31(10), 1985 (damping).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

# A trend is carried on at this share of itself a step further out: nothing grows for ever.
DAMPING = 0.98
# Rows of the recent past that the trend is taken from, at least and at most.
TREND_ROWS = (12, 60)
MIN_ROWS = 30
# Earlier starting points from which the method is tried.
MOST_TRIALS = 80


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next rows: ``middle`` with the interval ``low`` to ``high`` of the given coverage."""

    middle: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    coverage: float


@dataclass(frozen=True, slots=True)
class Breach:
    """When a limit is crossed, in rows from now (1 is the next row).

    ``earliest`` is when the interval's near edge crosses, ``expected`` when the middle does,
    ``latest`` when even the far edge does; each None if not within the horizon.
    """

    earliest: int | None
    expected: int | None
    latest: int | None


def forecast(
    values: ArrayLike, *, horizon: int, period: int | None = None, coverage: float = 0.9
) -> Forecast:
    """The next ``horizon`` rows of ``values`` (oldest first, evenly spaced).

    ``period`` is the season in rows, if there is one. Raises ValueError with fewer than
    ``MIN_ROWS`` rows (or fewer than three periods), or a coverage not between 0 and 1.
    """
    data = np.asarray(values, dtype=np.float64)
    need = max(MIN_ROWS, 3 * (period or 0))
    if len(data) < need or horizon < 1:
        raise ValueError(f"need {need} rows and a horizon of 1 or more, got {len(data)}, {horizon}")
    if not 0 < coverage < 1:
        raise ValueError(f"need a coverage between 0 and 1, got {coverage}")
    middle = _middle(data, horizon, period)
    widths = _widths(data, horizon, period, coverage)
    return Forecast(
        tuple(middle.tolist()),
        tuple((middle - widths).tolist()),
        tuple((middle + widths).tolist()),
        coverage,
    )


def breach(outlook: Forecast, limit: float, *, above: bool = True) -> Breach:
    """When the outlook crosses ``limit`` upwards (``above``) or downwards."""
    sign = 1 if above else -1
    near, far = (outlook.high, outlook.low) if above else (outlook.low, outlook.high)
    return Breach(*(_first(line, limit, sign) for line in (near, outlook.middle, far)))


def breach_in_words(found: Breach, *, row_seconds: float) -> str | None:
    """ "breaches in about 6 h (4 h to 9 h)", or None when the middle stays inside.

    Where the slow end of the range never breaches: "(4 h or later)".
    """
    if found.expected is None:
        return None
    start = _span((found.earliest or found.expected) * row_seconds)
    end = "or later" if found.latest is None else f"to {_span(found.latest * row_seconds)}"
    return f"breaches in about {_span(found.expected * row_seconds)} ({start} {end})"


def _first(line: tuple[float, ...], limit: float, sign: int) -> int | None:
    return next((i for i, v in enumerate(line, start=1) if sign * (v - limit) > 0), None)


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _middle(data: np.ndarray, horizon: int, period: int | None) -> np.ndarray:
    shape, level = np.zeros(horizon), data
    if period:
        cycles = min(4, len(data) // period)
        folded = data[-cycles * period :].reshape(cycles, period)
        profile = np.median(folded - np.median(folded, axis=1, keepdims=True), axis=0)
        shape = np.resize(profile, horizon)
        level = data[-cycles * period :] - np.tile(profile, cycles)
    rows = int(np.clip(len(level) // 3, *TREND_ROWS))
    recent = level[-rows:]
    slope = _slope(recent)
    centre = float(np.median(recent - slope * np.arange(-rows + 1, 1)))
    steps = np.cumsum(DAMPING ** np.arange(1, horizon + 1))
    return np.asarray(centre + slope * steps + shape)


def _slope(recent: np.ndarray) -> float:
    """Theil-Sen: the median slope of all pairs a third apart or more; deaf to outliers."""
    first, second = np.triu_indices(len(recent), max(1, len(recent) // 3))
    return float(np.median((recent[second] - recent[first]) / (second - first)))


def _widths(data: np.ndarray, horizon: int, period: int | None, coverage: float) -> np.ndarray:
    """Half the interval at each step: conformal quantiles of the method's earlier errors."""
    first = max(MIN_ROWS // 2, 2 * (period or 0))
    starts = np.unique(np.linspace(first, len(data) - 1, MOST_TRIALS).astype(int))
    errors = np.full((len(starts), horizon), np.nan)
    for row, start in enumerate(starts.tolist()):
        truth = data[start : start + horizon]
        guess = _middle(data[:start], len(truth), period)
        errors[row, : len(truth)] = np.abs(truth - guess)
    widths = np.empty(horizon)
    for step in range(horizon):
        known = np.sort(errors[:, step][~np.isnan(errors[:, step])])
        # The finite-sample rank of split conformal prediction; beyond the data, the largest.
        rank = int(np.ceil((len(known) + 1) * coverage)) - 1
        widths[step] = known[min(rank, len(known) - 1)] if len(known) else np.nan
        if len(known) < 1 / (1 - coverage) and step:
            # Too few trials reach this far: errors grow with the square root of the horizon.
            grown = widths[step - 1] * np.sqrt((step + 1) / step)
            widths[step] = np.nanmax([widths[step], grown])
    return np.asarray(np.maximum.accumulate(widths))
