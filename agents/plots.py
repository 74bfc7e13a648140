"""Small plots of a day as SVG geometry: bars of calls, a p50 line in its p50–p95 band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 480.0, 96.0
_GAP = 3.0


def call_bars(hours: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A bar per hour from zero, with its part of errors; ``top`` is the highest count."""
    top = max((hour["calls"] for hour in hours), default=0)
    step = WIDTH / max(len(hours), 1)
    bars = []
    for place, hour in enumerate(hours):
        height = HEIGHT * hour["calls"] / top if top else 0.0
        bad = HEIGHT * hour["errors"] / top if top else 0.0
        bars.append(
            {
                "x": f"{place * step:.1f}", "width": f"{step - _GAP:.1f}",
                "y": f"{HEIGHT - height:.1f}", "height": f"{height:.1f}",
                "bad_y": f"{HEIGHT - bad:.1f}", "bad_height": f"{bad:.1f}", **hour,
            }
        )  # fmt: skip
    return {"bars": bars, "top": top, "width": WIDTH, "height": HEIGHT}


def latency_band(hours: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Stretches of hours that have data: each a p50 line and the band up to p95.

    An hour without calls is a gap, never a zero.
    """
    top = max((hour["p95_seconds"] or 0.0 for hour in hours), default=0.0)
    step = WIDTH / max(len(hours), 1)
    stretches: list[list[tuple[float, float, float]]] = []
    open_ = False
    for place, hour in enumerate(hours):
        if hour["p50_seconds"] is None:
            open_ = False
            continue
        if not open_:
            stretches.append([])
            open_ = True
        x = place * step + step / 2
        stretches[-1].append((x, _y(hour["p50_seconds"], top), _y(hour["p95_seconds"], top)))
    return {
        "stretches": [_stretch(points, step) for points in stretches],
        "top": top, "width": WIDTH, "height": HEIGHT,
    }  # fmt: skip


def _y(seconds: float, top: float) -> float:
    return HEIGHT * (1 - seconds / top) if top else HEIGHT


def _stretch(points: list[tuple[float, float, float]], step: float) -> dict[str, str]:
    if len(points) == 1:  # one hour alone is as wide as its hour
        x, middle, upper = points[0]
        half = (step - _GAP) / 2
        points = [(x - half, middle, upper), (x + half, middle, upper)]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
    back = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in reversed(points))
    over = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, _, y in points)
    return {"line": line, "band": f"{over}L{back}Z"}
