"""What tokens cost. Kinds of tokens are disjoint, so nothing is counted twice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

NINE_PLACES = Decimal("0.000000001")
MILLION = Decimal(1_000_000)
# UTF-8 bytes of a token at the least: common tokenisers average 4 on prose and about 2.5 on
# JSON full of numbers, so half the bytes bounds the count from above with room.
BYTES_PER_TOKEN_AT_LEAST = 2
# Tokens that the chat format adds to each message.
TOKENS_PER_MESSAGE = 16
# More than any model reads or writes in one call.
MOST_TOKENS = 10**9 - 1
# The price list's entry for models that it does not name.
ANY_MODEL = "*"
# How providers' names of tuned models begin.
TUNED = "ft:"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model calls. ``input`` is without ``cached``, ``output`` without
    ``reasoning``."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def __post_init__(self) -> None:
        if min(self.input, self.cached, self.output, self.reasoning) < 0:
            raise ValueError(f"tokens can't be negative, got {self}")

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens of each kind, from the list ``version``.

    ``batch_ratio``: what a batch pays of it. ``training``: a token that a model is tuned on.
    """

    input: Decimal
    cached: Decimal
    output: Decimal
    reasoning: Decimal
    version: str
    simulated: bool = False
    batch_ratio: Decimal = Decimal(1)
    training: Decimal = Decimal(0)


def price_from(prices: Mapping[str, Any], model: str, version: str) -> Price:
    """The price of ``model``; one that the list does not name costs what its ``*`` says.

    A tuned model (``ft:base:…``) costs what ``ft:base`` does, where the list has that.

    Raises KeyError if the list has neither.
    """
    tuned = prices.get(":".join(model.split(":")[:2])) if model.startswith(TUNED) else None
    row = prices.get(model) or tuned or prices[ANY_MODEL]
    base, out = Decimal(str(row["input"])), Decimal(str(row["output"]))
    return Price(
        input=base,
        cached=Decimal(str(row.get("cached", base))),
        output=out,
        reasoning=Decimal(str(row.get("reasoning", out))),
        version=version,
        simulated=bool(row.get("simulated", False)),
        batch_ratio=Decimal(str(row.get("batch_ratio", 1))),
        training=Decimal(str(row.get("training", out))),
    )


def cost_usd(usage: Usage, price: Price, *, batch: bool = False) -> Decimal:
    """What ``usage`` costs, exact to nine places (rounded up beyond them)."""
    total = (
        usage.input * price.input
        + usage.cached * price.cached
        + usage.output * price.output
        + usage.reasoning * price.reasoning
    ) / MILLION
    if batch:
        total *= price.batch_ratio
    return total.quantize(NINE_PLACES, rounding=ROUND_CEILING)


def most_tokens(text_bytes: int, messages: int) -> int:
    """An upper bound on the input tokens of ``messages`` messages of ``text_bytes`` in all."""
    return math.ceil(text_bytes / BYTES_PER_TOKEN_AT_LEAST) + messages * TOKENS_PER_MESSAGE


def most_usd(price: Price, *, input_tokens: int, output_tokens: int) -> Decimal:
    """The most that one model call can cost: nothing cached, all output of the dearer kind."""
    dearer = max(price.output, price.reasoning)
    total = (input_tokens * max(price.input, price.cached) + output_tokens * dearer) / MILLION
    return total.quantize(NINE_PLACES, rounding=ROUND_CEILING)


def usage_from(raw: Mapping[str, Any] | None) -> Usage:
    """Disjoint kinds from the protocol's ``usage``, where totals include their parts.

    Raises ValueError for a count that is none: it would be money of the wrong sign, or no number.
    """
    if not raw:
        return Usage()
    prompt = _count(raw, "prompt_tokens")
    completion = _count(raw, "completion_tokens")
    cached = _count(raw.get("prompt_tokens_details"), "cached_tokens")
    thought = _count(raw.get("completion_tokens_details"), "reasoning_tokens")
    cached, thought = min(cached, prompt), min(thought, completion)
    return Usage(prompt - cached, cached, completion - thought, thought)


def _count(raw: Any, name: str) -> int:
    found = (raw.get(name) if isinstance(raw, Mapping) else None) or 0
    if not isinstance(found, int | float) or not 0 <= found <= MOST_TOKENS:
        raise ValueError(f"usage.{name}: got {found!r}; a count from 0 to {MOST_TOKENS}")
    return int(found)
