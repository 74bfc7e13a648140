"""The behaviour profile decides latency, faults and quality, and nothing else can read it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from agents.offline_model.profile import Asked, ModelProfile, Profile, parse_profile
from config.errors import InvalidDocument
from tests.agents.offline_model.process import Server, serve
from tests.agents.offline_model.test_server import ADD, HELLO, SUM

MODEL = ModelProfile()


def ask(server: Server, said: str = "hello", **options: Any) -> Any:
    wanted = {"model": "offline-standard", "messages": [{"role": "user", "content": said}]}
    return server.client(timeout=60).chat.completions.create(**{**wanted, **options})


def drain(server: Server, said: str = "hello") -> str:
    return "".join(c.choices[0].delta.content or "" for c in ask(server, said, stream=True))


def test_a_rate_limit_tells_when_to_try_again_if_the_profile_says_so(clean_server: Server):
    fault = {"kind": "rate_limited", "retry_after_seconds": 2, "when": {"user_contains": "Now"}}
    clean_server.behave({"faults": [fault, {"kind": "rate_limited", "endpoint": "embeddings"}]})
    with pytest.raises(openai.RateLimitError) as refused:
        ask(clean_server, "now please")
    assert refused.value.response.headers["retry-after"] == "2"
    assert ask(clean_server, "later").choices
    with pytest.raises(openai.RateLimitError) as refused:
        clean_server.client().embeddings.create(model="offline-embedding", input="x")
    assert "retry-after" not in refused.value.response.headers


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "server_error"}, openai.InternalServerError),
        ({"kind": "server_error", "status": 503}, openai.InternalServerError),
        ({"kind": "reset"}, openai.APIConnectionError),
        ({"kind": "hang", "seconds": 30}, openai.APITimeoutError),
        ({"kind": "cut_stream"}, openai.APIConnectionError),
    ],
)
def test_a_fault_is_what_the_official_client_sees(clean_server: Server, fault, error):
    clean_server.behave({"faults": [fault]})
    with pytest.raises(error):
        ask(clean_server, timeout=1 if fault["kind"] == "hang" else 60)
    clean_server.behave({})
    assert ask(clean_server).choices


def test_a_stream_is_cut_after_its_first_words(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "cut_stream"}]})
    seen = []
    with pytest.raises(openai.APIConnectionError):
        for chunk in ask(clean_server, stream=True):
            seen.append(chunk.choices[0].delta.content)
    assert "".join(filter(None, seen)).startswith("This is the offline model")


def test_a_slow_stream_waits_between_tokens(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "slow_stream", "seconds": 0.01}]})
    started = time.monotonic()
    text = drain(clean_server)
    assert time.monotonic() - started > 0.01 * 40
    assert text.startswith("This is the offline model")


def test_an_error_may_come_with_status_200(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "error_body"}]})
    reply = ask(clean_server)
    assert reply.choices is None
    assert reply.error["code"] == "overloaded"


def test_broken_arguments_are_no_json(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "broken_arguments"}]})
    reply = ask(clean_server, messages=SUM, tools=[ADD])
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.choices[0].message.tool_calls[0].function.arguments)


def test_endless_tool_calls_never_come_to_an_answer(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "endless_tools"}]})
    messages: list[dict[str, Any]] = list(SUM)
    names = set()
    for _round in range(8):
        message = ask(clean_server, messages=messages, tools=[ADD]).choices[0].message
        (call,) = message.tool_calls
        names.add(call.id)
        messages.append(message.model_dump(include={"role", "content", "tool_calls"}))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": '{"total": 1}'})
    assert len(names) == 8


def test_a_wrong_schema_lacks_what_is_required(clean_server: Server):
    schema = {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "sum", "schema": schema}}
    assert "total" in json.loads(
        ask(clean_server, response_format=wanted).choices[0].message.content
    )
    clean_server.behave({"faults": [{"kind": "wrong_schema"}]})
    reply = ask(clean_server, response_format=wanted)
    assert "total" not in json.loads(reply.choices[0].message.content)


def test_a_fault_may_pass_after_some_times(clean_server: Server):
    clean_server.behave({"faults": [{"kind": "server_error", "times": 2}]})
    seen = []
    for _try in range(4):
        try:
            seen.append(bool(ask(clean_server, "times").choices))
        except openai.InternalServerError:
            seen.append(False)
    assert seen == [False, False, True, True]


def test_faults_come_at_their_rate_and_the_same_ones_every_time():
    profile = parse_profile({"faults": [{"kind": "server_error", "rate": 0.2}]})

    def drawn() -> list[bool]:
        asked = Asked("m", "", "")
        return [
            profile.fault_for(asked, "chat", seed=1, digest=str(n), occurrence=0) is not None
            for n in range(2000)
        ]

    assert drawn() == drawn()
    assert 340 < sum(drawn()) < 460


def test_latency_is_fixed_or_lognormal_per_model(clean_server: Server):
    slow = {"latency": {"first_token": {"fixed_seconds": 0.5}}}
    clean_server.behave({"models": {"offline-standard": slow, "quick": {}}})

    def taken(model: str) -> float:
        started = time.monotonic()
        ask(clean_server, model=model)
        return time.monotonic() - started

    assert taken("offline-standard") >= 0.5
    assert any(taken("quick") < 0.5 for _ in range(20))  # the machine may have been busy
    spread = parse_profile({"latency": {"first_token": {"median_seconds": 1.1, "sigma": 0.3}}})
    seconds = [spread.latency.first_token.at(n / 100) for n in range(1, 100)]
    assert seconds[49] == pytest.approx(1.1)
    assert seconds == sorted(seconds)
    assert seconds[94] == pytest.approx(1.1 * 2.718281828 ** (0.3 * 1.6449), rel=1e-3)


def test_rules_change_accuracy_by_prompt_and_add_up():
    profile = parse_profile(
        {
            "accuracy_ratio": 0.7,
            "rules": [
                {"when": {"prompt_contains": "step by step"}, "accuracy_shift": 0.1},
                {"when": {"prompt_matches": "cite (ISA|IFRS)"}, "accuracy_shift": 0.1},
                {"when": {"prompt_lacks": "never guess"}, "accuracy_shift": -0.2},
                {"when": {"model": "m2"}, "accuracy_ratio": 0.9, "completion_tokens_ratio": 2},
            ],
        }
    )

    def ratio(prompt: str, model: str = "m") -> float:
        return round(profile.behaviour(Asked(model, prompt, ""), MODEL)[0].accuracy_ratio, 6)

    assert ratio("never guess") == 0.7
    assert ratio("Never guess. Think STEP BY STEP.") == 0.8
    assert ratio("Never guess. Step by step; cite ISA 320.") == 0.9
    assert ratio("Answer.") == 0.5
    assert ratio("never guess", "m2") == 0.9
    assert profile.behaviour(Asked("m2", "", ""), MODEL)[0].completion_tokens_ratio == 2


def test_a_costlier_prompt_is_billed_as_reasoning(clean_server: Server):
    rule = {"when": {"prompt_contains": "think"}, "completion_tokens_ratio": 3}
    plain = ask(clean_server).usage.completion_tokens
    clean_server.behave({"rules": [rule]})
    messages = [{"role": "system", "content": "think"}, *HELLO]
    usage = ask(clean_server, messages=messages).usage
    assert usage.completion_tokens == 3 * plain
    assert usage.completion_tokens_details.reasoning_tokens == 2 * plain


def test_the_api_key_is_required_if_the_profile_has_one(clean_server: Server):
    clean_server.behave({"api_key": "sk-right"})
    with pytest.raises(openai.AuthenticationError):
        ask(clean_server)
    client = clean_server.client(api_key="sk-right")
    assert client.chat.completions.create(model="offline-light", messages=HELLO).choices


def test_a_changed_file_is_in_force_without_a_restart(tmp_path: Path):
    path = tmp_path / "profile.yaml"
    path.write_text("faults: [{kind: server_error}]", encoding="utf-8")
    with serve(tmp_path / "state", profile=path) as server:
        with pytest.raises(openai.InternalServerError):
            ask(server)
        rewrite(path, "faults: []", at=2)
        assert ask(server).choices
        rewrite(path, "faults: [{kind: earthquake}]", at=3)
        assert ask(server).choices
        health = httpx.get(f"{server.root}/healthz").json()
        assert "earthquake" in health["problem"]


def rewrite(path: Path, text: str, *, at: int) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (at, at))
    time.sleep(0.3)


def test_a_bad_profile_is_refused_with_every_fault():
    with pytest.raises(InvalidDocument) as refused:
        parse_profile({"accuracy_ratio": 2, "faults": [{"kind": "earthquake"}]})
    assert [fault["path"] for fault in refused.value.faults] == ["accuracy_ratio", "faults/0/kind"]


def test_a_bad_profile_stops_the_start(tmp_path: Path, capfd):
    from agents.offline_model.__main__ import main

    path = tmp_path / "profile.yaml"
    path.write_text("accuracy_ratio: 2", encoding="utf-8")
    assert main(["--profile", str(path), "--state-dir", str(tmp_path)]) == 2
    assert "accuracy_ratio" in capfd.readouterr().err


def test_the_default_is_instant_faultless_and_right():
    profile = Profile()
    behaviour, latency = profile.behaviour(Asked("m", "", ""), MODEL)
    assert behaviour.accuracy_ratio == 1
    assert latency.first_token.at(0.99) == latency.per_token.at(0.99) == 0
    assert profile.fault_for(Asked("m", "", ""), "chat", seed=0, digest="d", occurrence=0) is None
