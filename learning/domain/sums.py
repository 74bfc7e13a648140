"""Sums per arm and day that are added to, and taken off, each other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from learning.domain import quantiles

Cells = dict[tuple[str, date], dict[str, Any]]
Stages = dict[str, Cells]
SKETCH, NO_SKETCH = "sketch", quantiles.packed([])


class NeverAdded(ValueError):
    """More is to be taken off than there is."""


# The date of a stage that nobody has come to.
NO_DAY = "none"


def added(stages: Iterable[tuple[int, Mapping[str, Cells]]]) -> Stages:
    """The sum of (sign, stage → cells), signs 1 and -1; a cell that no unit is in is left out.

    A metric that one side does not have is nothing there. Raises NeverAdded where more is to
    be taken off than there is.
    """
    found: Stages = {}
    for sign, part in stages:
        for stage, cells in part.items():
            mine = found.setdefault(stage, {})
            for place, cell in cells.items():
                whole = mine.setdefault(place, {"units": 0, "statistics": {}})
                whole["units"] += sign * cell["units"]
                for metric, sums in cell["statistics"].items():
                    into = whole["statistics"].setdefault(metric, {})
                    for name, value in sums.items():
                        if name == SKETCH:
                            into[name] = _with(into.get(name, NO_SKETCH), value, sign)
                        else:
                            into[name] = into.get(name, 0) + sign * value
    if any(cell["units"] < 0 for cells in found.values() for cell in cells.values()):
        raise NeverAdded("a day of an arm has less than no unit")
    return {
        stage: {place: cell for place, cell in cells.items() if cell["units"]}
        for stage, cells in found.items()
    }


def _with(sketch: str, other: str, sign: int) -> str:
    try:
        return quantiles.added(sketch, other, sign)
    except ValueError as error:
        raise NeverAdded(str(error)) from error


def as_rows(stages: Mapping[str, Cells]) -> list[list[Any]]:
    """Cells as JSON keeps them."""
    return [
        [stage, arm, day.isoformat(), cell["units"], cell["statistics"]]
        for stage, cells in stages.items()
        for (arm, day), cell in cells.items()
    ]


def from_rows(rows: Iterable[Iterable[Any]]) -> Stages:
    """``as_rows`` turned back."""
    found: Stages = {}
    for stage, arm, day, units, statistics in rows:
        cell = {"units": units, "statistics": statistics}
        found.setdefault(stage, {})[arm, date.fromisoformat(day)] = cell
    return found
