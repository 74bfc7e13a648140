"""The metrics of an analysis as rows of a page: figures in their units, an effect against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config import readable
from learning import plots
from learning.domain.decisions import named as in_words
from learning.domain.measures import SCORE

# What the interval of each test promises to whoever looks at it.
INTERVALS = {
    "sequential": "confidence sequence, which holds at every look",
    "fixed": "interval for one look: it holds at the declared end only",
    "group_sequential": "interval, which holds at the planned looks",
    "bayesian": "credible interval, which is not protected against repeated looks",
    "bandit": "interval, read batch by batch for the declared end",
}
RELATIVE = "relative"
SHARES = frozenset({"success", "failure_ratio", "complaint", "feedback"})
SECONDS = frozenset({"seconds", "seconds_per_call"})
ENDS = ("lower", "upper")
# What an absolute difference is counted in, where its figure has no sign of its own.
PLAIN = {"tokens": " tokens", "calls": " calls", "rating": " of 5"}
MONEY = frozenset({"cost_usd", "cost_usd_per_call"})


def rows_of(
    found: Mapping[str, Any], specs: Sequence[Mapping[str, Any]], *, is_new: bool = False
) -> list[dict[str, Any]]:
    """A row a metric and treatment, the primary metric first; ``is_new``: nobody has met it.

    ``specs`` are the metrics as they were asked for, which say what was measured.
    """
    measures = {str(s["key"]): str(s.get("measure") or s["key"]) for s in specs}
    rows = []
    for metric in sorted(found["metrics"], key=lambda m: m["role"] != "primary"):
        measure = measures.get(metric["key"], metric["key"])
        arms = {arm["key"]: arm for arm in metric["arms"]}
        for row in metric["comparisons"]:
            factor, unit = scale_of(measure, row["difference_type"])
            is_awaited = is_new or _is_awaited(metric, row, arms)
            rows.append(
                {
                    "key": metric["key"], "name": named(metric["key"]),
                    "words": in_words(metric["key"]), "role": metric["role"],
                    "margin": _margin(metric, measure),
                    "direction": metric["direction"], "arm": row["arm"],
                    "note": _note(row["note"], is_awaited),
                    "control": _figure(arms.get(row["control"]), measure),
                    "treatment": _figure(arms.get(row["arm"]), measure),
                    "state": "not_measured" if is_awaited else reading(row),
                    "p_value": row["p_value"],
                    "chance": row["chance_to_win"], "unit": unit,
                    "against": "on the control" if row["difference_type"] == RELATIVE else "",
                    "read": _read(row, measure),
                    **{k: None if row[k] is None else row[k] * factor
                       for k in ("estimate", "lower", "upper")},
                }
            )  # fmt: skip
    return rows


def _read(row: Mapping[str, Any], measure: str) -> dict[str, Any] | None:
    """The interval that the reading rests on, in its own unit; its strip beside a margin.

    ``is_other``: it is not the one that is shown. None where an older analysis has none.
    """
    read = row.get("read")
    if not read:
        return None
    factor, unit = scale_of(measure, read["difference_type"])
    told = scaled(read, factor)
    shown = [(_ends(row[key], scale_of(measure, row["difference_type"])[0])) for key in ENDS]
    is_same = read["difference_type"] == row["difference_type"] and shown == [
        _ends(read[key], factor) for key in ENDS
    ]
    return {
        **told, "unit": unit or PLAIN.get(measure, ""), "factor": factor, "level": read["level"],
        "of": "on the control" if read["difference_type"] == RELATIVE else "",
        "is_other": not is_same,
        "strip": plots.strip(read) if read["margin"] is not None else None,
    }  # fmt: skip


def scaled(read: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """What is read of a comparison in the unit that it is shown in."""
    return {
        key: None if read[key] is None else read[key] * factor
        for key in ("estimate", "lower", "upper", "margin")
    }


def _ends(value: float | None, factor: float) -> str:
    """An end of an interval as pages say it."""
    return "" if value is None else f"{value * factor:.3g}"


def named(key: str) -> str:
    """A metric's key in words: ``Seconds per call``, ``Accuracy score``."""
    if key.startswith(SCORE):
        key = f"{key.removeprefix(SCORE)} score"
    words = key.replace("_", " ").replace(" usd", " USD")
    return words[:1].upper() + words[1:]


def scale_of(measure: str, difference: str) -> tuple[float, str]:
    """By what an effect is multiplied to be shown, and its unit."""
    if difference == RELATIVE:
        return 100, " %"
    if measure in SHARES:
        return 100, " points"
    return 1, " s" if measure in SECONDS else " USD" if measure in MONEY else ""


def of_drift(metric: str, value: float | None) -> str:
    """A window's mean of a metric whose drift is watched, in the unit that people read."""
    if value is None:
        return "–"
    if metric == "latency_seconds":
        return readable.duration(value)
    if metric == "cost_usd":
        return readable.money(value)
    return readable.percent(value) if metric == "errors" else readable.significant(value)


def unit_in_words(measure: str) -> str:
    """What an absolute difference is in, for the title of a plot."""
    if measure in SECONDS:
        return "seconds"
    if measure in MONEY:
        return "USD"
    if measure in SHARES:
        return "points"
    return {"rating": "points of 5"}.get(measure, measure if measure in PLAIN else "its own scale")


def reading(row: Mapping[str, Any]) -> str:
    """The comparison's state as pages name it; an incident is ``open``, a guardrail is not."""
    found = str(row["guardrail"] or row["reading"])
    return "not_shown" if found == "open" else found


def _note(note: str, is_awaited: bool) -> str:
    """Why it can't be read; of what is only awaited, from how much on it will be."""
    return note if not is_awaited or note.startswith("watched") else ""


def _is_awaited(
    metric: Mapping[str, Any], row: Mapping[str, Any], arms: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether there is nothing yet, which is no fault: nobody came, or what is only watched."""
    both = [arms[key] for key in (row["control"], row["arm"]) if key in arms]
    if any(arm["mean"] is not None for arm in both):
        return False
    is_watched = metric["role"] != "primary" and metric["margin"] is None
    return is_watched or not any(arm["n"] for arm in both)


def _figure(arm: Mapping[str, Any] | None, measure: str) -> dict[str, Any] | None:
    """An arm's figure as it is said, with the exact one; None where nothing was measured."""
    if arm is None or arm["mean"] is None:
        return None
    return {"said": _said(arm["mean"], measure), "exact": arm["mean"], "n": arm["n"]}


def _said(value: float, measure: str) -> str:
    if measure in SHARES:
        return readable.percent(value)
    if measure in SECONDS:
        return readable.duration(value)
    return readable.money(value) if measure in MONEY else readable.significant(value)


def _margin(metric: Mapping[str, Any], measure: str) -> str:
    """By how much it may get worse, in words; empty for none."""
    if metric["margin"] is None:
        return ""
    factor, unit = scale_of(measure, metric["margin_type"])
    return f"{readable.significant(metric['margin'] * factor)}{unit}"
