"""Fewer tokens cost less, or are left alone: endpoints give a discount on what they remember."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import evidence, resolving
from agents.models import Invocation
from tests.agents.conftest import publish

pytestmark = pytest.mark.django_db
# Its prompt is remembered with its tools described in full, and too short for that without.
JUST_ABOVE = "aud-independence-002"
LONG = "acct-cashflow-012"


@pytest.fixture
def spent(ground: None, api: Any, settings: Any) -> Any:
    """What a question cost (USD) and its tokens, once another one has been asked before it."""
    settings.ANSWER_CACHE = False

    def ask(slug: str, *, optimised: bool) -> tuple[Decimal, int]:
        settings.TOKEN_OPTIMISATION = optimised
        resolving._versions.clear()
        agent = publish(slug)
        for case in agent.cases[:2]:
            told = api("post", f"/api/v1/agents/{slug}/invocations", {"inputs": case["input"]})
            assert told.status_code == 200, told.content
        row = Invocation.objects.latest("id")
        return row.cost_usd, row.input_tokens + row.cached_tokens

    yield ask
    resolving._versions.clear()


def test_tools_are_described_in_full_where_that_costs_less(spent: Any) -> None:
    _, tokens = spent(JUST_ABOVE, optimised=False)
    _, chosen = spent(JUST_ABOVE, optimised=True)
    assert chosen == tokens  # in short it would be some 400 fewer, and dearer


def test_tools_are_described_in_short_where_the_prompt_is_remembered_anyway(spent: Any) -> None:
    cost, tokens = spent(LONG, optimised=False)
    lean_cost, lean_tokens = spent(LONG, optimised=True)
    assert (lean_cost < cost, lean_tokens < tokens) == (True, True)


def test_versions_are_compared_without_the_discount_and_prices_are_read_once(spent: Any) -> None:
    spent(LONG, optimised=True)
    calls = list(Invocation.objects.filter(cached_tokens__gt=0))
    assert calls
    with CaptureQueriesContext(connection) as asked:
        for _ in range(3):
            assert all(evidence.undiscounted_usd(one.pk) > one.cost_usd for one in calls)
    assert sum("agents_pricelist" in one["sql"] for one in asked) <= 1
