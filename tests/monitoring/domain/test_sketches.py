import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.domain.sketches import Sketch, merged, united

QS = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
RNG = np.random.default_rng(7)
DISTRIBUTIONS = {
    "uniform": RNG.uniform(0.1, 5, 5_000),
    "lognormal": RNG.lognormal(0, 2, 5_000),
    "pareto": RNG.pareto(1.1, 5_000) + 1e-3,
    "exponential": RNG.exponential(0.2, 5_000),
    "constant": np.full(100, 3.7),
    "two far modes": np.concatenate([RNG.normal(1e-3, 1e-5, 900), RNG.normal(1e6, 10, 100)]),
    "negative": -RNG.lognormal(0, 1, 2_000),
    "counts with zeros": RNG.poisson(0.7, 3_000).astype(float),
    "one value": np.array([42.0]),
}
magnitudes = st.floats(min_value=1e-9, max_value=1e9)
values = st.one_of(magnitudes, magnitudes.map(lambda v: -v), st.just(0.0))


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_percentile_is_within_one_percent_of_the_exact_one(name):
    data = DISTRIBUTIONS[name]
    for q, got in zip(QS, Sketch.of(data).quantiles(QS), strict=True):
        assert got == pytest.approx(float(np.quantile(data, q)), rel=0.01, abs=1e-12)


@given(st.lists(magnitudes, min_size=1, max_size=200), st.floats(min_value=0, max_value=1))
@settings(max_examples=150, deadline=None)
def test_any_quantile_of_any_positive_values_is_within_one_percent(data, q):
    assert Sketch.of(data).quantile(q) == pytest.approx(float(np.quantile(data, q)), rel=0.01)


@given(st.lists(st.lists(values, max_size=50), min_size=1, max_size=6), st.randoms())
@settings(max_examples=100, deadline=None)
def test_any_union_of_windows_equals_the_sketch_of_all_their_values(windows, random):
    sketches = [Sketch.of(window) for window in windows]
    random.shuffle(sketches)
    whole = Sketch.of([v for window in windows for v in window])
    assert [*merged(sketches)._buckets()] == [*whole._buckets()]
    assert merged(sketches).count == whole.count
    assert (merged(sketches).minimum, merged(sketches).maximum) == (whole.minimum, whole.maximum)


@given(st.lists(st.lists(values, max_size=50), max_size=6))
@settings(max_examples=100, deadline=None)
def test_many_that_lie_in_rows_are_read_as_one_in_a_single_pass(windows):
    packed = [Sketch.of(window).to_bytes() for window in windows]
    one_by_one = merged([Sketch.from_bytes(data) for data in packed])
    assert united(packed) == one_by_one
    assert united(packed).count == one_by_one.count


@given(st.lists(st.tuples(magnitudes, st.integers(1, 10**12)), min_size=2, max_size=12))
@settings(max_examples=100, deadline=None)
def test_counts_of_any_size_are_read_as_one_in_a_single_pass(weighted):
    windows = []
    for value, weight in weighted:
        one = Sketch()
        one.add(value, weight)
        windows.append(one)
    whole = united([one.to_bytes() for one in windows])
    assert [*whole._buckets()] == [*merged(windows)._buckets()]
    assert whole.count == sum(weight for _, weight in weighted)


def test_buckets_that_no_value_can_lie_in_are_refused():
    good = Sketch.of([1.0]).to_bytes()
    head, far = good[:25], (1 << 35).to_bytes(5, "big")
    wild = head + bytes([0, 1, *(0x80 | byte & 0x7F for byte in far), 0x01, 1, 0])
    with pytest.raises(ValueError, match="apart"):
        united([good, wild])


@pytest.mark.parametrize("cut", [b"", b"\x80", b"\x01", b"\x01\x05"])
def test_a_broken_one_among_many_is_refused(cut):
    good = Sketch.of([1.0, 2.0, -3.0, 0.0]).to_bytes()
    with pytest.raises(ValueError, match="sketch"):
        united([good, good[:25] + cut, good])
    with pytest.raises(ValueError, match="left over"):
        united([good, good + b"\x01"])


