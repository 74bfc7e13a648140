"""An effect over time with the interval that its verdict reads, as SVG geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from config.readable import signed
from learning.domain.sums import NO_DAY

WIDTH, HEIGHT = 720.0, 200.0
# The widest interval drawn, over the last one: the first days' would flatten all others.
WIDEST = 4.0
# A guardrail metric's interval beside its margin.
STRIP_WIDTH, STRIP_HEIGHT = 240.0, 20.0
# Beyond so many arms their bands would cover each other: they are drawn fainter.
MANY = 3
# Between two names at the ends of lines, in units of the height; the same in a low plot.
LEAST_GAP, LEAST_LOW_GAP = 18.0, 25.0


def effect_path(
    document: Mapping[str, Any], factor: float = 1, unit: str = ""
) -> dict[str, Any] | None:
    """Line and band an arm over the looks, with zero; None where there are under two looks.

    The axis says ``factor`` times the effect, which is in ``unit``. A stage that nobody came to
    is no look. What was analysed before readings were told apart has only what is shown.
    """
    looks = [
        {**p, "effect": p["read"] if "read" in p else p["effect"]}
        for p in document.get("path", ()) if p["period"] != NO_DAY
    ]  # fmt: skip
    return _drawn(looks, factor, unit)


def guard_path(
    document: Mapping[str, Any], metric: str, factor: float = 1, unit: str = ""
) -> dict[str, Any] | None:
    """The same of a guardrail metric, with its margin; None also where no margin is read.

    What was analysed before guardrail metrics had a path has nothing to draw.
    """
    looks = [
        {**p, "effect": one["read"]}
        for p in document.get("path", ()) if p["period"] != NO_DAY
        for one in p.get("guardrails", ()) if one["metric"] == metric
    ]  # fmt: skip
    margins = [p["effect"]["margin"] for p in looks if p["effect"]]
    if not margins or margins[-1] is None:
        return None
    return _drawn(looks, factor, unit, margins[-1])


def guard_looks(document: Mapping[str, Any], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """What is drawn of guardrail metrics, as rows of a table: a look and arm, ``metrics`` across.

    The latest look first; ``stage`` is empty where there is one only.
    """
    path = [p for p in document.get("path", ()) if p["period"] != NO_DAY and p.get("guardrails")]
    is_staged = len({p["stage"] for p in path}) > 1
    return [
        {
            "period": p["period"], "arm": p["arm"],
            "stage": _stage(p["stage"]) if is_staged else "",
            "read": [next((one["read"] for one in p["guardrails"] if one["metric"] == key), None)
                     for key in metrics],
        }
        for p in reversed(path)
    ]  # fmt: skip


def _drawn(
    looks: Sequence[Mapping[str, Any]], factor: float, unit: str, margin: float | None = None
) -> dict[str, Any] | None:
    """``margin``: a line that the axis must hold; without one it is zero's alone."""
    points = [p for p in looks if p["effect"]]
    arms = list(dict.fromkeys(p["arm"] for p in points))
    periods = list(dict.fromkeys((p["stage"], p["period"]) for p in looks))
    if len(periods) < 2 or not arms:
        return None
    last = [p["effect"] for p in points[-len(arms) :]]
    top = _top(last) if margin is None else _top_beside(margin, last)
    places = {period: index for index, period in enumerate(periods)}
    step = WIDTH / (len(periods) - 1)
    drawn = [_arm(arm, points, places, step, top) for arm in arms]
    shown = [a for a in drawn if a]
    _place_names(shown, LEAST_GAP if margin is None else LEAST_LOW_GAP)
    sign = unit if unit == " %" else ""  # the title says every other unit
    return {
        "width": WIDTH, "height": HEIGHT, "zero": _y(0.0, top), "arms": shown,
        "top": f"{signed(top * factor, 2)}{sign}", "bottom": f"{signed(-top * factor, 2)}{sign}",
        "first": _when(periods[0], periods), "last": _when(periods[-1], periods),
        "marks": _marks(periods, step), "is_many": len(shown) > MANY,
        "looks": len(periods),
        **({} if margin is None else _margin(margin, top, factor, sign)),
    }  # fmt: skip


def _margin(margin: float, top: float, factor: float, sign: str) -> dict[str, Any]:
    """The margin's line, and the axis with it: no label over another, the margin's always."""
    wanted = [(margin, "margin"), (0.0, ""), (top, ""), (-top, "")]
    labels: list[dict[str, Any]] = []
    for value, kind in wanted:
        place = _y(value, top)
        if all(abs(place - one["place"]) >= LEAST_LOW_GAP for one in labels):
            said = "0" if not value else f"{value * factor:+.3g}{sign}".replace("-", "−")
            labels.append({"place": place, "said": said, "kind": kind,
                           "top": f"{100 * place / HEIGHT:.1f}"})  # fmt: skip
    return {"margin": _y(margin, top), "labels": labels}


