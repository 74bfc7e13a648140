"""A lighter model's answer that fails a check is asked of a stronger one, and only then."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from agents import escalating, loop, recording
from agents.domain.guardrails.figures import unfounded
from agents.errors import BudgetExceeded
from agents.models import Agent, Budget, Hold, Invocation, ModelCall
from agents.reserving import Reserve
from agents.streaming import Gate
from agents.work import Work
from tests.agents.offline_model.process import Server

pytestmark = pytest.mark.django_db
Api = Callable[..., Any]
SCHEMA = {"type": "object", "required": ["summary"], "additionalProperties": False,
          "properties": {"summary": {"type": "string"}}}  # fmt: skip
SLIP = {"rules": [{"when": {"model": "offline-light"}, "accuracy_ratio": 0}]}
SLIPS = {"accuracy_ratio": 0}
FIGURES = {"revenue": 4_712_350, "profit_before_tax": 381_240, "total_assets": 6_480_900}


@pytest.fixture(autouse=True)
def fresh() -> None:
    escalating.forget()


@pytest.fixture
def publish(ground: None, api: Api) -> Callable[..., Any]:
    Agent.objects.create(slug="checked", name="Checked", domain="operations", purpose="x")

    def make(model: dict[str, Any], **more: Any) -> Any:
        body = {"prompt": "State the figures.", "model": model, "label": "production", **more}
        return api("post", "/api/v1/agents/checked/versions", body)

    return make


def ask(api: Api, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record of a call on figures."""
    body = {"inputs": {**FIGURES, **(more or {})}}
    api("post", "/api/v1/agents/checked/invocations", body)
    row = Invocation.objects.latest("id")
    shown: dict[str, Any] = api("get", f"/api/v1/invocations/{row.pk}").json()
    return shown


def models() -> list[str]:
    return list(ModelCall.objects.order_by("id").values_list("model", flat=True))


def test_figures_that_nothing_holds_are_asked_of_a_stronger_model(
    api: Api, publish: Any, model: Server, client: Any
) -> None:
    assert publish({"tier": "light"}).status_code == 201
    model.behave(SLIP)
    shown = ask(api)
    assert shown["state"] == "succeeded" and shown["model"] == "offline-strong"
    assert all(f"{value}" in shown["output"]["text"].replace(",", "") for value in FIGURES.values())
    assert shown["route"]["escalated"] == {"to": "strong", "why": "figures", "helped": True}
    assert models() == ["offline-light", "offline-strong"]
    both = sum(one.cost_usd for one in ModelCall.objects.all())
    assert Invocation.objects.get().cost_usd == both and not Hold.objects.exists()
    from config.access.models import User

    client.force_login(User.objects.create_superuser("root", password="x"))
    page = client.get(f"/dashboard/invocations/{shown['id']}").content.decode()
    assert "asked again of a strong model for its figures" in page


def test_an_answer_that_rests_on_what_was_read_stands(api: Api, publish: Any) -> None:
    publish({"tier": "light"})
    shown = ask(api)
    assert (shown["model"], models()) == ("offline-light", ["offline-light"])


@pytest.mark.parametrize("how", ["version", "installation", "tiers"])
def test_it_is_asked_once_only_where_it_may_not_go_to_a_stronger_one(
    api: Api, publish: Any, model: Server, settings: Any, how: str
) -> None:
    more: dict[str, Any] = {"version": {"escalate": False}, "tiers": {}, "installation": {}}[how]
    publish({"tier": "strong" if how == "tiers" else "light", **more})
    settings.MODEL_ROUTING = how != "installation"
    model.behave(SLIPS)
    ask(api)
    assert len(models()) == 1


def test_what_breaks_its_schema_twice_is_asked_of_a_stronger_model(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "light"}, output_schema=SCHEMA)
    model.behave({"faults": [{"kind": "wrong_schema", "when": {"model": "offline-light"}}]})
    shown = ask(api)
    assert (shown["state"], shown["model"]) == ("succeeded", "offline-strong")
    assert shown["route"]["escalated"]["why"] == "form"
    assert models() == ["offline-light", "offline-light", "offline-strong"]


