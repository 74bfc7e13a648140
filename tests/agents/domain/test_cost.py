from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain import cost
from agents.domain.cost import Usage

PRICES = {
    "m": {"input": "2.00", "cached": "0.50", "output": "8.00"},
    "*": {"input": "5", "output": "25"},
}
counts = st.integers(0, 10**7)


def test_kinds_of_tokens_are_disjoint_although_the_protocol_nests_them():
    raw = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    assert cost.usage_from(raw) == Usage(input=60, cached=40, output=30, reasoning=20)


def test_three_decimal_prices_a_million_are_exact_for_one_token():
    price = cost.price_from({"m": {"input": "0.075", "output": "0.3"}}, "m", "v")
    assert cost.cost_usd(Usage(input=1), price) == Decimal("0.000000075")


def test_a_model_that_the_list_does_not_name_costs_what_the_star_says():
    price = cost.price_from(PRICES, "unheard-of", "v")
    assert (price.input, price.cached, price.output) == (5, 5, 25)
    with pytest.raises(KeyError):
        cost.price_from({"m": PRICES["m"]}, "unheard-of", "v")


@given(counts, counts, counts, counts)
def test_nothing_costs_more_than_what_is_reserved_for_it(fresh, cached, output, reasoning):
    price = cost.price_from(PRICES, "m", "v")
    usage = Usage(fresh, cached, output, reasoning)
    most = cost.most_usd(price, input_tokens=fresh + cached, output_tokens=output + reasoning)
    assert cost.cost_usd(usage, price) <= most


@given(counts, counts, counts, counts)
def test_the_sum_of_two_calls_costs_the_sum_of_both(a, b, c, d):
    price = cost.price_from(PRICES, "m", "v")
    first, second = Usage(a, b, c, d), Usage(d, c, b, a)
    apart = cost.cost_usd(first, price) + cost.cost_usd(second, price)
    assert cost.cost_usd(first + second, price) == apart


def test_negative_tokens_are_refused():
    with pytest.raises(ValueError, match="negative"):
        Usage(input=-1)
