"""Folding measurements into windows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitoring.domain.metrics import METRICS, SCOPES
from monitoring.domain.rollups import Stat, fold, join, keys_of, merge


def row(labels: dict[str, str], **numbers: float) -> tuple[str, list[str], list[float]]:
    return json.dumps(labels), list(numbers), list(numbers.values())


def test_a_measurement_counts_in_every_scope_whose_labels_it_has() -> None:
    assert keys_of({"agent": "a", "client": "c"}) == [
        ("all", ""), ("agent", "a"), ("client", "c"), ("client_agent", "c|a"),
    ]  # fmt: skip


def test_counters_add_up_and_distributions_keep_their_percentiles() -> None:
    draws = np.random.default_rng(7).lognormal(0, 1, 2000)
    windows = fold(
        row({"agent": "a"}, invocations=1, invocation_duration_seconds=value) for value in draws
    )
    stats = windows[("agent", "a")]
    assert (stats["invocations"].total, stats["invocations"].sketch) == (2000, None)
    exact = float(np.quantile(draws, 0.95))
    assert stats["invocation_duration_seconds"].percentile(0.95) == pytest.approx(exact, rel=0.01)


def test_hours_made_of_minutes_equal_one_fold_of_everything() -> None:
    draws = np.random.default_rng(8).exponential(2, 300)
    rows = [row({"agent": f"a{i % 3}"}, invocation_duration_seconds=v) for i, v in enumerate(draws)]
    at_once = fold(rows)
    minutes = [fold(rows[start : start + 20]) for start in range(0, 300, 20)]
    joined = join(
        (scope, key, {name: stat.as_json() for name, stat in stats.items()})
        for window in minutes
        for (scope, key), stats in window.items()
    )
    assert joined.keys() == at_once.keys()
    for place, stats in at_once.items():
        assert joined[place]["invocation_duration_seconds"].sketch == (
            stats["invocation_duration_seconds"].sketch
        )


def test_a_stat_survives_its_row_and_nothing_merges_to_nothing() -> None:
    stat = fold([row({}, cost_usd=0.25)])[("all", "")]["cost_usd"]
    again = Stat.from_json(json.loads(json.dumps(stat.as_json())))
    assert (again.count, again.total, again.percentile(0.5)) == (1, 0.25, 0.25)
    assert merge([]) == Stat(0, 0.0)
    assert merge([]).mean is None


def test_every_scope_is_made_of_known_labels_and_every_metric_is_named_by_itself() -> None:
    from monitoring.domain.metrics import LABELS

    assert {label for names in SCOPES.values() for label in names} <= LABELS
    assert all(name == metric.name and len(name) <= 40 for name, metric in METRICS.items())