def test_the_first_answer_stands_where_no_stronger_model_gives_one(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "light"})
    model.behave({**SLIP, "faults": [
        {"kind": "server_error", "when": {"model": f"offline-{tier}"}}
        for tier in ("standard", "strong")
    ]})  # fmt: skip
    shown = ask(api)
    assert (shown["state"], shown["model"]) == ("succeeded", "offline-light")
    assert shown["output"]["text"] and not Hold.objects.exists()


def test_above_a_soft_cap_nothing_is_asked_of_a_dearer_model(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "light"})
    Budget.objects.create(scope="agent", key="checked", window="day", cap_usd=10,
                          soft_cap_usd=Decimal("0.000001"))  # fmt: skip
    model.behave(SLIP)
    shown = ask(api)
    assert (shown["route"]["budget"], models()) == ("above its soft cap", ["offline-light"])


def test_the_first_answer_stands_where_the_budget_ends_in_the_middle_of_the_second(
    api: Api, publish: Any, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish({"tier": "light"}, tools=["audit.materiality"])
    model.behave({**SLIP, "faults": [
        {"kind": "endless_tools", "when": {"model": "offline-strong"}}]})  # fmt: skip
    more = Reserve.more

    def until_the_second_has_asked_a_tool(reserve: Reserve, work: Work, *beside: Any) -> None:
        if sum(one.model == "offline-strong" for one in work.tries):
            raise BudgetExceeded("a call", Decimal(1), Decimal(2))
        more(reserve, work, *beside)

    monkeypatch.setattr(Reserve, "more", until_the_second_has_asked_a_tool)
    shown = ask(api, {"risk": "low", "entity_type": "profit"})
    assert models()[-1] == "offline-strong" and not Hold.objects.exists()
    assert (shown["state"], shown["model"]) == ("succeeded", "offline-light")
    assert shown["output"]["text"]
    assert shown["route"]["escalated"] == {"to": "strong", "why": "figures", "helped": False}


def test_the_record_names_the_model_whose_answer_stands(
    api: Api, publish: Any, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Work] = []
    noted = recording.measuring.noted

    def listening(call: Any, row: Any, work: Work, version: Any) -> Any:
        told.append(work)
        return noted(call, row, work, version)

    monkeypatch.setattr(recording.measuring, "noted", listening)
    publish({"tier": "light"}, output_schema=SCHEMA)
    model.behave({**SLIP, "faults": [
        {"kind": "wrong_schema", "when": {"model": "offline-strong"}}]})  # fmt: skip
    shown = ask(api)
    assert models() == ["offline-light", "offline-strong", "offline-strong"]
    assert (shown["state"], shown["model"]) == ("succeeded", "offline-light")
    light, *strong = ModelCall.objects.order_by("id")
    assert light.answer["text"] == shown["output"]["text"]
    assert all(one.answer["text"] != shown["output"]["text"] for one in strong)
    # Nothing was saved by asking the strong one in vain.
    assert recording.measuring.savings.by_routing(told[0]) < 0


def test_an_answer_that_was_given_again_saved_nothing(
    api: Api, publish: Any, model: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Decimal] = []
    by_routing = recording.measuring.savings.by_routing
    monkeypatch.setattr(recording.measuring.savings, "by_routing",
                        lambda work: found.append(by_routing(work)) or found[-1])  # fmt: skip
    publish({"tier": "light"})
    model.behave(SLIP)
    ask(api)
    light = ModelCall.objects.get(model="offline-light")
    assert found == [-light.cost_usd]


def test_what_waits_to_be_heard_is_kept_where_no_second_answer_can_be_paid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    guard: Any = SimpleNamespace(released=lambda text, before, keep: (text, len(text) - keep))
    gate = Gate(heard.append, guard)
    gate.mark()
    gate.feed("A total of 4,712,350.")
    monkeypatch.setattr(escalating, "stronger", lambda *_: [SimpleNamespace(tier="strong")])
    monkeypatch.setattr(escalating, "doubt", lambda *_: "figures")

    def afford(work: Work, beside: Decimal = Decimal(0)) -> None:
        raise BudgetExceeded("a call", Decimal(1), Decimal(2))

    call: Any = SimpleNamespace(response_schema=None, messages=None)
    second = loop._Second(call, Work(messages=[]), afford, gate, None)
    assert second.better(SimpleNamespace(), [], "", 0, last=False) == []  # type: ignore[arg-type]
    gate.finish()
    assert heard == ["A total of 4,712,350."]


def test_a_refusal_is_no_sign_in_a_version_whose_strong_model_declines_too() -> None:
    version: Any = SimpleNamespace(id=uuid4())
    work = Work(messages=[], text="I can't help with that.")
    for _ in range(escalating.LEAST_DOUBTS):
        assert escalating.doubt(version, work, 0) == escalating.REFUSED
        work.escalated = {"to": "strong", "why": escalating.REFUSED}
        work.tries = [SimpleNamespace(endpoint="offline", model="x")]  # type: ignore[list-item]
        escalating.note(version.id, work, [], is_helped=False)
    assert escalating.doubt(version, work, 0) == ""


def test_figures_of_its_own_are_no_sign_in_a_version_whose_strong_model_says_them_too(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "light"})
    model.behave(SLIPS)
    for n in range(escalating.LEAST_DOUBTS):
        assert ask(api, {"employees": 1_000 + n})["route"]["escalated"]["helped"] is False
    assert ask(api, {"employees": 2_000})["route"] is None


