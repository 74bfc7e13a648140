from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from agents.models import Conversation, Invocation
from config.access.models import Client
from tests.agents.conftest import make_key

pytestmark = pytest.mark.django_db


def say(api, agent, text, name="case-7", **more):
    body = {
        "model": f"agent:{agent.slug}",
        "messages": [{"role": "user", "content": text}],
        "metadata": {"conversation": name},
        **more,
    }
    return api("post", "/v1/chat/completions", body)


def test_turns_are_kept_in_order_without_personal_data(agent, api):
    assert say(api, agent, "Is jane.roe@example.org in the list?").status_code == 200
    say(api, agent, json.dumps(agent.cases[0]["input"]))
    (talk,) = api("get", "/api/v1/conversations").json()["results"]
    turns = api("get", f"/api/v1/conversations/{talk['id']}").json()["turns"]
    assert [(t["number"], t["role"]) for t in turns] == [
        (1, "user"), (2, "assistant"), (3, "user"), (4, "assistant"),
    ]  # fmt: skip
    assert "jane.roe" not in json.dumps(turns)
    assert Invocation.objects.filter(conversation_id=talk["id"]).count() == 2


def test_a_conversation_that_a_person_took_over_is_not_answered_by_the_agent(agent, api):
    say(api, agent, "Hello")
    talk = Conversation.objects.get()
    path = f"/api/v1/conversations/{talk.pk}/hand-over"
    done = api("post", path, {"reason": "the client is upset"})
    assert done.json()["state"] == "handed_over"
    assert api("post", path, {}).json()["hand_over_reason"] == "the client is upset"
    refused = say(api, agent, "Are you there?")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")


def test_a_conversation_belongs_to_its_client(agent, api):
    say(api, agent, "Hello")
    talk = Conversation.objects.get()
    from django.test import Client as Browser

    other = Client.objects.create(slug="other", name="Other")
    secret = make_key(other, "professional")
    browser = Browser(headers={"Authorization": f"Bearer {secret}"})
    assert browser.get("/api/v1/conversations").json()["results"] == []
    assert browser.get(f"/api/v1/conversations/{talk.pk}").status_code == 404
    assert browser.post(f"/api/v1/conversations/{talk.pk}/hand-over").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_turns_that_come_at_once_are_all_kept_in_one_conversation(agent, api):
    def ask(number):
        try:
            return say(api, agent, f"Question {number} about the list?").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(6))) == {200}
    talk = Conversation.objects.get()
    turns = list(talk.turns.order_by("number").values_list("number", "role"))
    assert turns == [(n, "user" if n % 2 else "assistant") for n in range(1, 13)]
    assert talk.quality_ratio is not None
    assert talk.title.startswith("Question")
