"""Tokens, vectors, draws and distortions: small parts with their own promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.offline_model.embeddings import embed
from agents.offline_model.quality import distort, draw
from agents.offline_model.tokens import PrefixCache, count, split


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=300))
def test_tokens_joined_are_the_text_again(text):
    assert "".join(split(text)) == text


def test_english_prose_has_four_to_five_characters_a_token():
    text = "The auditor obtains sufficient appropriate evidence about the going concern basis. " * 9
    assert 4 < len(text) / count(text) < 6.5


def test_a_long_prefix_is_cached_in_steps_from_1024_tokens_on():
    cache, system = PrefixCache(), "word " * 1300
    assert cache.cached_tokens("m", [system, "first"], 1310) == 0
    assert cache.cached_tokens("m", [system, "second"], 1310) == 1280
    assert cache.cached_tokens("other model", [system, "second"], 1310) == 0
    assert cache.cached_tokens("m", ["short"], 4) == 0


def cosine(one: str, other: str) -> float:
    return math.sumprod(embed(one), embed(other)) if hasattr(math, "sumprod") else _dot(one, other)


def _dot(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(embed(one), embed(other), strict=True))


def test_likeness_of_vectors_follows_shared_words():
    asked = "recognition of revenue from contracts"
    near = cosine(asked, "when revenue from a contract is recognised")
    far = cosine(asked, "measurement of lease liabilities")
    assert cosine(asked, asked) == pytest.approx(1, abs=1e-5)
    assert near > 0.4 > 0.15 > far


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=80), st.sampled_from([1, 8, 256]))
def test_every_vector_has_length_one(text, dimensions):
    vector = embed(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(sum(v * v for v in vector), 1, abs_tol=1e-4)


def test_draws_are_even_and_depend_on_all_parts():
    values = [draw("x", n) for n in range(2000)]
    assert 0.48 < sum(values) / 2000 < 0.52
    assert draw("a", "b") != draw("ab")


NUMBERS = st.one_of(st.integers(-10_000, 10_000), st.floats(-1e6, 1e6).map(lambda x: round(x, 2)))


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.sampled_from("abcdef"), NUMBERS, min_size=1), st.text(max_size=5))
def test_a_distorted_figure_is_never_the_right_one(figures, key):
    wrong = distort(figures, key)
    for name, value in figures.items():
        assert abs(wrong[name] - value) > 0.005


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("low risk; rely on controls", "low risk"),
        ("due on 2025-03-31", "2025-03-31"),
        ("exceeds by 12.5 points", "12.5"),
        ("1234.50", "1234.50"),
        ("nothing to turn here", "nothing"),
    ],
)
def test_a_distorted_text_no_longer_says_it(said, gone):
    assert gone not in distort({"told": said}, "key").get("told", "")
