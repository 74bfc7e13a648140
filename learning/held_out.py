"""What trying gained in all: units that are held out beside everybody else, in words first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Q

from agents import services as agents
from agents.domain import traffic
from config.errors import NotFound
from config.readable import money, percent, plural, signed, significant
from learning import folding
from learning.analysis import analyse
from learning.domain import measures
from learning.domain.measures import UnitSeen
from learning.domain.sums import Cells
from learning.models import Experiment, Holdout, Rollout

HELD, OTHERS = "held_out", "others"
METRICS = [
    measures.metric(raw, index)
    for index, raw in enumerate([
        {"key": "success", "role": "primary"},
        {"key": "cost_usd_per_call", "role": "secondary"},
        {"key": "seconds_per_call", "role": "secondary"},
    ])
]  # fmt: skip
WORDS = {"success": "success", "cost_usd_per_call": "cost per call",
         "seconds_per_call": "seconds per call"}  # fmt: skip
# How a figure of each is said.
FIGURE: dict[str, Callable[[float], str]] = {
    "success": percent, "cost_usd_per_call": money, "seconds_per_call": significant,
}  # fmt: skip
NOTES = (
    "what a rollout has brought to its end is production for those held out too, so this reads "
    "what trying did while it lasted",
    "everybody else counts, also who was in no arm: so an effect is smaller here than in its arm",
    "who calls several agents counts in each",
)
Compared = tuple[str, datetime, datetime]


def read(row: Holdout, now: datetime) -> dict[str, Any]:
    """The verdict document of a holdout: those held out as control, of all that was compared.

    Each agent that was in a comparison is a stage, by the unit of the first one, from its start to
    the end of the last one by that unit.
    """
    compared, notes = {}, []
    for slug, (unit, since, until) in _compared(row, row.closed_at or now).items():
        if why := _unreadable(slug, unit, since, until):
            notes.append(f"{slug} is left out: {why}")
        else:
            compared[slug] = (unit, since, until)
    if not compared:
        said = ("Nothing was compared while it was open" if row.closed_at
                else "Nothing has been compared since it was opened")  # fmt: skip
        return {"headline": f"{said}: there is nothing to read.",
                "reading": "unreadable", "metrics": [], "compared": [], "notes": notes,
                "units": {HELD: 0, OTHERS: 0}, "sample_ratio": None}  # fmt: skip
    instead = {slug: _cells(row, slug, *asked) for slug, asked in compared.items()}
    weights = {slug: {HELD: row.share_ratio, OTHERS: 1 - row.share_ratio} for slug in compared}
    found = analyse({
        "experiment": {
            "name": "holdout", "control": HELD, "metrics": measures.for_analysis(METRICS),
            "test": {"kind": "sequential"}, "minimum_days": 0, "minimum_units": 2, "watched": True,
        },
        "stages": folding.with_zeros(folding.stages_of(row.pk, weights, instead), METRICS),
    })  # fmt: skip
    headline, reading = _words(found)
    return {
        "headline": headline, "reading": reading, "units": found["progress"]["units"],
        "compared": [f"{slug} by {unit}" for slug, (unit, _, _) in sorted(compared.items())],
        "sample_ratio": found["sample_ratio"], "metrics": found["metrics"],
        "notes": [*NOTES, *notes, *found["notes"]],
    }  # fmt: skip


def refresh(now: datetime) -> int:
    """Keep what holdouts say, of the open one and of one closed since it was read; how many."""
    due = Q(closed_at=None) | Q(analysed_at=None) | Q(analysed_at__lt=F("closed_at"))
    rows = list(Holdout.objects.filter(due))
    for row in rows:
        keep(row, now)
    return len(rows)


def keep(row: Holdout, now: datetime) -> None:
    """Read it and keep what it says, with the moment."""
    row.analysis, row.analysed_at = read(row, now), now
    row.save(update_fields=["analysis", "analysed_at"])


def _compared(row: Holdout, until: datetime) -> dict[str, Compared]:
    """Agent → (unit, from, to) of what began while it was open, by the unit of the first."""
    experiments = Experiment.objects.exclude(agent_slug="").filter(
        started_at__gte=row.opened_at, started_at__lt=until
    )
    rollouts = Rollout.objects.filter(
        is_drill=False, created_at__gte=row.opened_at, created_at__lt=until
    )
    began = [
        *experiments.values_list("started_at", "agent_slug", "unit", "ended_at"),
        *rollouts.values_list("created_at", "agent_slug", "unit", "ended_at"),
    ]
    found: dict[str, Compared] = {}
    for at, slug, unit, ended in sorted(began, key=lambda one: (one[0] or until, one[1])):
        end = min(ended or until, until)
        own, since, before = found.get(slug, (unit, at or until, end))
        found[slug] = (own, since, max(before, end) if own == unit else before)
    return found


def _unreadable(slug: str, unit: str, since: datetime, until: datetime) -> str:
    try:
        is_named = agents.units_are_named(slug, unit, since=since, until=until)
    except NotFound:
        return "the agent is gone"
    return f"its callers name each {unit} themselves, and none that is held out" if is_named else ""


def _cells(row: Holdout, slug: str, unit: str, since: datetime, until: datetime) -> Cells:
    edge = round(traffic.BUCKETS * row.share_ratio)
    arms = {HELD: [[0, edge]], OTHERS: [[edge, traffic.BUCKETS]]}

    def seen() -> Iterator[UnitSeen]:
        for one in agents.earlier_outcomes(slug, unit, since=since, until=until):
            yield UnitSeen(
                traffic.bucket_of(row.seed, one.unit), one.first_at.astimezone(UTC).date(),
                one.calls, one.failures, one.cost_usd, one.seconds, one.tokens, unit=one.unit,
            )  # fmt: skip

    return measures.fold(seen(), arms=arms, metrics=METRICS)


def _words(found: dict[str, Any]) -> tuple[str, str]:
    """The headline, and how everybody else does beside those held out."""
    units = found["progress"]["units"]
    if not all(units.values()):
        who = "who is held out" if not units[HELD] else "else"
        return f"Nobody {who} has called since: nothing can be said yet.", "unreadable"
    if found["sample_ratio"] and found["sample_ratio"]["mismatch"]:
        return "Sample ratio mismatch: don't read this.", "unreadable"
    told = {metric["key"]: metric["comparisons"][0] for metric in found["metrics"]}
    sizes = f"{plural(units[OTHERS], 'unit')} beside {units[HELD]} held out"
    effects = ", ".join(_effect(metric) for metric in found["metrics"])
    reading = str(told["success"]["reading"])
    verdict = {
        "better": "What was tried did good while it ran",
        "worse": "What was tried did harm while it ran",
    }.get(reading) or _unclear(told)
    return f"{verdict}: {effects} ({sizes}).", reading


def _unclear(told: dict[str, Any]) -> str:
    """What is shown where success is not: that it costs or takes more is no difference to hide."""
    shown = [
        f"{WORDS[key]} is {one['reading']}" for key, one in told.items()
        if one["reading"] in ("better", "worse")
    ]  # fmt: skip
    if not shown:
        return "No difference to those held out is shown yet"
    return f"No difference in success is shown yet, but {' and '.join(shown)}"


def _effect(metric: dict[str, Any]) -> str:
    name, told = WORDS[metric["key"]], metric["comparisons"][0]
    if told["estimate"] is None:
        means = {arm["mean"] for arm in metric["arms"]}
        if len(means) == 1 and None not in means:
            return f"{name} {FIGURE[metric['key']](means.pop())} in both"
        return f"{name} unknown"
    ends = [_percent(told[key]) for key in ("lower", "upper")]
    return f"{name} {_percent(told['estimate'])} ({ends[0]} to {ends[1]})"


def _percent(change: float | None) -> str:
    return "any" if change is None else f"{signed(change * 100)} %"
