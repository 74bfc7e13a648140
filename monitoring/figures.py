"""Figures of a page: a number as it is said, the exact one, what it changed by, its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from config import readable
from monitoring.domain.rollups import Stat


@dataclass(frozen=True, slots=True)
class Figure:
    """``said`` is short, ``exact`` is for hovering; ``href`` leads to the rows behind it."""

    label: str
    said: str
    exact: str = ""
    note: str = ""
    href: str = ""
    tone: str = ""


def change(now: float | None, before: float | None, words: str) -> str:
    """``+8 % on the 7 days before``; empty where there is nothing to compare with."""
    if now is None or not before:
        return ""
    by = now / before - 1
    if abs(by) < 0.005:
        return f"as in the {words} before"
    if by > 9:
        return f"{readable.significant(by + 1)} × the {words} before"
    sign = "+" if by > 0 else "−"
    return f"{sign}{readable.significant(abs(by) * 100, 2)} % on the {words} before"


def counted(label: str, stat: Stat, *, note: str = "", href: str = "", tone: str = "") -> Figure:
    """A sum of whole things; a dash where nothing was measured."""
    if not stat.count:
        return Figure(label, "–", note=note)
    return Figure(label, readable.count(stat.total), f"{stat.total:,.0f}", note, href, tone)


def paid(label: str, stat: Stat, *, note: str = "", href: str = "") -> Figure:
    """A sum of money."""
    if not stat.count:
        return Figure(label, "–", note=note)
    return Figure(label, readable.money(stat.total), f"{stat.total:.9f} USD", note, href)


def timed(label: str, seconds: float | None, *, note: str = "", href: str = "") -> Figure:
    """A duration."""
    exact = "" if seconds is None else f"{seconds:.6g} s"
    return Figure(label, readable.duration(seconds), exact, note, href)


def shared(
    label: str, part: Stat, whole: Stat, *, note: str = "", href: str = "", tone: str = ""
) -> Figure:
    """A part of a whole in percent, with the whole numbers on hover."""
    if not whole.total:
        return Figure(label, "–", note=note)
    ratio = part.total / whole.total
    exact = f"{part.total:,.0f} of {whole.total:,.0f}"
    return Figure(label, readable.percent(ratio), exact, note or exact, href, tone)


def averaged(
    label: str, stat: Stat, say: Callable[[float], str], *, note: str = "", href: str = ""
) -> Figure:
    """A mean with how many it is of."""
    if stat.mean is None:
        return Figure(label, "–", note=note or "nothing measured")
    return Figure(
        label, say(stat.mean), f"{stat.mean:.6g}",
        note or f"mean of {stat.count:,}", href,
    )  # fmt: skip
