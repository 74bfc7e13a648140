"""A month beside the three before it, from the exported record: also what the database has left.

The tests and sizes are those of the daily drift. The exported record holds no text, so failures are
told by their codes, inputs and answers by their length, and what people said by kind, category and
rating.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from learning.domain.categories import group_of
from learning.domain.drift import Drift, categorical_drift, numeric_drift
from learning.models import Judge, Score
from learning.said import BAD_RATING
from monitoring import exported

WINDOW, REFERENCE = timedelta(days=30), timedelta(days=90)
# The sizes that docs/reference/drift.md measured false alarms and power at.
ROWS = {"before": 500, "now": 200}
NUMBERS = ("duration_seconds", "cost_usd", "input_tokens", "output_tokens")
COLUMNS = (
    "agent", "state", "error_code", "is_demo", "split_epoch", "cached", "model", "cached_tokens",
    *NUMBERS,
)  # fmt: skip
SCORES = ("agent", "split_epoch", "name", "source", "source_version", "value")
FEEDBACK = ("agent", "split_epoch", "kind", "category", "rating")
BAD = ("failed", "blocked")
MOST_CODES = 5


@dataclass(slots=True)
class Sample:
    """An even sample of what is added: each has the same chance to be kept (reservoir)."""

    most: int
    rng: random.Random
    seen: int = 0
    kept: list[Any] = field(default_factory=list)

    def add(self, one: Any) -> None:
        self.seen += 1
        if len(self.kept) < self.most:
            self.kept.append(one)
        elif (place := self.rng.randrange(self.seen)) < self.most:
            self.kept[place] = one


@dataclass(slots=True)
class Side:
    """One agent in one stretch: counts of all calls and words, even samples of good calls."""

    most: int
    seed: str
    calls: int = 0
    bad: int = 0
    cost_usd: float = 0.0
    complaints: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    good: Sample = field(init=False)
    scores: dict[str, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.good = self._sample("calls")

    def add(self, call: dict[str, Any]) -> None:
        """Count a call, and keep a good one by chance."""
        self.calls += 1
        self.cost_usd += float(call["cost_usd"] or 0)
        if call["state"] in BAD:
            self.bad += 1
            self.codes[call["error_code"] or "unknown"] += 1
            return
        self.good.add(call)

    def score(self, name: str, value: float) -> None:
        if name not in self.scores:
            self.scores[name] = self._sample(name)
        self.scores[name].add(value)

    def hear(self, said: dict[str, Any]) -> None:
        """Count what somebody said."""
        rating = said["rating"]
        if rating is not None:
            self.score("rating", float(rating))
        if said["kind"] in ("complaint", "correction") or (rating or BAD_RATING + 1) <= BAD_RATING:
            self.complaints += 1
            self.categories[group_of(said["category"] or "")] += 1

    def _sample(self, name: str) -> Sample:
        return Sample(self.most, random.Random(f"{self.seed}/{name}"))


def compare(root: str, until: date) -> dict[str, Any]:
    """Each agent's month before ``until`` beside the 90 days before that, JSON-ready.

    ``days`` says how many of both stretches were exported. Raises Unavailable.
    """
    start = until - WINDOW
    stretches = {"before": (start - REFERENCE, start), "now": (start, until)}
    sides: dict[str, dict[str, Side]] = {}
    trusted = {(one.name, one.version) for one in Judge.objects.filter(state=Judge.State.ADMITTED)}
    for side, (since, end) in stretches.items():
        for call in _rows(root, "invocations", COLUMNS, side, since, end):
            if not (call["is_demo"] or call["cached"]):
                _side(sides, call["agent"], side).add(call)
        for score in _rows(root, "scores", SCORES, side, since, end):
            by_judge = score["source"] == Score.Source.JUDGE
            if not by_judge or (score["name"], score["source_version"]) in trusted:
                value = float(score["value"])
                _side(sides, score["agent"], side).score(f"score:{score['name']}", value)
        for said in _rows(root, "feedback", FEEDBACK, side, since, end):
            _side(sides, said["agent"], side).hear(said)
    return {
        "days": {
            side: exported.covered(root, "invocations", since=since, until=end)
            for side, (since, end) in stretches.items()
        },
        "agents": {
            slug: _agent(own["before"], own["now"])
            for slug, own in sorted(sides.items())
            if slug and all(side in own and own[side].calls for side in stretches)
        },
    }


def _rows(
    root: str, dataset: str, columns: Sequence[str], side: str, since: date, until: date
) -> Iterator[dict[str, Any]]:
    """Rows of a stretch; the reference without what an experiment did."""
    for day in exported.days(root, dataset, since=since, until=until):
        for batch in exported.rows(root, dataset, day, columns):
            for values in zip(*(batch[name] for name in columns), strict=True):
                row = dict(zip(columns, values, strict=True))
                if side == "now" or row["split_epoch"] is None:
                    yield row


def _side(sides: dict[str, dict[str, Side]], agent: str | None, side: str) -> Side:
    own = sides.setdefault(agent or "", {})
    if side not in own:
        own[side] = Side(ROWS[side], f"{agent}/{side}")
    return own[side]


def _agent(before: Side, now: Side) -> dict[str, Any]:
    both = (before, now)
    drifts = []
    for name in NUMBERS:
        drifts += _numeric(name, *([_number(c, name) for c in s.good.kept] for s in both))
    models = ([str(c["model"]) for c in side.good.kept] for side in both)
    drifts += _told("model", categorical_drift(*models))
    drifts += _ratio("errors", [(side.bad, side.calls) for side in both])
    for name in sorted(before.scores.keys() & now.scores.keys()):
        drifts += _numeric(name, before.scores[name].kept, now.scores[name].kept)
    # A call may be complained of more than once.
    drifts += _ratio("complaints", [(min(s.complaints, s.calls), s.calls) for s in both])
    drifts += _told("category", categorical_drift(*(s.categories.elements() for s in both)))
    return {
        "calls": [before.calls, now.calls], "bad": [before.bad, now.bad],
        "cost_usd": [round(before.cost_usd, 6), round(now.cost_usd, 6)],
        "complaints": [before.complaints, now.complaints],
        "categories": {str(k): n for k, n in now.categories.most_common(MOST_CODES)},
        "codes": dict(now.codes.most_common(MOST_CODES)), "drifts": drifts,
    }  # fmt: skip


def _number(call: dict[str, Any], name: str) -> float | None:
    value = call[name]
    if value is None:
        return None
    # What an endpoint remembered of a request is counted apart.
    return float(value) + (float(call["cached_tokens"] or 0) if name == "input_tokens" else 0.0)


def _numeric(
    metric: str, before: Sequence[float | None], now: Sequence[float | None]
) -> list[dict[str, Any]]:
    values = [[one for one in side if one is not None] for side in (before, now)]
    return _told(metric, numeric_drift(*values), *(sum(v) / max(len(v), 1) for v in values))


def _ratio(metric: str, counts: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """Drift of a share, as (how many, of all) before and now."""
    states = (["yes"] * some + ["no"] * (every - some) for some, every in counts)
    ratios = [some / every if every else 0.0 for some, every in counts]
    return _told(metric, categorical_drift(*states), *ratios)


def _told(
    metric: str, drift: Drift, before: float | None = None, now: float | None = None
) -> list[dict[str, Any]]:
    if not drift.drifted:
        return []
    return [
        {"metric": metric, "test": drift.test, "effect": round(drift.effect, 4),
         "effect_name": drift.effect_name, "from": before, "to": now}
    ]  # fmt: skip
