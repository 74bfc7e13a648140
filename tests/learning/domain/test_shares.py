from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.domain.shares import moved, ratios

WEIGHTS = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


def buckets(ranges):
    return {arm: {b for lo, hi in pairs for b in range(lo, hi)} for arm, pairs in ranges.items()}


@given(st.lists(WEIGHTS, min_size=1, max_size=6))
def test_whoever_grows_keeps_its_buckets_and_none_is_lost_or_shared(steps):
    now = {"a": [[0, 300]], "b": [[300, 500]], "c": [[900, 1000]]}
    whole = set().union(*buckets(now).values())
    for weights in steps:
        shares = {arm: w / sum(weights) for arm, w in zip("abc", weights, strict=True)}
        before, now = buckets(now), moved(now, shares)
        after = buckets(now)
        assert set().union(*after.values()) == whole
        assert sum(map(len, after.values())) == len(whole)
        for arm in "abc":
            assert before[arm] <= after[arm] or after[arm] <= before[arm]
            assert ratios(now)[arm] == pytest.approx(shares[arm], abs=0.006)


def test_an_arm_keeps_a_bucket_whatever_its_share():
    now = {"a": [[0, 5]], "b": [[5, 10]]}
    assert moved(now, {"a": 1.0, "b": 0.0}) == {"a": [[0, 5], [6, 10]], "b": [[5, 6]]}


def test_a_share_for_an_arm_that_is_none_is_refused():
    with pytest.raises(ValueError, match="a share for each"):
        moved({"a": [[0, 5]]}, {"b": 1.0})
