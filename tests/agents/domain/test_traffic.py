from __future__ import annotations

import pytest

from agents.domain import traffic
from config.errors import InvalidInput


@pytest.mark.parametrize(
    ("seed", "unit", "share"),
    [  # published with the GrowthBook SDKs (cases.json, "hash", version 2)
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
    ],
)
def test_buckets_are_those_of_the_growthbook_sdks(seed, unit, share):
    assert traffic.bucket_of(seed, unit) == round(share * traffic.BUCKETS)


def test_fnv1a_gives_the_published_values():
    assert traffic.fnv1a32("") == 0x811C9DC5
    assert traffic.fnv1a32("a") == 0xE40C292C
    assert traffic.fnv1a32("foobar") == 0xBF9CF968


def test_units_spread_evenly_over_the_arms():
    arms = {"a": [[0, 5000]], "b": [[5000, 10_000]]}
    met = [traffic.arm_of(arms, traffic.bucket_of("s", f"user-{n}")) for n in range(4000)]
    assert 1900 < met.count("a") < 2100


def test_similar_seeds_assign_independently():
    both = sum(
        traffic.bucket_of("exp-1", str(n)) < 5000 and traffic.bucket_of("exp-2", str(n)) < 5000
        for n in range(4000)
    )
    assert 900 < both < 1100


def test_a_range_that_only_widens_moves_nobody():
    before = {"new": [[0, 500]], "old": [[5000, 5500]]}
    after = {"new": [[0, 2500]], "old": [[5000, 7500]]}
    assert traffic.reassigned(before, after) == 0
    assert traffic.reassigned(after, before) == 4000


def test_a_unit_outside_all_ranges_meets_no_arm():
    assert traffic.arm_of({"a": [[0, 10]]}, 10) is None
    assert traffic.arm_of({"a": [[0, 10]]}, 9) == "a"


@pytest.mark.parametrize(
    "arms",
    [
        {"a": [[0, 10_001]]},
        {"a": [[5, 5]]},
        {"a": [[-1, 5]]},
        {"a": [[0, 10]], "b": [[9, 20]]},
        {"a": [[0, 10, 20]]},
    ],
)
def test_arms_that_overlap_or_leave_the_buckets_are_refused(arms):
    with pytest.raises(InvalidInput):
        traffic.check_arms(arms)


def test_shares_are_what_the_ranges_hold():
    assert traffic.shares({"a": [[0, 500], [9000, 9500]]}) == {"a": 0.1}
