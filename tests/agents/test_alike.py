"""Where a version asks for it, a question that means the same gets the answer given before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache as vectors
from django.db import connection
from django.test import Client as Browser

from agents import cache, versions
from agents.domain.likeness import telling
from agents.endpoints.directory import forget
from agents.knowledge import embedding, frequent
from agents.models import Agent, CachedAnswer, CachedQuestion, Endpoint, Invocation, ModelCall
from agents.tasks import sweep
from config.access.models import Client
from tests.agents.conftest import make_key

pytestmark = pytest.mark.django_db(transaction=True)
FIRST = "Which documents does the auditor need for the inventory count?"
SAME = "Documents the auditor needs for the inventory count?"


@pytest.fixture
def helper(ground: None) -> Agent:
    """An agent without tools that shares answers between questions that are near enough."""
    agent = Agent.objects.create(slug="helper", name="Helper", domain="audit", purpose="x")
    publish(agent, semantic_threshold=0.9)
    return agent


def publish(agent: Agent, **model: Any) -> None:
    content = versions.Content(prompt="Answer briefly.", model={"tier": "standard", **model})
    versions.publish(agent=agent, content=content, label="production")


def ask(client: Any, key: str, text: str) -> Invocation:
    """The record of one chat."""
    body = {"model": "agent:helper", "messages": [{"role": "user", "content": text}]}
    answer = client.post(
        "/v1/chat/completions", body, "application/json", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200, answer.content
    return Invocation.objects.get(pk=answer.json()["id"].removeprefix("chatcmpl-"))


def test_another_wording_gets_the_answer_and_another_question_does_not(
    client: Any, key: str, helper: Agent
) -> None:
    first = ask(client, key, FIRST)
    again = ask(client, key, SAME)
    assert (first.cached, again.cached) == ("", "semantic")
    assert again.output == first.output
    assert (again.cost_usd, again.saved_usd) == (0, first.cost_usd)
    for other in (
        "Which documents does the auditor need after the inventory count?",
        "Which documents does the auditor not need for the inventory count?",
        "Which documents does the auditor need for the inventory count of 2024?",
    ):
        assert ask(client, key, other).cached == ""
    assert CachedQuestion.objects.count() == ModelCall.objects.count() == 4


def test_a_question_with_another_sign_is_another_question(
    client: Any, key: str, helper: Agent
) -> None:
    for text in ("Add 120 + 30", "Add 120 - 30", "Is 4 > 5?", "Is 4 < 5?", "Book (1,200)",
                 "Book 1,200", "Is ¥100 due?", "Is ₹100 due?"):  # fmt: skip
        assert ask(client, key, text).cached == "", text
    assert ask(client, key, "Hello, please add 120 + 30.").cached == "memory"


def test_who_asks_the_same_at_once_waits_for_the_one_who_asked_first(
    client: Any, key: str, helper: Agent, model: Any
) -> None:
    model.behave({"latency": {"first_token": {"fixed_seconds": 1.0}}})
    ask(client, key, "Is the server warm?")

    def asked(_: int) -> str:
        try:
            body = {"model": "agent:helper", "messages": [{"role": "user", "content": FIRST}]}
            answer = Browser(headers={"Authorization": f"Bearer {key}"}).post(
                "/v1/chat/completions", body, "application/json"
            )
            return str(answer.json()["choices"][0]["message"]["content"])
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        said = list(pool.map(asked, range(5)))
    assert len(set(said)) == 1
    assert ModelCall.objects.count() == 2
    assert Invocation.objects.exclude(cached="").count() == 4


def test_nothing_is_shared_between_clients_or_versions_and_all_goes_with_the_answer(
    client: Any, key: str, helper: Agent, other_client_key: str
) -> None:
    ask(client, key, FIRST)
    assert ask(client, other_client_key, SAME).cached == ""
    assert cache.forget_answers(CachedAnswer.objects.all()) > 0
    assert not CachedQuestion.objects.exists()
    assert ask(client, key, SAME).cached == ""
    publish(helper, semantic_threshold=0.91)
    assert ask(client, key, FIRST).cached == ""


def test_it_is_off_unless_a_version_asks_for_it_within_limits(
    client: Any, key: str, helper: Agent
) -> None:
    publish(helper)
    assert [ask(client, key, text).cached for text in (FIRST, SAME)] == ["", ""]
    assert not CachedQuestion.objects.exists()
    answer = client.post(
        "/api/v1/agents/helper/versions",
        {"prompt": "Answer.", "model": {"tier": "light", "semantic_threshold": 0.4}},
        "application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "model.semantic_threshold")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("Is 12,500.00 EUR too much?", "Would 12500 EUR be too much?", True),
        ("Is 12,500.00 EUR too much?", "Is 12,501 EUR too much?", False),
        ("Who approves ⟦PERSON_1⟧?", "Who approves ⟦PERSON_2⟧?", False),
        ("May we deduct it?", "May we not deduct it?", False),
        ("Gifts to employees", "Gifts from employees", False),
        ("Book it as a debit", "Book it as a credit", False),
        ("When was it due?", "How much was due?", False),
        ("tax in Spain", "tax in Italy", False),
        ("What is 120 + 30?", "What is 120 - 30?", False),
        ("Is it > 5?", "Is it < 5?", False),
        ("Book (1,200)", "Book 1,200", False),
        ("It costs ¥100", "It costs ₹100", False),
    ],
)
def test_figures_names_sides_and_negations_must_be_equal(
    one: str, other: str, is_same: bool
) -> None:
    assert (telling(one) == telling(other)) is is_same


def test_vectors_of_frequent_questions_are_there_before_they_are_asked_again(
    client: Any, key: str, helper: Agent
) -> None:
    Endpoint.objects.update(
        served=[*Endpoint.objects.get().served,
                {"name": "offline-embedding", "tier": "light", "context_tokens": 8192,
                 "capabilities": [embedding.CAPABILITY]}]
    )  # fmt: skip
    forget()
    text, secret = "What must be in the engagement letter?", "Who is jane.roe@example.org really?"
    for _ in range(frequent.OFTEN):
        for question in (text, secret):
            found = client.post(
                "/api/v1/knowledge/search",
                {"query": question},
                "application/json",
                headers={"Authorization": f"Bearer {key}"},
            )
            assert found.status_code == 200, found.content
    model = embedding.current_model()
    assert model.endswith("/offline-embedding")
    vectors.clear()
    sweep()
    assert frequent.vector_of(text.upper(), model) is not None
    assert frequent.vector_of(secret, model) is None  # nobody's address is remembered
    assert embedding.embed_ahead() == 0


@pytest.fixture
def other_client_key(firm: Any) -> str:
    return make_key(Client.objects.create(slug="other", name="Other"), "professional")
