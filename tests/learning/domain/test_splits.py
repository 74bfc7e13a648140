from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from learning.domain.splits import digest_of, share_of, split


@given(st.lists(st.integers(0, 50), max_size=80), st.floats(0, 0.9))
def test_nothing_is_lost_and_no_key_is_on_both_sides(items, ratio):
    kept, out = split(items, key=lambda i: i, held_out_ratio=ratio, seed="s")
    assert sorted([*kept, *out]) == sorted(items)
    assert not set(kept) & set(out)


def test_two_keys_leave_one_on_each_side():
    kept, out = split([1, 2], key=lambda i: i, held_out_ratio=0.1, seed="s")
    assert (len(kept), len(out)) == (1, 1)


def test_the_same_key_lands_on_the_same_side_whatever_else_there_is():
    assert share_of("a", seed="1") == share_of("a", seed="1")
    assert share_of("a", seed="1") != share_of("a", seed="2")


def test_a_digest_ignores_the_order_of_keys():
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
