"""Distributions that fit in a row and merge exactly: relative-error quantile sketches.

A sketch counts values in buckets whose bounds grow by a constant factor, so every quantile it
gives is within ``RELATIVE_ERROR`` of the true one. Buckets never collapse, so merging is a sum
of counts: associative, commutative and without loss, over any union of windows.
Source: Masson, Rim, Lee, "DDSketch", PVLDB 12(12), 2019.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import ArrayLike

# 1 % is promised; the difference is left for rounding at a bucket's edge.
RELATIVE_ERROR = 0.0099
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(GAMMA)
# Below this a value counts as zero: it is under a billionth of a billionth of any unit used here.
SMALLEST = 1e-18
LARGEST = 1e300
# Up to so many values are counted one by one: arrays cost more to set up.
FEW = 48
# Between the buckets of the smallest and the largest value; 37,000 are true.
_MOST_APART = 100_000
_VERSION = 1
_HEADER = struct.Struct("<Bddd")


class Sketch:
    """Counts of values in geometric buckets; quantiles within 1 % of the exact ones.

    Negative values and zero are counted apart. ``total``, ``minimum`` and ``maximum`` are exact
    (``total`` up to floating point). An empty sketch has ``count`` 0 and no quantiles.
    """

    __slots__ = ("_negative", "_positive", "count", "maximum", "minimum", "total", "zeros")

    def __init__(self) -> None:
        self._positive: dict[int, int] = {}
        self._negative: dict[int, int] = {}
        self.zeros = 0
        self.count = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    @classmethod
    def of(cls, values: ArrayLike) -> Sketch:
        """The sketch of many values at once (vectorised)."""
        sketch = cls()
        sketch.add_many(values)
        return sketch

    @classmethod
    def from_buckets(
        cls, positive: dict[int, int], *, count: int, total: float, minimum: float, maximum: float
    ) -> Sketch:
        """The sketch of ``count`` values of 0 or more; the positive ones lie in buckets."""
        sketch = cls()
        sketch._positive, sketch.count, sketch.total = positive, count, total
        sketch.zeros = count - sum(positive.values())
        sketch.minimum, sketch.maximum = minimum, maximum
        return sketch

    def add(self, value: float, weight: int = 1) -> None:
        """Count ``value`` ``weight`` times. Raises ValueError unless finite and weight > 0."""
        magnitude = abs(value)
        if not magnitude <= LARGEST:
            raise ValueError(f"need a finite value up to {LARGEST:g} in size, got {value!r}")
        if weight < 1:
            raise ValueError(f"need a weight of 1 or more, got {weight}")
        if magnitude < SMALLEST:
            self.zeros += weight
        else:
            store = self._positive if value > 0 else self._negative
            key = math.ceil(math.log(magnitude) / _LOG_GAMMA)
            store[key] = store.get(key, 0) + weight
        self.count += weight
        self.total += value * weight
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def add_many(self, values: ArrayLike) -> None:
        """Count every value once. Raises ValueError if one of them isn't finite."""
        data = np.asarray(values, dtype=np.float64).ravel()
        if data.size <= FEW:
            for value in data.tolist():
                self.add(value)
            return
        magnitude = np.abs(data)
        if not bool(np.all(magnitude <= LARGEST)):
            raise ValueError(f"need finite values up to {LARGEST:g} in size")
        present = magnitude >= SMALLEST
        for store, chosen in (
            (self._positive, present & (data > 0)),
            (self._negative, present & (data < 0)),
        ):
            keys = np.ceil(np.log(magnitude[chosen]) / _LOG_GAMMA).astype(np.int64)
            for key, n in zip(*np.unique(keys, return_counts=True), strict=True):
                store[int(key)] = store.get(int(key), 0) + int(n)
        self.zeros += int(data.size - np.count_nonzero(present))
        self.count += int(data.size)
        self.total += float(data.sum())
        self.minimum = min(self.minimum, float(data.min()))
        self.maximum = max(self.maximum, float(data.max()))

    def merge(self, other: Sketch) -> Sketch:
        """A new sketch of both; equal, bucket for bucket, to one fed with all the values."""
        return merged((self, other))

    def without(self, other: Sketch) -> Sketch:
        """A new sketch of what was counted here and not in ``other``.

        Its extremes are exact while their buckets hold something, else right to a bucket's width.
        Raises ValueError where ``other`` counts something that is not here.
        """
        result = Sketch()
        for left, mine, taken in (
            (result._positive, self._positive, other._positive),
            (result._negative, self._negative, other._negative),
        ):
            rest = {key: mine.get(key, 0) - taken.get(key, 0) for key in mine.keys() | taken.keys()}
            left.update({key: n for key, n in rest.items() if n})
        result.zeros, result.count = self.zeros - other.zeros, self.count - other.count
        counts = [result.zeros, *result._positive.values(), *result._negative.values()]
        if min(counts) < 0:
            raise ValueError("what is taken off was never counted")
        if result.count:
            result.total = self.total - other.total
            edges = [value for value, _ in result._buckets()]
            result.minimum = max(self.minimum, edges[0] - RELATIVE_ERROR * abs(edges[0]))
            result.maximum = min(self.maximum, edges[-1] + RELATIVE_ERROR * abs(edges[-1]))
        return result

    def quantile(self, q: float) -> float:
        """The value below which a share ``q`` (0 to 1) lies, linear between neighbouring ranks.

        That is NumPy's and ``percentile_cont``'s definition. Raises ValueError when empty or
        when ``q`` is outside [0, 1].
        """
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Iterable[float]) -> list[float]:
        """Several quantiles in one pass over the buckets; see ``quantile``."""
        if self.count == 0:
            raise ValueError("an empty sketch has no quantiles")
        values, counts = self._columns()
        last_rank = np.cumsum(counts) - 1
        return [self._at(q, values, last_rank) for q in qs]

    def share_above(self, limit: float) -> float:
        """The share of values above ``limit`` (0 to 1), right to a bucket's width; empty is 0.

        What lies in the limit's own bucket is as large as the limit.
        """
        edge = _as_kept(limit)
        above = sum(n for value, n in self._buckets() if value > edge)
        return above / self.count if self.count else 0.0

    def share_below(self, limit: float) -> float:
        """The share of values below ``limit``, in the same way."""
        edge = _as_kept(limit)
        below = sum(n for value, n in self._buckets() if value < edge)
        return below / self.count if self.count else 0.0

    @property
    def mean(self) -> float:
        """The arithmetic mean. Raises ValueError when empty."""
        if self.count == 0:
            raise ValueError("an empty sketch has no mean")
        return self.total / self.count

    def to_bytes(self) -> bytes:
        """A compact, versioned form for a column: about two bytes a bucket."""
        head = _HEADER.pack(_VERSION, self.total, self.minimum, self.maximum)
        numbers = [self.zeros]
        for store in (self._positive, self._negative):
            keys = sorted(store)
            numbers.append(len(keys))
            if keys:
                numbers.append(_zigzag(keys[0]))
                numbers += [high - low for low, high in pairwise(keys)]
                numbers += [store[key] for key in keys]
        if max(numbers) < 0x80:
            return head + bytes(numbers)
        body = bytearray()
        for number in numbers:
            _write(body, number)
        return head + bytes(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Sketch:
        """Read what ``to_bytes`` wrote. Raises ValueError if it is cut short or of another form."""
        if len(data) < _HEADER.size or data[0] != _VERSION:
            raise ValueError(f"not a sketch of version {_VERSION}: {len(data)} bytes")
        sketch = cls()
        _, sketch.total, sketch.minimum, sketch.maximum = _HEADER.unpack_from(data)
        numbers = _read(data, _HEADER.size)
        try:
            sketch.zeros, at = numbers[0], 1
            for store in (sketch._positive, sketch._negative):
                size = numbers[at]
                end = at + 1 + 2 * size
                if end > len(numbers):
                    raise IndexError
                if size:
                    gaps = [_unzigzag(numbers[at + 1]), *numbers[at + 2 : at + 1 + size]]
                    counts = numbers[at + 1 + size : end]
                    store.update(zip(accumulate(gaps), counts, strict=True))
                at = end
        except IndexError:
            raise ValueError(f"the sketch is cut short after {len(data)} bytes") from None
        if at != len(numbers):
            raise ValueError("bytes are left over behind the sketch")
        stores = (sketch._positive, sketch._negative)
        sketch.count = sketch.zeros + sum(sum(s.values()) for s in stores)
        return sketch

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sketch):
            return NotImplemented
        return list(self._buckets()) == list(other._buckets()) and (
            (self.minimum, self.maximum) == (other.minimum, other.maximum)
            and math.isclose(self.total, other.total, rel_tol=1e-9, abs_tol=1e-12)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Sketch(count={self.count}, minimum={self.minimum}, maximum={self.maximum})"

    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """``_buckets`` as two arrays."""
        below, above = sorted(self._negative, reverse=True), sorted(self._positive)
        zero = [0.0] if self.zeros else []
        values = np.concatenate([
            -_representatives(below), zero, _representatives(above)
        ])  # fmt: skip
        counts = [self._negative[key] for key in below]
        counts += [self.zeros] if self.zeros else []
        counts += [self._positive[key] for key in above]
        return values, np.asarray(counts)

    def _buckets(self) -> Iterator[tuple[float, int]]:
        """(representative value, count) in ascending order of value."""
        for key in sorted(self._negative, reverse=True):
            yield -_representative(key), self._negative[key]
        if self.zeros:
            yield 0.0, self.zeros
        for key in sorted(self._positive):
            yield _representative(key), self._positive[key]

    def _at(self, q: float, values: np.ndarray, last_rank: np.ndarray) -> float:
        if not 0 <= q <= 1:
            raise ValueError(f"need a quantile between 0 and 1, got {q}")
        rank = q * (self.count - 1)
        low, high = np.searchsorted(last_rank, (math.floor(rank), math.ceil(rank)))
        below, above = self._known(values, int(low), rank), self._known(values, int(high), rank)
        return below + (rank - math.floor(rank)) * (above - below)

    def _known(self, values: np.ndarray, index: int, rank: float) -> float:
        """A bucket's value, replaced by the exact extreme where the rank is the first or last."""
        if rank == 0:
            return self.minimum
        if rank == self.count - 1:
            return self.maximum
        return min(max(float(values[index]), self.minimum), self.maximum)


def bucket_keys(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Buckets of the values that are not as good as zero, and which those are (a mask).

    Raises ValueError for a value below zero or not finite.
    """
    if values.size and not (values.min() >= 0 and values.max() <= LARGEST):
        raise ValueError(f"need values from 0 to {LARGEST:g}")
    positive = values >= SMALLEST
    keys = np.ceil(np.log(values[positive]) / _LOG_GAMMA).astype(np.int64)
    return keys, positive


def merged(sketches: Iterable[Sketch]) -> Sketch:
    """A new sketch of all of them; of none, the empty one."""
    result = Sketch()
    for sketch in sketches:
        for mine, theirs in (
            (result._positive, sketch._positive),
            (result._negative, sketch._negative),
        ):
            for key, n in theirs.items():
                mine[key] = mine.get(key, 0) + n
        result.zeros += sketch.zeros
        result.count += sketch.count
        result.total += sketch.total
        result.minimum = min(result.minimum, sketch.minimum)
        result.maximum = max(result.maximum, sketch.maximum)
    return result


def united(packed: Sequence[bytes]) -> Sketch:
    """The sketch of all that ``to_bytes`` wrote, as ``merged`` of each read back, in one pass.

    Raises ValueError as ``Sketch.from_bytes`` does.
    """
    if len(packed) == 1:
        return Sketch.from_bytes(packed[0])
    result = Sketch()
    for data in packed:
        if len(data) <= _HEADER.size or data[0] != _VERSION or data[-1] > 0x7F:
            raise ValueError(f"not a sketch of version {_VERSION}: {len(data)} bytes")
        _, total, minimum, maximum = _HEADER.unpack_from(data)
        result.total += total
        result.minimum = min(result.minimum, minimum)
        result.maximum = max(result.maximum, maximum)
    if not packed:
        return result
    numbers, first, ends = _numbers_of(packed)
    result.zeros = int(numbers[first].sum())
    at = first + 1
    for store in (result._positive, result._negative):
        if bool((at >= ends).any()):
            raise ValueError("a sketch is cut short")
        sizes = numbers[at]
        if bool((at + 2 * sizes >= ends).any()):
            raise ValueError("a sketch is cut short")
        _gather(store, numbers, at + 1, sizes)
        at = at + 1 + 2 * sizes
    if not np.array_equal(at, ends):
        raise ValueError("bytes are left over behind a sketch")
    result.count = result.zeros + sum(result._positive.values()) + sum(result._negative.values())
    return result


def _numbers_of(packed: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All numbers of all bodies, and where each body's first one lies and its last one ends."""
    bodies = [data[_HEADER.size :] for data in packed]
    raw = np.frombuffer(b"".join(bodies), dtype=np.uint8)
    lasts = np.flatnonzero(raw < 0x80)
    numbers = raw[lasts].astype(np.int64)
    if lasts.size < raw.size:  # most are of one byte; the others' are added to their last one
        starts = np.concatenate(([0], lasts[:-1] + 1))
        longer = np.flatnonzero(lasts > starts)
        numbers[longer] = 0
        length = lasts[longer] - starts[longer]
        for place in range(int(length.max()) + 1):
            here = longer[length >= place]
            part = (raw[starts[here] + place] & 0x7F).astype(np.int64)
            numbers[here] += part << (7 * place)
    ends = np.searchsorted(lasts, np.cumsum([len(body) for body in bodies]) - 1) + 1
    return numbers, np.concatenate(([0], ends[:-1])), ends


def _gather(
    store: dict[int, int], numbers: np.ndarray, begin: np.ndarray, sizes: np.ndarray
) -> None:
    """Add up buckets of several sketches: at ``begin`` their keys' gaps, behind them counts."""
    begin, sizes = begin[sizes > 0], sizes[sizes > 0]
    if not begin.size:
        return
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    place = np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], sizes)
    gaps = numbers[place]
    firsts = gaps[bounds[:-1]]
    gaps[bounds[:-1]] = np.where(firsts % 2 == 0, firsts // 2, -(firsts + 1) // 2)
    sums = np.cumsum(gaps)
    keys = sums - np.repeat(sums[bounds[:-1]] - gaps[bounds[:-1]], sizes)
    # Keys lie close enough to one another for counting, which beats sorting them.
    low = int(keys.min())
    if int(keys.max()) - low > _MOST_APART:
        raise ValueError(f"buckets of a sketch lie more than {_MOST_APART} apart")
    counts = np.bincount(keys - low, weights=numbers[place + np.repeat(sizes, sizes)])
    found = np.flatnonzero(counts)
    amounts = counts[found].astype(np.int64)
    store.update(zip((found + low).tolist(), amounts.tolist(), strict=True))


def _as_kept(value: float) -> float:
    """The value that stands for ``value`` in a sketch."""
    magnitude = abs(value)
    if magnitude < SMALLEST:
        return 0.0
    return math.copysign(_representative(math.ceil(math.log(magnitude) / _LOG_GAMMA)), value)


def _representative(key: int) -> float:
    """The point of bucket ``key`` with the least worst relative error."""
    return math.exp(key * _LOG_GAMMA) * 2 / (1 + GAMMA)


def _representatives(keys: list[int]) -> np.ndarray:
    return np.asarray(np.exp(np.asarray(keys, dtype=np.float64) * _LOG_GAMMA) * 2 / (1 + GAMMA))


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _unzigzag(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


def _write(out: bytearray, value: int) -> None:
    """Append an unsigned LEB128 number."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _read(data: bytes, offset: int) -> list[int]:
    """The LEB128 numbers from ``offset`` on; one that is cut short is left out."""
    body = data[offset:]
    if not body or max(body) < 0x80:  # most sketches are of small numbers: a byte each
        return list(body)
    raw = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if not ends.size:
        return []
    raw = raw[: ends[-1] + 1]
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(raw.size) - np.repeat(starts, np.diff(np.append(starts, raw.size)))
    parts = (raw & 0x7F).astype(np.int64) << (7 * places)
    found: list[int] = np.add.reduceat(parts, starts).tolist()
    return found
