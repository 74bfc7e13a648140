"""A step that may have acted is looked up or asked about, and never blindly done again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import IdempotentToolResult
from agents.tools import registry
from agents.tools.registry import Tool, ToolContext, tool
from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from tests.workflows.test_faults import grow_old
from workflows import tasks
from workflows.models import StepRun

pytestmark = pytest.mark.django_db(transaction=True)
PAY = "name: pay\nsteps:\n  pay: {tool: bank.pay, with: {usd: 5}, timeout: 1s}\n"


class Killed(BaseException):
    """The worker is gone, after the bank has heard of it."""


class Bank:
    """A system outside that knows no keys: what is asked twice is paid twice."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.dies, self.hangs = True, False

    def pay(self, usd: int, context: ToolContext) -> dict[str, Any]:
        """Pay once."""
        if self.dies:
            self.dies = False
            raise Killed
        if self.hangs:
            time.sleep(1.5)
        self.paid.append(str(context.effect_id))
        return {"receipt": len(self.paid)}


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    return declared(Bank(), monkeypatch)


def declared(
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Callable[[ToolContext], dict[str, Any] | None] | None = None,
    timeout_seconds: float = 30.0,
    fallback: str = "",
) -> Bank:
    registry.discover()
    tools: dict[str, Tool] = {**registry._tools}
    tools.pop("bank.pay", None)
    monkeypatch.setattr(registry, "_tools", tools)

    def pay(usd: int, context: ToolContext) -> dict[str, Any]:
        """Pay once."""
        return bank.pay(usd, context)

    tool("bank.pay", idempotent=False, outcome=outcome, timeout_seconds=timeout_seconds,
         fallback=fallback)(pay)  # fmt: skip
    return bank


def lost(web: Browser, who: dict[str, str], broker: Broker) -> str:
    """A run whose worker died in the middle of the payment, after a sweep."""
    run: str = start(web, who, PAY)["id"]
    with pytest.raises(Killed):
        broker.drain()
    an_hour_ago = timezone.now() - timedelta(hours=1)
    IdempotentToolResult.objects.update(started_at=an_hour_ago)
    for _ in range(3):  # a heartbeat that was on its way may have renewed the lease once more
        if StepRun.objects.filter(state="running").exists():
            grow_old()
            tasks.sweep()
    broker.drain()
    return run


def test_a_person_says_that_it_happened_and_it_is_not_done_again(
    web: Browser, key: Key, broker: Broker, bank: Bank
) -> None:
    who = key()
    run = lost(web, who, broker)
    (dead,) = get(web, "dead-letters", who).json()["results"]
    assert dead["error"]["code"] == "outcome_unknown"
    at = f"dead-letters/{dead['id']}/requeue"
    assert post(web, at, {}, who).status_code == 202
    broker.drain()  # nothing is known yet: it is put aside once more
    (dead,) = get(web, "dead-letters", who).json()["results"]
    assert (dead["error"]["code"], bank.paid) == ("effect_unknown", [])
    problem(post(web, at, {"outcome": "perhaps"}, who), 422, "invalid_input")
    problem(post(web, at, {"output": {"receipt": 7}}, who), 422, "invalid_input")
    happened = {"outcome": "happened", "output": {"receipt": 7}}
    assert post(web, at, happened, who).status_code == 202
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["steps"][0]["output"]) == ("succeeded", {"receipt": 7})
    assert bank.paid == []
    assert IdempotentToolResult.objects.get().state == "done"


def test_a_person_says_on_the_page_that_it_did_not_happen_and_it_is_done_once(
    web: Browser, key: Key, broker: Broker, bank: Bank
) -> None:
    who = key("manager", username="mia")
    run = lost(web, who, broker)
    (dead,) = get(web, "dead-letters", who).json()["results"]
    signed = Browser()
    signed.force_login(User.objects.get(username="mia"))
    step = f"/dashboard/runs/{run}/steps/{dead['id']}"
    assert "nobody knows whether it happened" in signed.get(step).content.decode()
    bad = signed.post(f"{step}/requeue", {"outcome": "happened", "output": "{"}, follow=True)
    assert "must be JSON" in bad.content.decode()
    slip = signed.post(f"{step}/requeue", {"outcome": "hapened", "output": "{}"}, follow=True)
    assert "one of happened or did_not_happen" in slip.content.decode()
    broker.drain()
    assert (bank.paid, IdempotentToolResult.objects.count()) == ([], 1)
    signed.post(f"{step}/requeue", {"outcome": "did_not_happen", "output": "{}"})
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["steps"][0]["output"]) == ("succeeded", {"receipt": 1})
    assert bank.paid == [dead["id"]]
    told = get(web, f"runs/{run}/events?format=json", who).json()["results"]
    assert [e["detail"]["outcome"] for e in told if e["name"] == "step.requeued"] == [
        "did_not_happen"
    ]


