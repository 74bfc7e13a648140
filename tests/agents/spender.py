"""A program whose threads spend from the budgets of a test; it prints what they spent in all."""

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import django


def spend(number: int) -> Decimal:
    """One call's money, held and settled; nothing if a budget refuses it."""
    from django.db import connection

    from agents import budgets
    from agents.errors import BudgetExceeded
    from config.access.ids import uuid7

    try:
        held = budgets.hold(
            keys=[("agent", "a"), ("all", "all")], amount_usd=Decimal("0.03"),
            client_id=UUID(int=1), invocation_id=uuid7(),
        )  # fmt: skip
        cost = Decimal("0.03") if number % 2 else Decimal("0.01")
        budgets.settle(held, cost_usd=cost)
        return cost
    except BudgetExceeded:
        return Decimal(0)
    finally:
        connection.close()


if __name__ == "__main__":
    django.setup()
    threads, calls = map(int, sys.argv[1:])
    with ThreadPoolExecutor(threads) as pool:
        print(sum(pool.map(spend, range(calls))))
