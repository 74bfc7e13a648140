"""When another tool is asked in a failed one's place, and when it must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from agents import services
from agents.errors import EffectUnknown, NotReached, RateLimited, ToolFailed
from agents.models import ToolCall
from agents.tools import registry
from agents.tools.registry import tool
from config.access.models import Client
from config.errors import AppError, Unavailable

pytestmark = pytest.mark.django_db(transaction=True)
Pay = Callable[..., Any]


@pytest.fixture
def pay(firm: Client) -> Iterator[Pay]:
    """Call a tool that ends with ``error`` and names another that does the same."""
    happened: list[int] = []

    @tool("core.test_mirror", idempotent=False)
    def mirror(amount: int) -> dict[str, Any]:
        """Pay elsewhere."""
        happened.append(amount)
        return {"paid": amount}

    @tool("core.test_pay", idempotent=False, fallback="core.test_mirror")
    def first(amount: int) -> dict[str, Any]:
        """Pay."""
        raise error

    error: AppError

    def called(wanted: AppError, **changes: Any) -> list[int]:
        nonlocal error
        error = wanted
        for name in ("core.test_pay", "core.test_mirror"):
            if name in changes:
                registry._tools[name] = replace(registry.get(name), **changes[name])
        try:
            services.call_tool("core.test_pay", {"amount": 5}, client_id=firm.pk)
        except AppError:
            return happened
        return happened

    yield called
    for name in ("core.test_pay", "core.test_mirror"):
        registry._tools.pop(name)


@pytest.mark.parametrize("error", [
    Unavailable("bank", "it closed the connection"), ToolFailed("bank", "its answer is cut"),
    NotReached("bank", "it did not begin"), RateLimited("bank", "its own", 5),
])  # fmt: skip
def test_what_may_have_been_done_is_not_done_again_elsewhere(pay: Pay, error: AppError) -> None:
    assert pay(error) == []


def test_a_tool_that_only_reads_leaves_nothing_to_one_that_has_got_effects(pay: Pay) -> None:
    reading = {"core.test_pay": {"idempotent": True}}
    assert pay(Unavailable("bank", "it is away"), **reading) == []
    both = {"core.test_mirror": {"idempotent": True}}
    assert pay(Unavailable("bank", "it is away"), **both) == [5]


def test_both_tools_are_on_record_where_both_have_failed_and_the_first_ones_error_is_told(
    pay: Pay, firm: Client
) -> None:
    def away(amount: int) -> dict[str, Any]:
        raise ToolFailed("mirror", "it is away, too")

    changes = {"core.test_pay": {"idempotent": True},
               "core.test_mirror": {"idempotent": True, "function": away}}  # fmt: skip
    assert pay(RateLimited("bank", "its own", 5), **changes) == []
    rows = ToolCall.objects.order_by("number").values_list("name", "fallback_of", "state")
    assert list(rows) == [("core.test_pay", "", "failed"),
                          ("core.test_mirror", "core.test_pay", "failed")]  # fmt: skip
    with pytest.raises(RateLimited):
        services.call_tool("core.test_pay", {"amount": 5}, client_id=firm.pk)


def test_an_effect_that_was_never_begun_is_begun_by_the_next_try(pay: Pay, firm: Client) -> None:
    effect = {"client_id": firm.pk, "effect_id": "pay-5"}
    pay(NotReached("bank", "it did not begin"))
    with pytest.raises(NotReached):
        services.call_tool("core.test_pay", {"amount": 5}, **effect)
    with pytest.raises(NotReached):  # and not "outcome unknown"
        services.call_tool("core.test_pay", {"amount": 5}, **effect, attempt=2)
    pay(Unavailable("bank", "it closed the connection"))
    with pytest.raises(Unavailable):
        services.call_tool("core.test_pay", {"amount": 5}, **effect, attempt=3)
    with pytest.raises(EffectUnknown):
        services.call_tool("core.test_pay", {"amount": 5}, **effect, attempt=4)
