"""Faults at the public door, money among processes, and a dead endpoint that nobody notices."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents import budgets
from agents.endpoints.directory import forget
from agents.errors import BudgetExceeded
from agents.models import Budget, Endpoint, Hold, Invocation, ModelCall
from config.access.ids import uuid7
from scaling import breaker
from tests.processes import start

FAULTS = [
    {"kind": "rate_limited", "retry_after_seconds": 0.01},
    {"kind": "rate_limited"},
    {"kind": "server_error", "status": 500},
    {"kind": "reset"},
    {"kind": "hang", "seconds": 20},
    {"kind": "slow_stream", "seconds": 20},
    {"kind": "cut_stream"},
    {"kind": "no_tokens", "seconds": 0.2},
    {"kind": "broken_arguments"},
    {"kind": "wrong_schema"},
    {"kind": "endless_tools"},
    {"kind": "error_body"},
]
# What the official client raises for a typed error of ours.
TYPED = (openai.RateLimitError, openai.InternalServerError, openai.APIError)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_every_fault_ends_at_the_official_client_in_an_answer_a_fallback_or_a_typed_error(
    live_server: Any, model: Any, agent: Any, key: str, settings: Any, stream: bool
) -> None:
    settings.MODEL_TIMEOUT = timedelta(seconds=1.0)
    ended: dict[str, str] = {}
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as client:
        for number, fault in enumerate(FAULTS):
            model.behave({"faults": [fault]})
            breaker.close("endpoint:offline-model")
            said = json.dumps({**agent.cases[0]["input"], "note": f"question {number}"})
            messages: Any = [{"role": "user", "content": said}]
            name = "-".join(map(str, fault.values()))
            try:
                answer = client.chat.completions.create(
                    model=f"agent:{agent.slug}", messages=messages, stream=stream
                )
                if stream:
                    answer = "".join(c.choices[0].delta.content or "" for c in answer if c.choices)
                else:
                    answer = answer.choices[0].message.content
            except TYPED as error:
                assert error.code in {"rate_limited", "unavailable", "timeout", "bad_answer"}, name
                ended[name] = str(error.code)
            else:
                assert answer, name
                ended[name] = "fallback" if answer == agent.fallback else "answer"
            assert not Hold.objects.exists(), name
            assert set(Budget.objects.values_list("held_usd", flat=True)) == {0}, name
    assert len(ended) == len(FAULTS)
    # One record each, and the budgets have spent what the calls cost, to the last digit.
    assert Invocation.objects.count() == len(FAULTS)
    cost = sum((c.cost_usd for c in ModelCall.objects.all()), Decimal(0))
    assert cost == sum((row.cost_usd for row in Invocation.objects.all()), Decimal(0))
    spent = Budget.objects.get(scope="agent", key=agent.slug).spent_usd
    assert spent == cost
    assert {ended[name] for name in ended if name.startswith(("server", "reset", "error"))} == {
        "fallback"
    }


@pytest.mark.django_db(transaction=True)
def test_calls_carry_on_at_the_other_endpoint_while_one_is_dead_and_nobody_sees_an_error(
    live_server: Any, model: Any, agent: Any, key: str
) -> None:
    served = Endpoint.objects.get().served
    Endpoint.objects.create(name="first", base_url=model.url, priority=1, served=served)
    forget()
    with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key, max_retries=0) as client:

        def ask(number: int) -> str:
            said = json.dumps({**agent.cases[0]["input"], "note": f"question {number}"})
            messages: Any = [{"role": "user", "content": said}]
            answer = client.chat.completions.create(model=f"agent:{agent.slug}", messages=messages)
            return str(answer.choices[0].message.content)

        texts = [ask(0)]
        Endpoint.objects.filter(name="first").update(base_url="http://127.0.0.1:9/v1")  # it dies
        forget()
        texts += [ask(number) for number in range(1, 8)]
    assert agent.fallback not in texts
    assert set(Invocation.objects.values_list("state", flat=True)) == {"succeeded"}
    assert breaker.state_of("endpoint:first") != "closed"
    failed = ModelCall.objects.filter(endpoint="first", state="failed").count()
    assert failed <= 2 * breaker.FAILURES_TO_OPEN


# ---------------------------------------------------------------- money


def _race(
    environment: dict[str, str], folder: Path, processes: int, threads: int, calls: int
) -> None:
    for scope, key, cap in (("agent", "a", "1.00"), ("all", "all", "5.00")):
        Budget.objects.create(scope=scope, key=key, window="total", cap_usd=Decimal(cap))
    spenders = {
        place: start("tests.agents.spender", str(threads), str(calls), env=environment, log=place)
        for place in (folder / f"spender-{number}" for number in range(processes))
    }
    assert [one.wait(240) for one in spenders.values()] == [0] * processes
    told = (place.read_text().splitlines()[-1] for place in spenders)
    spent = sum(map(Decimal, told), Decimal(0))
    for row in Budget.objects.exclude(key="*"):
        assert row.spent_usd == spent <= row.cap_usd
        assert row.held_usd == 0
    assert not Hold.objects.exists()
    assert spent > Decimal("0.90")


@pytest.mark.django_db(transaction=True)
def test_processes_side_by_side_never_overspend_by_a_cent(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    _race(process_environment, tmp_path, processes=2, threads=8, calls=60)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_four_processes_of_fifty_threads_never_overspend_by_a_cent(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    _race(process_environment, tmp_path, processes=4, threads=50, calls=200)


_MONEY = st.decimals(min_value=0, max_value=2, places=9)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hold"), _MONEY),
        st.tuples(st.just("extend"), _MONEY),
        st.tuples(st.just("settle"), st.decimals(min_value=0, max_value=1, places=6)),
        st.tuples(st.just("release"), st.just(Decimal(0))),
    ),
    max_size=12,
)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(steps=_STEPS, caps=st.tuples(_MONEY, _MONEY))
def test_whatever_happens_holds_and_spending_never_exceed_a_cap(
    db: None, steps: list[tuple[str, Decimal]], caps: tuple[Decimal, Decimal]
) -> None:
    Budget.objects.all().delete()
    Hold.objects.all().delete()
    budgets._seen.clear()
    for (scope, key), cap in zip((("agent", "a"), ("all", "all")), caps, strict=True):
        Budget.objects.create(scope=scope, key=key, window="total", cap_usd=cap)
    open_holds: list[budgets.Held] = []
    spent = Decimal(0)
    for step, amount in steps:
        try:
            if step == "hold":
                open_holds.append(
                    budgets.hold(
                        keys=[("agent", "a"), ("all", "all")],
                        amount_usd=amount,
                        client_id=uuid4(),
                        invocation_id=uuid7(),
                    )
                )
            elif open_holds and step == "extend":
                open_holds[-1] = budgets.extend(open_holds[-1], by_usd=amount)
            elif open_holds:
                held = open_holds.pop()
                cost = held.amount_usd * amount if step == "settle" else Decimal(0)
                cost = cost.quantize(Decimal("0.000000001"))
                budgets.settle(held, cost_usd=cost)
                spent += cost
        except BudgetExceeded:
            pass
        reserved = sum((held.amount_usd for held in open_holds), Decimal(0))
        for row in Budget.objects.all():
            assert row.held_usd == reserved
            assert row.spent_usd == spent
            assert row.spent_usd + row.held_usd <= row.cap_usd
    assert Hold.objects.count() == len(open_holds)
    connection.ensure_connection()
