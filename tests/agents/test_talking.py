"""Talking turn by turn over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from agents.models import Agent, Conversation, Invocation
from config.access.models import User
from tests.agents.conftest import make_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def talk(agent: Agent, firm: Any, key: str) -> Conversation:
    owner = User.objects.get(username="administrator-firm")
    return Conversation.objects.create(
        client_id=firm.pk, agent_id=agent.pk, agent_slug=agent.slug, user_id=owner.pk
    )


def test_the_agent_remembers_what_was_said_before(
    api: Callable[..., Any], agent: Agent, talk: Conversation
) -> None:
    given = agent.cases[0]["input"]
    names = list(given)
    first = {name: given[name] for name in names[:-1]}
    path = f"/api/v1/conversations/{talk.pk}/turns"
    asked = api("post", path, {"text": json.dumps(first)})
    assert asked.status_code == 200
    whole = api("post", path, {"text": json.dumps({names[-1]: given[names[-1]]})})
    told = api("get", f"/api/v1/conversations/{talk.pk}").json()
    assert [turn["role"] for turn in told["turns"]] == ["user", "assistant"] * 2
    assert told["quality_ratio"] is not None
    assert whole.json()["answer"]["output"]["tools"]  # only the whole input lets a tool run
    assert Invocation.objects.filter(conversation_id=talk.pk).count() == 2


def test_after_a_hand_over_people_talk_and_the_agent_does_not(
    api: Callable[..., Any], talk: Conversation, firm: Any
) -> None:
    path = f"/api/v1/conversations/{talk.pk}"
    over = api("post", f"{path}/hand-over", {"reason": "wants a person"})
    assert over.json()["state"] == "handed_over"
    assert api("post", f"{path}/turns", {"text": "Is somebody there?"}).status_code == 201
    colleague = make_key(firm, "manager")
    from django.test import Client as Browser

    browser = Browser(headers={"Authorization": f"Bearer {colleague}"})
    said = browser.post(f"{path}/turns", json.dumps({"text": "Yes, Ann here, ann@firm.example"}),
                        content_type="application/json")  # fmt: skip
    assert said.status_code == 201
    turns = api("get", path).json()["turns"]
    assert [(t["role"], t["text"]) for t in turns] == [
        ("user", "Is somebody there?"), ("person", "Yes, Ann here, ⟦EMAIL⟧"),
    ]  # fmt: skip
    assert Invocation.objects.count() == 0
    back = api("put", f"{path}/state", {"state": "open"})
    assert back.json()["state"] == "open"
    assert api("post", f"{path}/turns", {"text": "Hello again"}).status_code == 200


def test_a_closed_conversation_takes_no_more_turns(
    api: Callable[..., Any], talk: Conversation
) -> None:
    path = f"/api/v1/conversations/{talk.pk}"
    assert api("put", f"{path}/state", {"state": "closed"}).json()["state"] == "closed"
    refused = api("post", f"{path}/turns", {"text": "Hello?"})
    assert refused.status_code == 409
    assert api("put", f"{path}/state", {"state": "handed_over"}).status_code == 422


def test_somebody_from_outside_sees_only_their_own_conversations(
    talk: Conversation, firm: Any
) -> None:
    from django.test import Client as Browser

    browser = Browser(headers={"Authorization": f"Bearer {make_key(firm, 'external')}"})
    hidden = browser.post(f"/api/v1/conversations/{talk.pk}/turns", json.dumps({"text": "Hi"}),
                          content_type="application/json")  # fmt: skip
    assert hidden.status_code == 404