@given(st.lists(values, max_size=100))
@settings(max_examples=100, deadline=None)
def test_bytes_read_back_as_the_same_sketch(data):
    sketch = Sketch.of(data)
    again = Sketch.from_bytes(sketch.to_bytes())
    assert again == sketch
    assert again.count == len(data)


@given(st.lists(values, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_adding_one_by_one_equals_adding_at_once(data):
    one_by_one = Sketch()
    for value in data:
        one_by_one.add(value)
    assert one_by_one == Sketch.of(data)


def test_a_weight_counts_as_so_many_values():
    weighted = Sketch()
    weighted.add(2.0, weight=9)
    weighted.add(8.0)
    assert weighted == Sketch.of([2.0] * 9 + [8.0])
    assert weighted.mean == pytest.approx(2.6)


def test_negative_and_zero_values_keep_their_order():
    sketch = Sketch.of([-100, -1, 0, 0, 1, 100])
    assert sketch.quantile(0) == -100
    assert sketch.quantile(0.5) == 0
    assert sketch.quantile(1) == 100


def test_the_share_above_a_limit_counts_whole_buckets():
    sketch = Sketch.of(np.concatenate([np.full(90, 1.0), np.full(10, 3.0)]))
    assert sketch.share_above(2.0) == pytest.approx(0.1)
    assert Sketch().share_above(2.0) == 0


@pytest.mark.parametrize("limit", [1.0, 2.0, 3.0, 4.0, 5.0, 0.95, -2.0, 0.0])
def test_what_is_as_large_as_a_limit_is_neither_above_nor_below_it(limit: float):
    sketch = Sketch.of([limit] * 6 + [limit + 1] * 3 + [limit - 1])
    assert sketch.share_above(limit) == pytest.approx(0.3)
    assert sketch.share_below(limit) == pytest.approx(0.1)


@settings(deadline=None)
@given(st.lists(values, max_size=80), st.lists(values, max_size=80))
def test_what_was_added_can_be_taken_off_again(kept, added):
    rest = Sketch.of([*kept, *added]).without(Sketch.of(added))
    assert list(rest._buckets()) == list(Sketch.of(kept)._buckets())
    for q in QS if kept else ():
        exact = Sketch.of(kept).quantile(q)
        assert rest.quantile(q) == pytest.approx(exact, rel=0.02, abs=1e-17)
    assert rest.to_bytes() == Sketch.from_bytes(rest.to_bytes()).to_bytes()


def test_what_was_never_added_can_not_be_taken_off():
    for other in (Sketch.of([1.0, 1.0]), Sketch.of([2.0]), Sketch.of([0.0])):
        with pytest.raises(ValueError, match="never counted"):
            Sketch.of([1.0]).without(other)


def test_a_hundred_thousand_latencies_take_less_than_two_kilobytes():
    assert len(Sketch.of(RNG.lognormal(0, 1, 100_000)).to_bytes()) < 2_000


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        Sketch().add(bad)
    with pytest.raises(ValueError, match="finite"):
        Sketch.of([1.0, bad])


def test_an_empty_sketch_has_no_quantile_and_no_mean():
    with pytest.raises(ValueError, match="empty"):
        Sketch().quantile(0.5)
    with pytest.raises(ValueError, match="empty"):
        _ = Sketch().mean


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_outside_zero_and_one_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Sketch.of([1.0]).quantile(q)


@pytest.mark.parametrize("cut", [0, 5, 26, 30])
def test_a_sketch_that_was_cut_short_is_refused(cut):
    data = Sketch.of([1.0, 2.0, 3.0]).to_bytes()
    with pytest.raises(ValueError, match=r"sketch"):
        Sketch.from_bytes(data[:cut])


def test_bytes_behind_a_sketch_are_refused():
    with pytest.raises(ValueError, match="left over"):
        Sketch.from_bytes(Sketch.of([1.0]).to_bytes() + b"\x01")
