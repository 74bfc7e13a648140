"""Quality of the firm's own work: control charts of a measure over time."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from statistics import fmean
from typing import Annotated

from pydantic import Field

from agents.tools.operations import outputs
from agents.tools.registry import tool
from config.errors import InvalidInput

# Individuals chart: 3 / d2 with d2 = 1.128 for moving ranges of two (Montgomery, table VI).
LIMIT_FACTOR = 3 / 1.128
RUN_LENGTH = 8
TREND_LENGTH = 6


@tool("operations.control_chart", light=True)
def control_chart(
    measurements: Annotated[list[float], Field(min_length=8, max_length=2000)],
    measure_name: str,
    baseline_points: Annotated[int, Field(ge=8, le=2000, description="first points")] | None = None,
) -> outputs.ControlChart:
    """Individuals control chart: centre, limits, and the points that signal a change.

    Signals: beyond three sigma, eight in a row on one side, six in a row rising or falling.
    Limits come from the mean moving range of the baseline. Source: Montgomery, Introduction to
    Statistical Quality Control, 6.4; Nelson, Journal of Quality Technology 16 (1984).
    """
    if any(value != value or abs(value) == float("inf") for value in measurements):
        raise InvalidInput("measurements", "NaN or infinite", "finite numbers only")
    base = measurements[: baseline_points or len(measurements)]
    centre = fmean(base)
    moving = fmean(abs(b - a) for a, b in pairwise(base))
    upper, lower = centre + LIMIT_FACTOR * moving, centre - LIMIT_FACTOR * moving
    beyond = [i for i, value in enumerate(measurements, 1) if value > upper or value < lower]
    runs = _runs(measurements, centre)
    trends = _trends(measurements)
    return {
        "measure": measure_name,
        "centre_line": round(centre, 4),
        "upper_control_limit": round(upper, 4),
        "lower_control_limit": round(lower, 4),
        "mean_moving_range": round(moving, 4),
        "points_beyond_limits": beyond,
        "run_signals_at": runs,
        "trend_signals_at": trends,
        "latest_distance_in_sigma": round(
            (measurements[-1] - centre) / (moving / 1.128) if moving else 0.0, 2
        ),
        "process_verdict": _verdict(beyond, runs, trends),
    }


def _runs(values: list[float], centre: float) -> list[int]:
    """Points that complete at least RUN_LENGTH in a row on one side; on the line breaks it."""
    found, length, side = [], 0, 0
    for index, value in enumerate(values, 1):
        now = (value > centre) - (value < centre)
        length = length + 1 if now == side and now else int(bool(now))
        side = now
        if length >= RUN_LENGTH:
            found.append(index)
    return found


def _trends(values: list[float]) -> list[int]:
    """Points that complete at least TREND_LENGTH steadily rising or falling ones."""
    found, length, direction = [], 1, 0
    for index in range(1, len(values)):
        now = (values[index] > values[index - 1]) - (values[index] < values[index - 1])
        length = length + 1 if now and now == direction else 2 if now else 1
        direction = now
        if length >= TREND_LENGTH:
            found.append(index + 1)
    return found


def _verdict(beyond: list[int], runs: list[int], trends: list[int]) -> str:
    if beyond:
        return "out of control: look for a special cause"
    if runs or trends:
        return "shifted or drifting: investigate before limits are crossed"
    return "in control: only common causes"


@tool("operations.proportion_chart", light=True)
def proportion_chart(
    defects: Annotated[list[int], Field(min_length=5, max_length=1000)],
    reviewed: Annotated[list[int], Field(min_length=5, max_length=1000)],
) -> outputs.ProportionChart:
    """p chart of files with a finding among files reviewed, limits for each period's size.

    Limits are p +- 3 sqrt(p (1 - p) / n), not below 0. Source: Montgomery, 7.2.2.
    """
    if len(defects) != len(reviewed):
        raise InvalidInput("defects", len(defects), f"as many as reviewed ({len(reviewed)})")
    for bad, n in zip(defects, reviewed, strict=True):
        if n < 1 or not 0 <= bad <= n:
            raise InvalidInput("defects", f"{bad} of {n}", "0 <= defects <= reviewed, reviewed > 0")
    p = sum(defects) / sum(reviewed)
    signals = []
    for index, (bad, n) in enumerate(zip(defects, reviewed, strict=True), 1):
        width = 3 * sqrt(p * (1 - p) / n)
        if bad / n > p + width or bad / n < max(p - width, 0):
            signals.append(index)
    last_width = 3 * sqrt(p * (1 - p) / reviewed[-1])
    return {
        "mean_defect_percent": round(p * 100, 2),
        "latest_defect_percent": round(defects[-1] / reviewed[-1] * 100, 2),
        "latest_upper_limit_percent": round(min(p + last_width, 1) * 100, 2),
        "periods_out_of_control": signals,
        "periods_signalled": len(signals),
        "review_verdict": "special cause: review the signalled periods"
        if signals
        else "stable defect rate",
    }
