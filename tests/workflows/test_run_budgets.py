"""The budget of a definition caps what all agents of a run spend, also in runs inside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum
from django.test import Client as Browser

from agents import versions
from agents.models import Agent, Budget, Invocation, ModelCall
from tests.agents.conftest import ground, model, offline  # noqa: F401  the real offline model
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start
from workflows import money, publishing

pytestmark = pytest.mark.django_db(transaction=True)
CALLS = """
name: calls
{budget}inputs: {{type: object, properties: {{n: {{type: integer}}}}}}
steps:
  each:
    for_each: "${{ [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter(x, x <= inputs.n) }}"
    agent: counting
    with: {{text: "${{ 'Invoice ' + string(item) + ' is due on Monday.' }}"}}
    on_error: continue
"""


@pytest.fixture(autouse=True)
def counting(ground: None) -> Agent:  # noqa: F811
    agent = Agent.objects.create(slug="counting", name="A", domain="operations", purpose="x")
    versions.publish(agent=agent, content=versions.Content(prompt="Answer."), label="production")
    money._kept.clear()
    return agent


def ended(web: Browser, who: Any, broker: Broker, source: str, n: int) -> dict[str, Any]:
    run = start(web, who, source, inputs={"n": n})["id"]
    broker.drain()
    found: dict[str, Any] = get(web, f"runs/{run}?items=all", who).json()
    assert found["state"] == "succeeded", found["error"]
    return found


def test_a_run_spends_its_budget_and_not_a_cent_more(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    free = ended(web, who, broker, CALLS.format(budget=""), 1)
    price = Decimal(free["cost_usd"])
    assert price > 0
    held = ModelCall.objects.get()
    assert not Budget.objects.filter(scope="run", key=free["id"]).exclude(cap_usd__gt=1).exists()
    # More than one call reserves, less than ten cost.
    cap = 5 * price
    run = ended(web, who, broker, CALLS.format(budget=f'budget_usd: "{cap:f}"\n'), 10)
    items = [step for step in run["steps"] if step["index"] is not None]
    refused = [step["error"] for step in items if step["state"] == "failed"]
    assert 0 < len(refused) < 10, (price, held.cost_usd, refused[:1])
    assert {error["code"] for error in refused} == {"budget_exceeded"}
    spent = Invocation.objects.filter(run_id=run["id"]).aggregate(all=Sum("cost_usd"))["all"]
    budget = Budget.objects.get(scope="run", key=run["id"])
    assert (budget.cap_usd, budget.spent_usd, budget.held_usd) == (cap, spent, 0)
    assert spent <= cap


def test_what_runs_inside_spend_counts_against_the_budget_around_them(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(CALLS.format(budget=""))
    source = (
        'name: around\nbudget_usd: "0.000000001"\nsteps:\n'
        "  inside: {workflow: calls, with: {n: 2}}\n"
    )
    run = start(web, who, source)["id"]
    broker.drain()
    (inner,) = get(web, "runs?workflow=calls", who).json()["results"]
    steps = get(web, f"runs/{inner['id']}?items=all", who).json()["steps"]
    errors = [step["error"] for step in steps if step["index"] is not None]
    assert [error["code"] for error in errors] == ["budget_exceeded"] * 2
    assert f"run:{run}" in errors[0]["message"]
    assert not ModelCall.objects.exists()


def test_a_budget_of_a_hidden_run_is_in_no_list_of_others(
    web: Browser, key: Key, broker: Broker
) -> None:
    closed = 'access: {see: [partner]}\nbudget_usd: "1.00"\n'
    run = ended(web, key("partner"), broker, CALLS.format(budget=closed), 1)["id"]
    for role, shown in (("manager", False), ("partner", True)):
        rows = get(web, "budgets?page_size=100", key(role)).json()["results"]
        assert (run in {row["key"] for row in rows}) is shown
