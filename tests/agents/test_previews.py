"""Budgets tell where they are going; prompts and splits can be looked at before they count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser

from agents import cache, outlook
from agents.domain.caching import Memory
from agents.invoke import invoke
from agents.models import Agent, Budget, Invocation, ModelCall, TrafficSplit
from agents.resolving import canary_of
from monitoring import rollups
from monitoring.services import Measurement, record

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]


def test_a_monthly_budget_tells_its_end_from_measured_days(agent: Agent, api: Api) -> None:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    budget = Budget.objects.create(
        scope="agent", key=agent.slug, window="month", cap_usd=Decimal(100),
        spent_usd=Decimal(7), window_started_at=midnight.replace(day=1),
    )  # fmt: skip
    assert outlook.of_budget(budget, now=now) is None  # nothing was measured yet
    for days in range(1, 4):
        at = midnight - timedelta(days=days) + timedelta(hours=10)
        record([Measurement({"cost_usd": 2.0}, {"agent": agent.slug}, at=at)])
    rollups.roll_up()
    shown = next(
        row
        for row in api("get", "/api/v1/budgets?page_size=100").json()["results"]
        if row["id"] == str(budget.pk)
    )
    found = outlook.of_budget(budget, now=now)
    assert found is not None
    assert found.days_seen == 3
    assert shown["used_ratio"] == 0.07
    assert shown["forecast"]["days_seen"] == 3
    assert float(shown["forecast"]["month_end_usd"]) >= 7


def test_a_prompt_is_shown_as_the_model_would_get_it_and_no_model_is_asked(
    agent: Agent, api: Api
) -> None:
    path = f"/api/v1/agents/{agent.slug}/versions/production/preview"
    shown = api("post", path, {"inputs": {"note": "Ask jane.roe@example.org"}}).json()
    assert [message["role"] for message in shown["messages"]][-1] == "user"
    assert "jane.roe@example.org" not in str(shown)  # screened as a call's input is
    assert canary_of(agent.versions.get().pk) not in str(shown)
    assert shown["estimated_tokens"] > 0
    assert Decimal(shown["most_usd"]) > 0
    assert shown["routes"][0]["endpoint"] == "offline-model"
    tried = {"prompt": "Be short, {{ name }}.", "variables": ["name"], "inputs": {"name": "Ada"}}
    assert api("post", path, tried).json()["messages"][0]["content"] == "Be short, Ada."
    assert api("post", path, {"prompt": "{{ unknown }}"}).status_code == 422
    assert not ModelCall.objects.exists()
    assert not Invocation.objects.exists()


def test_a_split_can_be_tried_on_units_before_it_is_open(agent: Agent, api: Api) -> None:
    version = str(agent.versions.get().pk)
    path = f"/api/v1/agents/{agent.slug}/traffic"
    units = [f"unit-{number}" for number in range(200)]
    asked = {"arms": {version: [[0, 2500]]}, "units": units, "seed": "fixed"}
    shown = api("post", f"{path}/preview", asked).json()
    assert shown["shares"] == {version: 0.25}
    assert 20 < sum(found == version for found in shown["units"].values()) < 80
    assert not TrafficSplit.objects.exists()
    api("post", path, {"arms": {version: [[0, 2500]]}})
    split = TrafficSplit.objects.get()
    wider = {"arms": {version: [[0, 5000]]}, "units": units}
    told = api("post", f"{path}/preview", wider).json()
    assert (told["seed"], told["reassigned_buckets"]) == (split.seed, 0)  # ranges only widen
    overlapping = {"arms": {version: [[0, 10], [5, 20]]}, "units": []}
    assert api("post", f"{path}/preview", overlapping).status_code == 422
    # What could not be opened is not shown as if it could.
    for stranger in ("nonsense", str(uuid4()), str(agent.pk)):
        refused = api("post", f"{path}/preview", {"arms": {stranger: [[0, 10]]}, "units": ["a"]})
        assert (refused.status_code, refused.json()["field"]) == (422, "arms")
        assert api("post", path, {"arms": {stranger: [[0, 10]]}}).status_code == 422


def test_the_memory_tier_gives_up_what_its_policy_says(
    call_of: Any, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for policy in ("lru", "lfu"):
        monkeypatch.setattr(cache, "_memory", Memory(2, policy))
        first, second, third = (call_of(inputs=case["input"]) for case in agent.cases[:3])
        for call in (first, first, first, second, third):
            invoke(call)
        found[policy] = len(cache._memory)
        tier = Invocation.objects.get(pk=invoke(first).invocation_id).cached
        assert tier == ("memory" if policy == "lfu" else "redis")
    assert found == {"lru": 2, "lfu": 2}


@pytest.mark.parametrize("number", ["¹", "9" * 30, "latest"])
def test_a_version_that_is_no_number_is_not_found(api, agent, number):
    answer = api("post", f"/api/v1/agents/{agent.slug}/versions/{number}/preview", {"inputs": {}})
    assert answer.status_code == 404, answer.content


def test_a_form_of_too_many_fields_is_refused(api, agent, key):
    fields = "&".join(f"f{n}=1" for n in range(1001))
    boundary = "x"
    body = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n1\r\n'
        for name in fields.split("&")
    )
    answer = Browser(headers={"Authorization": f"Bearer {key}"}).generic(
        "POST",
        f"/api/v1/agents/{agent.slug}/traffic/preview",
        f"{body}--{boundary}--\r\n",
        content_type=f"multipart/form-data; boundary={boundary}",
    )
    assert answer.status_code == 400, answer.content
