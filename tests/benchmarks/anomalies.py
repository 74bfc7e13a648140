"""``make bench ONLY=anomalies``: the shipped detector over series that no setting was chosen on.

Each kind is drawn a few times with events in it and once without. A window of a tenth of the
series, shared by its events, lies around each event, as in the Numenta benchmark. A window is
found by a flagged row in it; every flagged row outside of all windows is a false alert. Beside it
runs a rolling z-score with the same quiet rows.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from monitoring.domain.anomaly.detector import Detector, Settings

SEEDS = int(os.environ.get("RATCHET_BENCH_SERIES", "4"))
FIRST_SEED = int(os.environ.get("RATCHET_BENCH_SEED", "900"))
ROWS = 4032  # two weeks of five minutes
DAY = 288
STEP_SECONDS = 300.0
# A Monday.
BEGIN = 1_767_571_200.0
QUIET, HISTORY, DEVIATIONS = Settings().quiet, 288, 4.0
Draw = Callable[[np.random.Generator, np.ndarray], tuple[np.ndarray, list[int]]]


@dataclass(frozen=True)
class Series:
    """``events``: the rows at which something begins; ``windows``: (first, last) row of each."""

    times: np.ndarray
    values: np.ndarray
    events: list[int] = field(default_factory=list)

    @property
    def windows(self) -> list[tuple[int, int]]:
        half = int(0.05 * len(self.values) / max(len(self.events), 1))
        return [(at - half, at + half) for at in self.events]


def _times(rows: int = ROWS, step: float = STEP_SECONDS) -> np.ndarray:
    return BEGIN + step * np.arange(rows)


def _phase(times: np.ndarray, period: float = 86_400.0) -> np.ndarray:
    return 2 * np.pi * (times % period) / period


def _office(times: np.ndarray) -> np.ndarray:
    """Load of an office: mornings and afternoons of weekdays."""
    hour, weekday = times % 86_400 / 3600, (times // 86_400 + 3) % 7
    day = np.exp(-(((hour - 10.5) / 2.2) ** 2)) + 0.9 * np.exp(-(((hour - 15) / 2) ** 2))
    return np.where(weekday < 5, day, 0.15 * day)


def _places(rng: np.random.Generator, rows: int, count: int = 2) -> list[int]:
    """Rows for events, apart from each other and from both ends."""
    cells = np.linspace(0.3 * rows, 0.93 * rows, count + 1)
    return [int(rng.uniform(low, low + 0.6 * (high - low)))
            for low, high in pairwise(cells)]  # fmt: skip


def _ar(rng: np.random.Generator, rows: int, memory: float) -> np.ndarray:
    noise, values, last = rng.standard_normal(rows), np.empty(rows), 0.0
    for row in range(rows):
        last = memory * last + noise[row] * math.sqrt(1 - memory**2)
        values[row] = last
    return values


# Each: (rng, times, with events?) → values and where its events begin.
def busy_processor(rng, times, events):
    values = 35 + 6 * _ar(rng, len(times), 0.8)
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + int(rng.integers(6, 40))] += rng.uniform(35, 55)
    return np.clip(values, 0, 100), found


def office_traffic(rng, times, events):
    rate = 20 + 400 * _office(times)
    values = rng.poisson(rate * rng.lognormal(0, 0.08, len(times))).astype(float)
    found = _places(rng, len(times)) if events else []
    for number, at in enumerate(found):  # a sale, then an outage at noon
        at = at - at % DAY + 130
        found[number] = at
        values[at : at + 18] *= 2.4 if number % 2 else 0.05
    return values, found


def holiday(rng, times, events):
    times = _times(2016, 1800.0)  # six weeks of half hours
    values = 200 + 900 * _office(times) + 25 * _ar(rng, len(times), 0.6)
    found = []
    if events:
        day = int(rng.choice([21, 22, 23, 24, 28, 29, 30])) * 48
        values[day : day + 48] = (
            200 + 130 * _office(times)[day : day + 48] + 25 * rng.standard_normal(48)
        )
        found = [day + 16]
    return values, found, times


def sparse_errors(rng, times, events):
    values = rng.poisson(0.06, len(times)).astype(float)
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 10] += rng.poisson(4, 10)
    return values, found


def mentions(rng, times, events):
    rate = 8 + 6 * np.sin(_phase(times) - 2)
    values = rng.poisson(rate * rng.gamma(3, 1 / 3, len(times))).astype(float)
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 24] += 120 * np.exp(-np.arange(24) / 6)
    return values, found


def new_level(rng, times, events):
    values = 50 + 4 * np.sin(_phase(times)) + 1.5 * rng.standard_normal(len(times))
    found = _places(rng, len(times), 1) if events else []
    for at in found:
        values[at:] += rng.choice([-1, 1]) * rng.uniform(9, 14)
    return values, found


def leak(rng, times, events):
    values = 40 + 2 * np.sin(_phase(times)) + 0.8 * rng.standard_normal(len(times))
    found = _places(rng, len(times), 1) if events else []
    for at in found:
        long = min(len(values) - at, 300)
        values[at : at + long] += np.linspace(0, 30, long)
    return values, found


def growth(rng, times, events):
    values = 100 + 0.03 * np.arange(len(times)) + 10 * np.sin(_phase(times))
    values += 2 * rng.standard_normal(len(times))
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 30] -= 45
    return values, found


def restless(rng, times, events):
    values = rng.standard_normal(len(times))
    found = _places(rng, len(times), 1) if events else []
    for at in found:
        values[at : at + 200] *= rng.uniform(3, 5)
    return 20 + 2 * values, found


def gaps(rng, times, events):
    values = 70 + 12 * np.sin(_phase(times)) + 3 * _ar(rng, len(times), 0.5)
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 12] += 45
    kept = rng.random(len(times)) > 0.25
    kept[900:1050] = False  # a collector that was away
    for at in found:
        kept[at : at + 12] = True
    moved = np.cumsum(kept) - 1
    return values[kept], [int(moved[at]) for at in found], times[kept]


def still(rng, times, events):
    values = np.full(len(times), 12.0)
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 5] = rng.uniform(13, 40)
    return values, found


def stuck(rng, times, events):
    values = 60 + 8 * np.sin(_phase(times)) + 2 * rng.standard_normal(len(times))
    found = _places(rng, len(times), 1) if events else []
    for at in found:
        values[at : at + 150] = values[at]
    return values, found


def slow_answers(rng, times, events):
    values = rng.lognormal(0, 0.5, len(times)) * (1 + 0.3 * np.sin(_phase(times)))
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 40] *= 4
    return values, found


def journeys(rng, times, events):
    times = BEGIN + np.cumsum(rng.gamma(2, 150, len(times)))  # when somebody drove by
    rush = np.exp(-(((times % 86_400 / 3600 - 8) / 1.3) ** 2))
    values = 110 + 90 * rush + 18 * rng.gamma(2, 0.7, len(times))
    found = _places(rng, len(times)) if events else []
    for at in found:
        values[at : at + 25] += 260
    return np.round(values), found, times


def saw(rng, times, events):
    period = 37
    values = (np.arange(len(times)) % period) * 2.0 + 30 + rng.standard_normal(len(times))
    found = _places(rng, len(times), 1) if events else []
    for at in found:  # collected no more for a while
        long = 80
        values[at : at + long] = values[at - 1] + np.linspace(0, 70, long)
    return values, found


def night_jobs(rng, times, events):
    values = 5 + rng.exponential(1.0, len(times))
    nights = [row for row in range(len(times)) if row % DAY == 24]
    for row in nights:
        values[row : row + 8] += 80 + 5 * rng.standard_normal(8)
    found = []
    if events:
        late = nights[int(rng.integers(8, 12))]
        values[late : late + 8] = 5 + rng.exponential(1.0, 8)  # one did not run
        daytime = late + 150
        values[daytime : daytime + 8] += 80  # and ran at noon
        found = [daytime]
    return values, found


def machine(rng, times, events):
    values = 85 + np.cumsum(0.15 * rng.standard_normal(len(times)))
    values = values - 0.6 * (values - 85) + 0.8 * rng.standard_normal(len(times))
    found = _places(rng, len(times)) if events else []
    for at in found:
        long = 60
        values[at : at + long] -= 18 * np.sin(np.linspace(0, np.pi, long))
    return values, found


def success_share(rng, times, events):
    calls = rng.poisson(40, len(times)) + 1
    share = np.full(len(times), 0.985)
    found = _places(rng, len(times)) if events else []
    for at in found:
        share[at : at + 20] = 0.7
    return rng.binomial(calls, share) / calls, found


KINDS: dict[str, Any] = {
    one.__name__: one
    for one in (
        busy_processor, office_traffic, holiday, sparse_errors, mentions, new_level, leak, growth,
        restless, gaps, still, stuck, slow_answers, journeys, saw, night_jobs, machine,
        success_share,
    )
}  # fmt: skip


def drawn(kind: str, seed: int, *, events: bool) -> Series:
    """One series of a kind; the same for the same seed."""
    rng = np.random.default_rng([sorted(KINDS).index(kind), seed, int(events)])
    found = KINDS[kind](rng, _times(), events)
    values, places = found[0], found[1]
    return Series(found[2] if len(found) > 2 else _times(), values, places)


def flagged(series: Series, settings: Settings | None = None) -> list[int]:
    """Rows that the shipped detector flags."""
    detector = Detector(settings)
    pairs = zip(series.times.tolist(), series.values.tolist(), strict=True)
    return [row for row, (at, value) in enumerate(pairs) if detector.update(at, value).flagged]


def flagged_by_deviation(series: Series) -> list[int]:
    """Rows more than four deviations from the mean of the 288 before, with quiet rows after."""
    found: list[int] = []
    values = series.values
    for row in range(HISTORY, len(values)):
        before = values[row - HISTORY : row]
        deviation = float(before.std()) or 1e-9
        if abs(values[row] - float(before.mean())) > DEVIATIONS * deviation and (
            not found or row - found[-1] >= QUIET
        ):
            found.append(row)
    return found


@dataclass
class Tally:
    """Windows found and missed, false alerts, rows."""

    found: int = 0
    missed: int = 0
    false: int = 0
    rows: int = 0

    def add(self, series: Series, flags: list[int]) -> None:
        hit = [any(low <= row <= high for row in flags) for low, high in series.windows]
        self.found += sum(hit)
        self.missed += len(hit) - sum(hit)
        self.false += sum(
            all(not low <= row <= high for low, high in series.windows) for row in flags
        )
        self.rows += len(series.values)

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.found + other.found, self.missed + other.missed,
                     self.false + other.false, self.rows + other.rows)  # fmt: skip

    @property
    def f1(self) -> float:
        whole = 2 * self.found + self.false + self.missed
        return 2 * self.found / whole if whole else 0.0

    @property
    def false_per_1000(self) -> float:
        return 1000 * self.false / self.rows


def _all() -> Iterator[tuple[str, Series]]:
    for kind in sorted(KINDS):
        for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
            yield kind, drawn(kind, seed, events=True)
        yield kind, drawn(kind, FIRST_SEED, events=False)


def by_kind(settings: Settings | None = None) -> dict[str, Tally]:
    """What the shipped detector finds of each kind."""
    tallies: dict[str, Tally] = {}
    for kind, series in _all():
        tallies.setdefault(kind, Tally()).add(series, flagged(series, settings))
    return tallies


def run() -> dict[str, dict[str, Any]]:
    """Figures in the shape of ``benchmarks.json``."""
    began = time.process_time()
    kinds = by_kind()
    seconds = time.process_time() - began
    whole, peer = sum(kinds.values(), Tally()), Tally()
    for _, series in _all():
        peer.add(series, flagged_by_deviation(series))
    rows = {
        "anomalies.f1": _row(whole.f1, "of 1", peer.f1, lower=False),
        "anomalies.false_alerts": _row(
            whole.false_per_1000, "in 1,000 rows", peer.false_per_1000, lower=True
        ),
        "anomalies.rows_a_second": _row(whole.rows / seconds, "rows/s of one core", lower=False),
    }
    for kind, tally in kinds.items():
        rows[f"anomalies.{kind}_f1"] = _row(tally.f1, "of 1", lower=False)
    return rows


def _row(value: float, unit: str, peer: float | None = None, *, lower: bool) -> dict[str, Any]:
    value = float(f"{value:.3g}")
    peers = {} if peer is None else {"a rolling z-score": float(f"{peer:.3g}")}
    return {"value": value, "unit": unit, "lower_is_better": lower, "peers": peers,
            "spread": [value, value]}  # fmt: skip