@pytest.mark.parametrize("happened", [True, False])
def test_a_tool_that_can_look_it_up_is_asked_and_nobody_is_bothered(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    asked: list[str | None] = []

    def outcome(context: ToolContext) -> dict[str, Any] | None:
        asked.append(context.effect_id)
        return {"receipt": 9} if happened else None

    bank = declared(Bank(), monkeypatch, outcome)
    who = key()
    run = lost(web, who, broker)
    shown = get(web, f"runs/{run}", who).json()
    assert shown["state"] == "succeeded", shown
    assert shown["steps"][0]["output"] == {"receipt": 9 if happened else 1}
    assert (len(asked), len(bank.paid)) == (1, 0 if happened else 1)


def test_a_tool_that_did_not_answer_in_time_is_put_aside_instead_of_failing_its_run(
    web: Browser, key: Key, broker: Broker, bank: Bank
) -> None:
    who = key()
    bank.dies, bank.hangs = False, True
    run = start(web, who, PAY)["id"]
    broker.drain()
    (dead,) = get(web, "dead-letters", who).json()["results"]
    assert dead["error"]["code"] == "effect_unknown"
    assert get(web, f"runs/{run}", who).json()["state"] == "running"
    assert post(web, f"runs/{run}/cancel", {}, who).json()["state"] == "cancelled"
    assert get(web, "dead-letters", who).json()["results"] == []


def test_another_tool_does_not_do_what_may_have_been_done(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, bank = key(), declared(Bank(), monkeypatch, fallback="bank.wire")
    wired: list[int] = []

    def wire(usd: int, context: ToolContext) -> dict[str, Any]:
        """Pay in another way."""
        wired.append(usd)
        return {"receipt": 0}

    tool("bank.wire")(wire)
    bank.dies, bank.hangs = False, True
    start(web, who, PAY)
    broker.drain()
    (dead,) = get(web, "dead-letters", who).json()["results"]
    assert dead["error"]["code"] == "effect_unknown"
    assert wired == []


def test_a_compensation_of_unknown_outcome_is_never_left_open_in_a_run_that_has_ended(
    web: Browser, key: Key, broker: Broker, bank: Bank
) -> None:
    who = key("manager", username="mia")
    bank.dies, bank.hangs = False, True
    undo = "compensate: {tool: bank.pay, with: {usd: 5}, timeout: 1s}"
    run = start(
        web, who,
        f"name: back\nsteps:\n  booked: {{title: The booking, tool: core.echo, {undo}}}\n"
        "  last: {needs: [booked], tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}}\n",
    )["id"]  # fmt: skip
    broker.drain()
    (dead,) = get(web, "dead-letters", who).json()["results"]
    assert (dead["key"], dead["error"]["code"]) == ("booked.compensate", "effect_unknown")
    assert get(web, f"runs/{run}", who).json()["state"] == "failed"
    at = f"dead-letters/{dead['id']}/requeue"
    for body in ({"outcome": "did_not_happen"}, {}):
        refused = problem(post(web, at, body, who), 409, "conflict")
        assert "do by hand what is left" in refused["detail"]
    signed = Browser()
    signed.force_login(User.objects.get(username="mia"))
    page = signed.get(f"/dashboard/runs/{run}?step={dead['id']}").content.decode()
    assert "The booking could not be undone." in page
    assert "It is done" in page and "do it now" not in page
    told = post(web, at, {"outcome": "happened", "output": {"receipt": 7}}, who)
    assert (told.status_code, told.json()["state"]) == (202, "succeeded")
    grow_old()
    tasks.sweep()
    assert broker.messages == []
    shown = get(web, f"runs/{run}", who).json()
    left = {step["key"]: (step["state"], step["output"]) for step in shown["steps"]}
    assert (shown["state"], left["booked.compensate"]) == ("failed", ("succeeded", {"receipt": 7}))
    assert get(web, "dead-letters", who).json()["results"] == []
    page = signed.get(f"/dashboard/runs/{run}").content.decode()
    assert "could not be undone" not in page
    assert "A person said that a step had happened" in page


def test_a_look_up_is_not_believed_while_the_try_that_was_given_up_may_still_act(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens, closed = Event(), Event()

    class Slow(Bank):
        def pay(self, usd: int, context: ToolContext) -> dict[str, Any]:
            opens.wait(60)
            self.paid.append(str(context.effect_id))
            closed.set()
            return {"receipt": len(self.paid)}

    def outcome(context: ToolContext) -> dict[str, Any] | None:
        return {"receipt": 1} if context.effect_id in bank.paid else None

    bank = declared(Slow(), monkeypatch, outcome)
    who = key()
    try:
        run = start(web, who, PAY)["id"]
        broker.drain(2)  # it is given up, and looked up too early
        (step,) = get(web, f"runs/{run}", who).json()["steps"]
        assert (step["state"], step["error"]["code"], bank.paid) == ("queued", "effect_unknown", [])
        assert 30 < step["error"]["retry_after_seconds"] <= 40
    finally:
        opens.set()
    assert closed.wait(60)
    broker.drain()
    (step,) = get(web, f"runs/{run}", who).json()["steps"]
    assert (step["state"], step["output"], len(bank.paid)) == ("succeeded", {"receipt": 1}, 1)


def test_a_look_up_that_hangs_is_given_up_after_the_tools_time_limit(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    opens = Event()

    def outcome(context: ToolContext) -> dict[str, Any] | None:
        opens.wait(20)
        return {"receipt": 9}

    bank = declared(Bank(), monkeypatch, outcome, timeout_seconds=0.2)
    who = key()
    try:
        run = lost(web, who, broker)
    finally:
        opens.set()
    (step,) = get(web, f"runs/{run}", who).json()["steps"]
    assert (step["state"], step["error"]["code"], bank.paid) == ("failed", "timeout", [])
    assert "the look-up of tool bank.pay" in step["error"]["message"]