@pytest.mark.django_db(transaction=True)
def test_a_stream_tells_one_answer_whichever_model_gave_it(
    api: Api, publish: Any, model: Server
) -> None:
    publish({"tier": "light"})
    model.behave(SLIP)
    said = "State " + ", ".join(f"{name} {value}" for name, value in FIGURES.items())
    chat = [{"role": "user", "content": said}]
    answer = api("post", "/v1/chat/completions",
                 {"model": "agent:checked", "stream": True, "messages": chat})  # fmt: skip
    assert answer.status_code == 200, answer.content
    told = b"".join(answer.streaming_content).decode()
    assert told.count("[DONE]") == 1
    row = Invocation.objects.get()
    heard = "".join(
        json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
        for line in told.splitlines()
        if line.startswith("data: {") and '"choices": []' not in line and '"choices":[]' not in line
    )
    assert heard.strip() == row.output["text"].strip()


def test_an_escalation_that_is_no_switch_is_refused(publish: Any) -> None:
    refused = publish({"tier": "light", "escalate": "often"})
    assert (refused.status_code, refused.json()["field"]) == (422, "model.escalate")


@pytest.mark.parametrize(("answer", "doubted"), [
    ("Revenue is 4,712,350 and profit 381,240.", False),
    ("Umsatz 4.712.350, Gewinn 381.240", False),
    ("Revenue is 5,183,585 and profit 419,364.", True),
    ("The rate is 12.5 %.", False),                          # 0.125 was read
    ("Revenue is 4,712,350, profit 381,240, in all 5,093,590.", True),  # one of three is its own
    ("Revenue is 4,712,350, profit 381,240, assets 6,480,900, in all 11,574,490.", False),
    ("It is due on 2026-03-31.", True),
    ("It is due on 2026-02-28, a loss of -381,240.", False),
    ("Hours: 5.5 and 8.5.", True),
    ("There are 12 of them.", False),                        # says nothing
    ("It is due on 28.02.2026.", False),
    ("It is due on 2/28/2026, in 2026.", False),
    ("It is due on 28.03.2026.", True),
    ("1.1 Scope\nAll of it.\n1.2 Method\nBy hand.", False),   # numbers of headings
])  # fmt: skip
def test_an_answer_is_doubted_whose_figures_nothing_holds(answer: str, doubted: bool) -> None:
    read = ['{"revenue": 4712350, "profit": 381240.0, "assets": 6480900}',
            '{"rate": 0.125, "due": "2026-02-28"}']  # fmt: skip
    assert bool(unfounded(answer, read)) is doubted


def test_long_answers_about_long_texts_are_looked_through() -> None:
    read = " ".join(f"{1_000_000 + 7 * n}" for n in range(40_000))
    answer = " ".join(f"{5_000_003 + 7 * n}" for n in range(2_000))
    assert len(unfounded(answer, [read])) == 2_000
