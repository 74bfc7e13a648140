"""What a provider may say that is no JSON or no count: an error with its reason, all on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from agents import versions
from agents.endpoints.directory import forget
from agents.models import Agent, Budget, Endpoint, Invocation, ModelCall
from monitoring.models import Measurement

pytestmark = pytest.mark.django_db


class Odd(BaseHTTPRequestHandler):
    """An endpoint that answers what a test says."""

    content = "{}"
    usage = '{"prompt_tokens": 5, "completion_tokens": 5}'

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = (
            '{"model": "odd", "choices": [{"finish_reason": "stop", "message": {"role": '
            f'"assistant", "content": {json.dumps(self.content)}}}}}], "usage": {self.usage}}}'
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def odd(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Odd]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        Endpoint.objects.create(
            name="odd", base_url=f"http://127.0.0.1:{server.server_port}/v1",
            served=[{"name": "odd", "tier": "standard", "context_tokens": 9000,
                     "capabilities": ["json_schema"]}],
        )  # fmt: skip
        monkeypatch.setattr(Odd, "content", Odd.content)
        monkeypatch.setattr(Odd, "usage", Odd.usage)
        forget()
        yield Odd
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("content", "usage", "reason"),
    [
        ('{"x": NaN}', "", "NaN is no number of JSON"),
        ('{"x": 1e999}', "", "1e999 is no number under 1.8e308"),
        ("[" * 1200, "", "nested too deeply"),
        ("{}", '{"prompt_tokens": NaN}', "usage.prompt_tokens: got nan"),
        ("{}", '{"prompt_tokens": 5, "completion_tokens": -1}', "usage.completion_tokens: got -1"),
        ("{}", '{"prompt_tokens": 1e999}', "usage.prompt_tokens: got inf"),
        ("{}", '{"prompt_tokens": 1, "prompt_tokens_details": 7}', ""),
    ],
)
def test_a_reply_with_no_number_in_it_is_an_answer_or_an_error_and_is_on_record(
    odd: type[Odd], agent: Agent, api: Any, content: str, usage: str, reason: str
) -> None:
    shape = versions.Content(prompt="Answer.", output_schema={"type": "object"})
    versions.publish(agent=agent, content=shape, label="production")
    Agent.objects.update(limits={})
    odd.content, odd.usage = content, usage or odd.usage
    answer = api(
        "post", f"/api/v1/agents/{agent.slug}/invocations", {"inputs": agent.cases[0]["input"]}
    )
    assert answer.status_code == 200, answer.content
    row = Invocation.objects.get()
    assert (row.state == "fallback") is bool(reason), row.error
    tries = list(ModelCall.objects.order_by("number"))
    told = json.dumps([row.error, *(one.answer for one in tries)])
    assert reason in told, told
    assert row.cost_usd == sum(one.cost_usd for one in tries) >= 0
    assert not Budget.objects.filter(held_usd__gt=0).exists()
    assert Measurement.objects.filter(names__contains=["invocations"]).exists()