def _top_beside(margin: float, last: Sequence[Mapping[str, Any]]) -> float:
    """Half of the axis: it holds the margin, which an interval many times wider would flatten."""
    widest = WIDEST * max(abs(margin), *(abs(e["estimate"]) for e in last))
    # A margin of zero beside estimates of zero: the intervals are all that there is to hold.
    return max(min(_top(last), widest), abs(margin) * 1.15) or _top(last)


def is_read(document: Mapping[str, Any]) -> bool:
    """Whether its path holds what verdicts read: of older analyses it has what is shown only."""
    return all("read" in point for point in document.get("path", ()))


def strip(read: Mapping[str, Any]) -> dict[str, Any]:
    """An interval beside zero and its margin, across ``STRIP_WIDTH``; ends beyond it are cut."""
    line = read["margin"]
    ends = [v for v in (read["lower"], read["upper"], read["estimate"], line, 0.0) if v is not None]
    # An interval many times wider than the margin would hide that it has one.
    reach = min(max(map(abs, ends)), WIDEST * max(abs(line), abs(read["estimate"]))) * 1.1 or 1.0

    def x(value: float | None, open_end: float) -> float:
        held = min(max(open_end if value is None else value, -reach), reach)
        return round(STRIP_WIDTH / 2 * (1 + held / reach), 1)

    low, high = x(read["lower"], -math.inf), x(read["upper"], math.inf)
    return {
        "width": f"{STRIP_WIDTH:.0f}", "height": f"{STRIP_HEIGHT:.0f}", "zero": x(0.0, 0.0),
        "margin": x(line, 0.0), "low": low, "size": round(max(high - low, 1.0), 1),
        "estimate": x(read["estimate"], 0.0),
    }  # fmt: skip


def _top(last: Sequence[Mapping[str, Any]]) -> float:
    """Half of the axis: the last interval's far end, with room for wider earlier ones."""
    ends = [abs(v) for e in last for v in (e["estimate"], e["lower"], e["upper"]) if v is not None]
    widths = [e["upper"] - e["lower"] for e in last
              if e["upper"] is not None and e["lower"] is not None]  # fmt: skip
    top = max([*ends, *(width * WIDEST / 4 for width in widths)], default=0.0)
    return top * 1.15 or 1.0


def _arm(
    arm: str, points: Sequence[Mapping[str, Any]], places: Mapping[Any, int], step: float,
    top: float,
) -> dict[str, Any] | None:  # fmt: skip
    line, upper, lower = [], [], []
    for point in points:
        if point["arm"] != arm:
            continue
        x = places[(point["stage"], point["period"])] * step
        effect = point["effect"]
        line.append((x, _y(effect["estimate"], top)))
        upper.append((x, _y(math.inf if effect["upper"] is None else effect["upper"], top)))
        lower.append((x, _y(-math.inf if effect["lower"] is None else effect["lower"], top)))
    if not line:
        return None
    return {
        "key": arm, "line": "M" + "L".join(_xy(p) for p in line),
        "band": "M" + "L".join(_xy(p) for p in upper)
        + "L" + "L".join(_xy(p) for p in reversed(lower)) + "Z",
        "end": line[-1][1],
    }  # fmt: skip


def _place_names(arms: Sequence[dict[str, Any]], gap: float) -> None:
    """Each arm's name beside the end of its line, in percent from the top, none over another."""
    ranked = sorted(arms, key=lambda arm: arm["end"])
    room = min(gap, HEIGHT / max(len(ranked), 1))
    free = 0.0
    for arm in ranked:
        arm["top"] = max(arm["end"] - room / 2, free)
        free = arm["top"] + room
    free = HEIGHT - room
    for arm in reversed(ranked):  # what would stand below the plot moves up again
        arm["top"] = min(arm["top"], free)
        free = arm["top"] - room
    for arm in ranked:
        arm["top"] = f"{100 * arm['top'] / HEIGHT:.1f}"


def _marks(periods: Sequence[tuple[str, str]], step: float) -> list[dict[str, str]]:
    """Where a stage begins; an experiment has one and needs no mark."""
    found, before = [], periods[0][0]
    for place, (stage, _) in enumerate(periods):
        if stage != before:
            found.append({"x": f"{(place - 0.5) * step:.1f}", "stage": _stage(stage)})
            before = stage
    return found


def _when(period: tuple[str, str], periods: Sequence[tuple[str, str]]) -> str:
    """A look's date; with its stage where all looks fell on one day."""
    stage, day = period
    return day if len({day for _, day in periods}) > 1 else f"{day}, {_stage(stage)}"


def _stage(name: str) -> str:
    """``1: 25 %``, as a rollout keeps its second stage, as ``stage 2, 25 %``."""
    index, colon, share = name.partition(": ")
    return f"stage {int(index) + 1}, {share}" if colon and index.isdecimal() else name


def _y(value: float, top: float) -> float:
    held = min(max(value, -top), top)
    return round(HEIGHT / 2 * (1 - held / top), 1)


def _xy(point: tuple[float, float]) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"
