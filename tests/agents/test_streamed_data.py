"""Personal data and secrets in the middle of a stream, however its pieces fall."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread
from typing import Any, Protocol, cast

import openai
import pytest

from agents import versions
from agents.endpoints.directory import forget
from agents.guarding import Guard
from agents.models import Agent, Endpoint, Invocation

pytestmark = pytest.mark.django_db(transaction=True)
FILLER = "The office keeps its papers for as long as the law of the country asks it to do so. "
IBAN = "DE89 3704 0044 0532 0130 00"
PASSPORT = "the passport number of the new customer is C01X00T47, as the copy shows"
KEY = "\n".join(
    ["-----BEGIN PRIVATE KEY-----", *(f"{line:02}" + "aB3" * 20 for line in range(20)),
     "-----END PRIVATE KEY-----"]
)  # fmt: skip
# Where a datum falls on the places at which a stream is parted, whatever they are.
OFFSETS = range(0, 170, 7)


class Speaker(BaseHTTPRequestHandler):
    """An endpoint that says ``said`` in pieces of five characters."""

    said = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not asked.get("stream"):
            message = {"role": "assistant", "content": self.said}
            whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
            self.answer("application/json", json.dumps(whole).encode())
            return
        pieces = [self.said[at : at + 5] for at in range(0, len(self.said), 5)]
        chunks: list[Any] = [{"choices": [{"index": 0, "delta": {"content": p}}]} for p in pieces]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5}})
        events = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events)
        self.answer("text/event-stream", body.encode())

    def answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


class Hear(Protocol):
    chunks: int

    def __call__(self, text: str) -> str: ...


@pytest.fixture
def hear(live_server: Any, agent: Agent, key: str) -> Iterator[Hear]:
    """What a reader hears, as a stream, of what the model says."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Speaker) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Endpoint.objects.update(state="paused")
        served = [{"name": "speaker", "tier": "standard", "context_tokens": 9_000,
                   "capabilities": []}]  # fmt: skip
        address = f"http://127.0.0.1:{server.server_port}/v1"
        Endpoint.objects.create(name="speaker", base_url=address, served=served)
        Agent.objects.update(limits={})  # a model without a price counts as dear
        forget()
        with openai.OpenAI(base_url=f"{live_server.url}/v1", api_key=key) as chat:
            numbers = count()

            def told(text: str) -> str:
                Speaker.said, told.chunks = text, 0  # type: ignore[attr-defined]
                messages: Any = [{"role": "user", "content": f"Question {next(numbers)}"}]
                stream: Any = chat.chat.completions.create(
                    model=f"agent:{agent.slug}", messages=messages, stream=True
                )
                said = []
                for chunk in stream:
                    said += [c.delta.content or "" for c in chunk.choices]
                    told.chunks = sum(map(bool, said))  # type: ignore[attr-defined]
                return "".join(said)

            yield cast("Hear", told)
        server.shutdown()
        thread.join()


def rails(agent: Agent, sources: tuple[str, ...] = (), **rails: str) -> None:
    retrieval = {"sources": list(sources)} if sources else {}
    content = versions.Content(prompt="Answer.", guardrails=rails, retrieval=retrieval)
    versions.publish(agent=agent, content=content, label="production")


def around(datum: str) -> Iterator[tuple[str, str]]:
    """Texts with the datum at every offset, and how they begin."""
    for offset in OFFSETS:
        start = (FILLER * 3)[offset:] + "It reads "
        yield start, start + datum + ". " + FILLER * 2


@pytest.mark.parametrize(
    ("datum", "parts"),
    [(IBAN, IBAN.split()), (PASSPORT, ["C01X00T47"]), ("+44 20 7946 0018", ["7946 0018"]),
     (KEY, ["aB3aB3"]), ("anna.smith@example.com", ["smith"])],
    ids=["iban", "passport", "phone", "key", "mail"],
)  # fmt: skip
def test_what_must_be_masked_is_masked_wherever_the_stream_is_parted(
    hear: Hear, agent: Agent, datum: str, parts: list[str]
) -> None:
    rails(agent, pii="redact", secrets="redact")
    for start, text in around(datum):
        heard = hear(text)
        assert heard.startswith(start) and "⟦" in heard and heard.endswith("asks it to do so. ")
        assert not [part for part in parts if part in heard], heard
    assert heard == Invocation.objects.latest("id").output["text"]


def test_what_may_pass_is_heard_as_it_was_said(hear: Hear, agent: Agent) -> None:
    rails(agent, pii="pass", secrets="pass")
    for _, text in around(IBAN):
        assert hear(text) == text


@pytest.mark.parametrize("action", ["block", "ask"])
def test_what_must_stay_ends_the_stream_before_it_is_heard(
    hear: Hear, agent: Agent, action: str
) -> None:
    rails(agent, pii=action)
    for _, text in list(around(IBAN))[::7]:
        with pytest.raises(openai.APIError) as stopped:
            hear(text)
        assert stopped.value.code == (
            "guardrail_blocked" if action == "block" else "review_required"
        )
        row = Invocation.objects.latest("id")
        assert row.state == "blocked" and "3704" not in json.dumps(row.output)


def test_a_claim_without_support_is_never_heard(hear: Hear, agent: Agent) -> None:
    rails(agent, sources=("Contracts",), unsupported="block")
    with pytest.raises(openai.APIError) as stopped:
        hear(FILLER * 4 + "The fee of Velmora Partners is 9,823.75 EUR. " + FILLER * 4)
    assert stopped.value.code == "guardrail_blocked"
    assert hear.chunks == 0
    rails(agent, sources=("Contracts",), unsupported="flag")
    assert "9,823.75" in hear(FILLER * 4 + "The fee is 9,823.75 EUR.") and hear.chunks > 1


def test_a_script_without_spaces_is_heard_as_it_comes(hear: Hear, agent: Agent) -> None:
    rails(agent, pii="redact")
    text = "事務所は国の法律が求める限り書類を保管します。" * 40
    assert hear(text) == text
    assert hear.chunks > 5


def test_what_has_no_place_to_part_is_looked_at_ever_more_rarely(
    hear: Hear, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    rails(agent, pii="redact")
    looks = []
    released = Guard.released

    def counted(guard: Guard, piece: str, **more: Any) -> Any:
        looks.append(len(piece))
        return released(guard, piece, **more)

    monkeypatch.setattr(Guard, "released", counted)
    text = '[{"account":"cash","side":"debit"}]' * 450
    assert hear(text) == text
    assert sum(looks) < 8 * len(text), (len(looks), sum(looks))
