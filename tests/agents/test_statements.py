"""What one call asks of the database, from its door to its record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from agents.invoke import invoke
from agents.models import Agent, Invocation
from tests.statements import counted

pytestmark = pytest.mark.django_db
# The version with its split; the budgets and their hold; and the record with its money, its
# measurement and audit entry. Less is progress: lower it. More needs a reason.
MOST = 3
# A chat that the cache does not know asks PostgreSQL for its answer, too; one that it knows from
# memory neither asks for it nor for money. Redis: the flight of the answer, its landing, and both
# breakers, which a process remembers for a moment.
MOST_OF_A_CHAT, MOST_OF_A_KNOWN_CHAT = 4, 2
MOST_COMMANDS, MOST_COMMANDS_OF_A_KNOWN_CHAT = 4, 0
# Of a turn, beside its call: the conversation, what it is limited to, its lock, the history, and
# both turns with the quality.
MOST_OF_A_TURN = 5


def test_a_recorded_call_asks_no_more_of_the_database_than_today(
    call_of: Callable[..., Any], model: Any
) -> None:
    for _ in range(3):  # warms what a process keeps
        invoke(call_of(use_cache=False))
    with counted() as told:
        invoke(call_of(use_cache=False))
    assert len(told) <= MOST, "\n".join(" ".join(one.split())[:160] for one in told)
    before = len(told)
    for _ in range(10):
        invoke(call_of(use_cache=False))
    with counted() as told:
        invoke(call_of(use_cache=False))
    assert len(told) <= before, "it grew with the record"
    assert Invocation.objects.count() == 15


def test_a_turn_of_a_conversation_asks_no_more_of_the_database_than_today(
    agent: Agent, api: Callable[..., Any]
) -> None:
    def ask(number: int) -> int:
        body = {
            "model": f"agent:{agent.slug}", "metadata": {"conversation": "case-7"},
            "messages": [{"role": "user", "content": f"Is list {number} complete?"}],
        }  # fmt: skip
        with counted() as told:
            assert api("post", "/v1/chat/completions", body).status_code == 200
        own = [one for one in told if "agents_conversation" in one or "agents_turn" in one]
        assert own, "a turn is kept"
        return len(own)

    assert {ask(number) for number in range(6)} == {MOST_OF_A_TURN}


def test_a_chat_asks_no_more_of_database_and_redis_than_today(
    agent: Agent, api: Callable[..., Any], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEY_KEPT = timedelta(seconds=60)
    commands: list[Any] = []
    real = redis.Connection.send_packed_command

    def send(self: Any, command: Any, *more: Any, **options: Any) -> Any:
        commands.append(command)
        return real(self, command, *more, **options)

    last: list[str] = []

    def ask(number: int) -> tuple[int, int]:
        content = f"Is list {number} complete?"
        body = {"model": f"agent:{agent.slug}", "messages": [{"role": "user", "content": content}]}
        commands.clear()
        with counted() as told:
            assert api("post", "/v1/chat/completions", body).status_code == 200
        last[:] = told
        return len(told), len(commands)

    for number in range(3):  # warms what a process keeps
        ask(number)
    monkeypatch.setattr(redis.Connection, "send_packed_command", send)
    statements, sent = zip(*(ask(10 + number) for number in range(3)), strict=True)
    assert max(statements) <= MOST_OF_A_CHAT
    assert max(sent) <= MOST_COMMANDS
    assert "agents_hold" in last[-1] and "agents_modelcall" in last[-1]
    assert ask(12) == (MOST_OF_A_KNOWN_CHAT, MOST_COMMANDS_OF_A_KNOWN_CHAT)
    assert "agents_invocation" in last[-1] and "monitoring_auditentry" in last[-1]
    assert "agents_hold" not in last[-1] and "agents_modelcall" not in last[-1], "it asked nobody"
