"""Did a change, once everybody had it, do what its experiment had promised?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.readable import signed


def postcheck(forecast: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """Both documents' primary effects side by side; ``agrees`` None where one can't be read.

    It falls short when the intervals do not meet and the measured one lies on the worse side.
    """
    promised, found = effect_of(forecast), effect_of(measured)
    if promised is None or found is None:
        return {"forecast": promised, "measured": found, "agrees": None,
                "words": "There is no forecast to check it against." if promised is None
                else "Nothing was measured to check its forecast by."}  # fmt: skip
    if found["decreases"]:
        short = found["lower"] is not None and promised["upper"] is not None
        short = short and found["lower"] > promised["upper"]
    else:
        short = found["upper"] is not None and promised["lower"] is not None
        short = short and found["upper"] < promised["lower"]
    words = f"Forecast {_said(promised)}, measured {_said(found)}: "
    if short:
        words += "less than was promised."
    else:
        words += "as promised." if _is_good(found) else "not shown to be less than was promised."
    return {"forecast": promised, "measured": found, "agrees": not short, "words": words}


def _is_good(effect: Mapping[str, Any]) -> bool:
    """Whether the whole interval lies on the better side of zero."""
    end = effect["upper"] if effect["decreases"] else effect["lower"]
    return end is not None and (end < 0 if effect["decreases"] else end > 0)


def effect_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The primary effect of a verdict document: of the arm it is about, or of the first one."""
    primary = next((m for m in document.get("metrics", ()) if m.get("role") == "primary"), None)
    if primary is None or not primary.get("comparisons"):
        return None
    rows = primary["comparisons"]
    row = next((r for r in rows if r["arm"] == document.get("arm")), rows[0])
    if row.get("estimate") is None:
        return None
    return {
        "metric": primary["key"], "type": primary.get("type"), "scale": row["difference_type"],
        "decreases": primary.get("direction") == "decrease", "estimate": row["estimate"],
        "lower": row["lower"], "upper": row["upper"],
    }  # fmt: skip


def _said(effect: Mapping[str, Any]) -> str:
    factor, unit = 1, ""
    if effect["scale"] == "relative":
        factor, unit = 100, " % on the control"
    elif effect["type"] == "proportion":
        factor, unit = 100, " points"
    ends = {"estimate": "∞", "lower": "−∞", "upper": "∞"}
    parts = [
        end if effect[name] is None else signed(effect[name] * factor) for name, end in ends.items()
    ]
    return f"{parts[0]}{unit} ({parts[1]} to {parts[2]})"
