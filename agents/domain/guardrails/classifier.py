"""A linear model over hashed character and word pieces of the plain reading.

Weights come from ``training.build`` (logistic regression on our own generated corpus) and ship as
``classifier.npz``: 2**16 eight-bit weights, a scale and a bias. Scoring is one gather and a mean.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BUCKETS = 1 << 16
# The model reads the head and the tail of long texts, where orders stand.
MAX_CHARACTERS = 3000
_WEIGHTS = Path(__file__).with_name("classifier.npz")
_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def buckets(plain: str) -> NDArray[np.int64]:
    """Distinct bucket numbers of the character 3- to 5-grams and words of ``plain``."""
    if len(plain) > MAX_CHARACTERS:
        plain = plain[: MAX_CHARACTERS // 2] + " " + plain[-MAX_CHARACTERS // 2 :]
    codes = np.frombuffer(f" {plain} ".encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    parts = [_char_grams(codes.astype(np.uint64), n) for n in (3, 4, 5) if len(codes) >= n]
    parts.append(_word_grams(plain))
    seen = np.zeros(BUCKETS, dtype=bool)  # in order and once each, without sorting
    for part in parts:
        seen[part] = True
    return np.flatnonzero(seen)


def _char_grams(codes: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    mixed = np.full(len(codes) - n + 1, n, dtype=np.uint64)
    for i in range(n):
        mixed = (mixed ^ codes[i : len(codes) - n + 1 + i]) * _MULTIPLIER
        mixed ^= mixed >> np.uint64(29)
    return ((mixed >> np.uint64(20)) & np.uint64(BUCKETS // 2 - 1)).astype(np.int64)


def _word_grams(plain: str) -> NDArray[np.int64]:
    """Words, pairs and triples, and pairs a few words apart: "ignore … instructions".

    Word pieces live in the upper half of the buckets.
    """
    words = np.array(
        [zlib.crc32(w.encode("utf-8", "surrogatepass")) for w in _WORD.findall(plain)],
        dtype=np.uint64,
    )
    grams = [words]
    if len(words) >= 2:
        pairs = _joined(words[:-1], words[1:], 1)
        grams += [pairs, _joined(pairs[:-1], words[2:], 1)]
        grams += [_joined(words[:-gap], words[gap:], gap) for gap in (2, 3, 4) if len(words) > gap]
    hashes = np.concatenate(grams) * _MULTIPLIER
    picked = (hashes >> np.uint64(24)) & np.uint64(BUCKETS // 2 - 1)
    return BUCKETS // 2 + picked.astype(np.int64)


def _joined(left: NDArray[np.uint64], right: NDArray[np.uint64], gap: int) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (left * _MULTIPLIER) ^ (right + np.uint64(gap))
    return mixed ^ (mixed >> np.uint64(31))


def attack_logit(plain: str) -> float:
    """What the linear model makes of the wording alone: above 0 is more likely an attack."""
    if not plain.strip():
        return -10.0
    weights, bias = _model()
    found = buckets(plain)
    return float(weights[found].sum()) / float(np.sqrt(len(found))) + bias


@cache
def _model() -> tuple[NDArray[np.float32], float]:
    with np.load(_WEIGHTS) as stored:
        weights = stored["weights"].astype(np.float32) * float(stored["scale"])
        return weights, float(stored["bias"])
