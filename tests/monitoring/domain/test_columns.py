"""Many measurements as columns fold into the same windows as one by one."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.domain.columns import Label, fold_columns, fold_columns_by
from monitoring.domain.rollups import Stat, Windows, fold, merge

AGENTS, CODES = ("a", "b", "c"), ("", "timeout", "bad")
ROW = st.tuples(
    st.integers(0, 2), st.integers(0, 2), st.floats(0, 1e6) | st.just(0.0), st.integers(0, 9),
    st.booleans(),
)  # fmt: skip


def rows_of(drawn: list[tuple[int, int, float, int, bool]]) -> Windows:
    """As the watch folds them, from rows."""
    rows = []
    for agent, code, seconds, tokens, measured in drawn:
        labels = {"agent": AGENTS[agent], "code": CODES[code]}
        names, numbers = ["input_tokens"], [float(tokens)]
        if measured:
            names.append("invocation_duration_seconds")
            numbers.append(seconds)
        rows.append((json.dumps({k: v for k, v in labels.items() if v}), names, numbers))
    return fold(rows)


def columns_of(
    drawn: list[tuple[int, int, float, int, bool]],
) -> tuple[dict[str, Label], dict[str, np.ndarray]]:
    agents, codes, seconds, tokens, measured = (
        np.array(column) for column in zip(*drawn, strict=True)
    )
    labels = {"agent": Label(agents, AGENTS), "code": Label(codes, CODES)}
    there = np.where(measured, seconds.astype(float), np.nan)
    return labels, {"input_tokens": tokens.astype(float), "invocation_duration_seconds": there}


def same(one: Stat, other: Stat) -> bool:
    return (
        one.count == other.count
        and math.isclose(one.total, other.total, rel_tol=1e-9, abs_tol=1e-9)
        and one.sketch == other.sketch
    )


@given(st.lists(ROW, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_columns_fold_as_rows_do_bucket_for_bucket(drawn) -> None:
    by_rows, by_columns = rows_of(drawn), fold_columns(*columns_of(drawn))
    assert by_rows.keys() == by_columns.keys()
    for place, stats in by_rows.items():
        assert stats.keys() == by_columns[place].keys()
        assert all(same(stat, by_columns[place][name]) for name, stat in stats.items())


@given(st.lists(ROW, min_size=1, max_size=60))
@settings(max_examples=30, deadline=None)
def test_windows_of_one_pass_together_are_the_whole(drawn) -> None:
    labels, numbers = columns_of(drawn)
    hours = Label(np.arange(len(drawn)) % 3, ("0", "1", "2"))
    parts = fold_columns_by(hours, labels, numbers)
    whole = fold_columns(labels, numbers)
    for place, stats in whole.items():
        for name, stat in stats.items():
            found = [part[place][name] for part in parts.values() if name in part.get(place, {})]
            assert same(merge(found), stat)


def test_a_value_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0"):
        fold_columns({}, {"cost_usd": np.array([-1.0])})
