"""Every way in which a model fails ends in an answer, a declared fallback or a typed error."""

from __future__ import annotations

import pytest

from agents.endpoints.directory import forget
from agents.invoke import invoke
from agents.models import Budget, Endpoint, Hold, Invocation, ModelCall
from config.errors import AppError, StepTimeout, Unavailable
from scaling import breaker

pytestmark = pytest.mark.django_db

ALWAYS = [
    {"kind": "rate_limited", "retry_after_seconds": 0.01},
    {"kind": "rate_limited"},
    {"kind": "server_error", "status": 500},
    {"kind": "reset"},
    {"kind": "hang", "seconds": 30},
    {"kind": "error_body"},
    {"kind": "endless_tools"},
    {"kind": "broken_arguments"},
]


@pytest.fixture(autouse=True)
def _short(settings):
    from datetime import timedelta

    settings.MODEL_TIMEOUT = timedelta(seconds=2)


@pytest.mark.parametrize("fault", ALWAYS, ids=lambda f: "-".join(map(str, f.values())))
def test_a_step_gets_a_typed_error_or_an_answer_and_the_hold_is_gone(model, call_of, fault):
    from uuid import uuid4

    model.behave({"faults": [fault]})
    call = call_of(step_id=uuid4(), use_cache=False)
    try:
        assert invoke(call).output["text"]
    except AppError as error:
        assert error.code in {"rate_limited", "unavailable", "timeout", "bad_answer"}
        assert error.retryable
    assert not Hold.objects.exists()
    assert {row.held_usd for row in Budget.objects.all()} == {0}
    row = Invocation.objects.get()
    assert row.cost_usd == sum(c.cost_usd for c in ModelCall.objects.all())


@pytest.mark.parametrize("fault", ALWAYS[2:6], ids=lambda f: f["kind"])
def test_a_person_gets_the_declared_fallback(model, agent, call_of, fault):
    model.behave({"faults": [fault]})
    answer = invoke(call_of(use_cache=False))
    assert answer.is_fallback
    assert answer.output["text"] == agent.fallback
    assert Invocation.objects.get().state == "fallback"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limited", "times": 1, "retry_after_seconds": 0.05},
        {"kind": "server_error", "times": 1},
        {"kind": "reset", "times": 1},
        {"kind": "error_body", "times": 1},
        {"kind": "broken_arguments", "times": 1},
    ],
    ids=lambda f: f["kind"],
)
def test_a_fault_that_passes_is_tried_again(model, call_of, fault):
    model.behave({"faults": [fault]})
    answer = invoke(call_of(use_cache=False))
    assert not answer.is_fallback
    assert answer.output["text"]
    failed = ModelCall.objects.exclude(state="succeeded").count()
    assert failed == 0 if fault["kind"] == "broken_arguments" else failed >= 1


@pytest.mark.parametrize("kind", ["slow_stream", "cut_stream"])
def test_a_stream_that_breaks_is_a_typed_error(model, call_of, kind):
    model.behave({"faults": [{"kind": kind, "seconds": 5}]})
    said: list[str] = []
    with pytest.raises((Unavailable, StepTimeout)):
        invoke(call_of(use_cache=False, stream=said.append, allow_fallback=False))


def test_a_second_endpoint_carries_on_where_the_first_is_dead(offline, call_of):
    Endpoint.objects.update(priority=200)
    served = Endpoint.objects.get().served
    Endpoint.objects.create(
        name="dead", base_url="http://127.0.0.1:9/v1", priority=1, served=served
    )
    forget()
    for _ in range(4):
        assert not invoke(call_of(use_cache=False)).is_fallback
    assert breaker.look("endpoint:dead").is_open
    dead = ModelCall.objects.filter(endpoint="dead").count()
    invoke(call_of(use_cache=False))
    assert ModelCall.objects.filter(endpoint="dead").count() == dead


def test_a_breaker_probes_and_closes_again(offline, call_of, monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_OPEN_SECONDS", 0.05)
    for _ in range(breaker.FAILURES_TO_OPEN):
        breaker.failed("endpoint:offline-model")
    assert breaker.look("endpoint:offline-model").is_open
    import time

    time.sleep(0.4)
    assert not invoke(call_of(use_cache=False)).is_fallback
    assert not breaker.look("endpoint:offline-model").is_open
