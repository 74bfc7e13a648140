"""Plots as plain documents; the script of the page draws them.

A step without a measurement is None: a gap, never a zero. Only counts of a stretch that was
measured at all begin at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from monitoring.domain.rollups import Stat
from monitoring.marking import Seen

Document = dict[str, Any]


def band(
    title: str,
    starts: Sequence[datetime],
    stats: Sequence[Stat],
    *,
    unit: str,
    baseline: float | None = None,
    baseline_words: str = "",
    marks: Sequence[Seen] = (),
    rows: str = "",
) -> Document:
    """A p50 line in its p50-p95 band, with a dashed baseline (of p95)."""
    return {
        **_frame("band", title, starts, unit, marks, rows),
        "p50": [_rounded(stat.percentile(0.50)) for stat in stats],
        "p95": [_rounded(stat.percentile(0.95)) for stat in stats],
        "counts": [stat.count for stat in stats],
        "baseline": _rounded(baseline),
        "baseline_words": baseline_words,
    }


def bars(
    title: str,
    starts: Sequence[datetime],
    values: Sequence[float | None],
    *,
    unit: str = "",
    bad: Sequence[float | None] = (),
    bad_words: str = "",
    marks: Sequence[Seen] = (),
    rows: str = "",
) -> Document:
    """Bars from zero; ``bad`` is the part of each that went wrong."""
    return {
        **_frame("bars", title, starts, unit, marks, rows),
        "values": [_rounded(value) for value in values],
        "bad": [_rounded(value) for value in bad],
        "bad_words": bad_words,
    }


def lines(
    title: str,
    starts: Sequence[datetime],
    series: Sequence[tuple[str, Sequence[float | None]]],
    *,
    unit: str = "",
    baseline: float | None = None,
    baseline_words: str = "",
    marks: Sequence[Seen] = (),
    rows: str = "",
) -> Document:
    """Named lines with their names at their ends."""
    return {
        **_frame("lines", title, starts, unit, marks, rows),
        "series": [
            {"name": name, "values": [_rounded(value) for value in values]}
            for name, values in series
        ],
        "baseline": _rounded(baseline),
        "baseline_words": baseline_words,
    }


def has_values(document: Document) -> bool:
    """Whether there is anything to draw."""
    given = [document.get("values", []), document.get("p50", [])]
    given += [one["values"] for one in document.get("series", [])]
    return any(value is not None for values in given for value in values)


def totals_of(stats: Sequence[Stat]) -> list[float | None]:
    """Sums, with zeros where others were measured: a quiet hour of a busy day had none."""
    if not any(stat.count for stat in stats):
        return [None] * len(stats)
    return [stat.total for stat in stats]


def means_of(stats: Sequence[Stat]) -> list[float | None]:
    return [stat.mean for stat in stats]


def shares_of(parts: Sequence[Stat], wholes: Sequence[Stat]) -> list[float | None]:
    """What part of a whole; None where there was no whole."""
    return [
        part.total / whole.total if whole.total else None
        for part, whole in zip(parts, wholes, strict=True)
    ]


def _frame(
    kind: str, title: str, starts: Sequence[datetime], unit: str, marks: Sequence[Seen], rows: str
) -> Document:
    step = (starts[1] - starts[0]).total_seconds() if len(starts) > 1 else 3600.0
    return {
        "kind": kind,
        "title": title,
        "unit": unit,
        "x": [start.isoformat() for start in starts],
        "step_seconds": step,
        "rows": rows,
        "marks": [
            {"at": one.at.isoformat(), "until": one.until.isoformat() if one.until else None,
             "kind": one.kind, "text": one.text, "href": one.href}
            for one in marks
        ],
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    """Six significant digits: a screen shows three."""
    return None if value is None else float(f"{value:.6g}")
