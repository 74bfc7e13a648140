"""Pages of agents over real calls of the offline model."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import versions
from agents.invoke import invoke
from agents.models import Agent, Conversation, Invocation, Turn
from config.access.ids import uuid7
from config.access.models import Client, Membership, User
from monitoring import rollups

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(client: Client, role: str = "manager", name: str = "mia") -> Browser:
    user = User.objects.create_user(name, password="x")
    Membership.objects.create(user=user, client=client, role=role)
    browser = Browser()
    browser.force_login(user)
    return browser


@pytest.fixture
def browser(firm: Client) -> Browser:
    return signed_in(firm)


def page(browser: Browser, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.content[:2000]
    return answer.content.decode()


def test_the_fleet_stands_without_any_agent(browser):
    assert "No agents yet." in page(browser, "/dashboard/_fleet")
    assert 'class="empty"' in page(browser, "/dashboard/agents")
    assert 'class="empty"' in page(browser, "/dashboard/invocations")
    assert "row here" in page(browser, "/dashboard/_talks")


def test_the_list_of_talks_counts_questions_of_the_talks_on_it_only(
    browser, agent: Agent, firm: Client
):
    """A count beside the list was made of all talks there ever were."""
    for number in range(3):
        talk = Conversation.objects.create(
            client_id=firm.pk, agent_id=agent.pk, agent_slug=agent.slug, title=f"talk {number}"
        )
        for place in range(2 * number):
            role = ("user", "assistant")[place % 2]
            Turn.objects.create(
                client_id=firm.pk, conversation=talk, number=place + 1, role=role, text="t"
            )
    with CaptureQueriesContext(connection) as seen:
        html = page(browser, "/dashboard/_talks")
    assert re.findall(r'data-label="Turns">(\d+)<', html) == ["2", "1", "0"]
    lists = [one["sql"] for one in seen if '"agents_conversation"."title"' in one["sql"]]
    assert lists
    assert not any("agents_turn" in one for one in lists)


def test_the_first_line_says_how_the_fleet_is(browser, agent: Agent, call_of: Any):
    invoke(call_of())
    rollups.roll_up()
    assert "1 of 1 agent is healthy." in page(browser, "/dashboard/_fleet")
    html = page(browser, "/dashboard/agents")
    assert "1 of 1 agent is healthy; 1 answered in the last 24 hours." in html
    assert f"/dashboard/invocations?agent={agent.slug}&amp;range=24h" in html


def test_a_paused_agent_is_named(browser, agent: Agent):
    versions.set_state(agent=agent, state="paused", reason="it drifts", by="ops")
    html = page(browser, "/dashboard/_fleet")
    assert "0 of 1 agent is healthy;" in html
    assert f"1 paused: {agent.slug}." in html
    assert "it drifts" in page(browser, f"/dashboard/agents/{agent.slug}")


def test_the_rows_behind_a_number_are_listed_by_what_it_counts(
    browser, agent: Agent, call_of: Any, firm: Client
):
    invoke(call_of())
    one = Invocation.objects.get()
    Invocation.objects.create(**{**values_of(one), "state": "failed", "error_code": "timeout"})
    every = f"?agent={agent.slug}&range=24h&domain={agent.domain}&client={firm.pk}&version=1"
    assert "2 calls match." in page(browser, f"/dashboard/invocations{every}")
    assert "1 call matches." in page(browser, "/dashboard/invocations?state=failed&code=timeout")
    assert "2 calls match." in page(browser, "/dashboard/invocations?state=failed,succeeded")
    assert "The slowest 2" in page(browser, "/dashboard/invocations?sort=slowest")
    assert "No call matches." in page(browser, "/dashboard/invocations?endpoint=nowhere")
    page(browser, "/dashboard/invocations?since=yesterday", 422)
    page(browser, "/dashboard/invocations?client=7", 422)


def test_an_agent_shows_prompt_tools_figures_and_calls(browser, agent: Agent, call_of: Any):
    invoke(call_of())
    html = page(browser, f"/dashboard/agents/{agent.slug}")
    version = agent.versions.get()
    assert version.prompt.splitlines()[-1][:30] in html
    assert version.tools[0] in html
    assert f"/dashboard/invocations/{Invocation.objects.get().pk}" in html


def test_an_invocation_is_a_tree_of_its_model_and_tool_calls(browser, agent: Agent, call_of: Any):
    invoke(call_of())
    one = Invocation.objects.get()
    html = page(browser, f"/dashboard/invocations/{one.pk}")
    assert "Answered in" in html
    assert html.count('class="tree-name"') == one.model_calls + one.tool_calls


def test_calls_of_a_step_are_a_piece_for_its_panel(browser, agent: Agent, call_of: Any):
    run, step = uuid7(), uuid7()
    invoke(call_of(run_id=run, step_id=step))
    assert "Open this invocation" in page(browser, f"/dashboard/_calls?run={run}&step={step}")
    page(browser, "/dashboard/_calls?run=x&step=y", 422)


def test_two_versions_are_compared(browser, agent: Agent):
    old = agent.versions.get()
    newer = replace(versions.content_of(old), prompt=old.prompt + "\nBe brief.")
    versions.publish(agent=agent, content=newer)
    html = page(browser, f"/dashboard/agents/{agent.slug}?diff=1..2")
    assert '<span class="add">+Be brief.</span>' in html


def test_calls_of_another_client_are_not_there(agent: Agent, call_of: Any):
    invoke(call_of())
    other = Client.objects.create(slug="other", name="Other")
    stranger = signed_in(other, "partner", "eve")
    one = Invocation.objects.get()
    page(stranger, f"/dashboard/invocations/{one.pk}", 404)
    assert str(one.pk) not in page(stranger, f"/dashboard/agents/{agent.slug}")
    assert "No call matches." in page(stranger, "/dashboard/invocations")


def test_an_agent_that_is_not_there_is_said_so(browser):
    assert "There is nothing here" in page(browser, "/dashboard/agents/nobody", 404)


def values_of(one: Invocation) -> dict[str, Any]:
    kept = {f.attname: getattr(one, f.attname) for f in Invocation._meta.concrete_fields}
    return {**kept, "id": uuid7()}


def test_money_is_not_rounded_where_it_is_looked_at_closely(browser, agent: Agent, call_of: Any):
    invoke(call_of())
    one = Invocation.objects.get()
    exact = Decimal(one.cost_usd)
    assert f"{exact} USD" in page(browser, f"/dashboard/invocations/{one.pk}")
    assert one.started_at > timezone.now() - timedelta(minutes=5)
