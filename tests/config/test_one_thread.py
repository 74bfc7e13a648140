"""A request is answered whole by one thread, as Django answers it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import signals
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config import asgi
from config.one_thread import PIECE_BYTES
from monitoring.models import SecurityEvent

pytestmark = pytest.mark.django_db(transaction=True)
seen: list[tuple[str, int]] = []


@csrf_exempt
def plain(request: HttpRequest) -> HttpResponse:
    seen.append(("view", threading.get_ident()))
    return HttpResponse(request.body[::-1])


@csrf_exempt
def endless(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> Any:
        try:
            while True:
                yield b"piece"
        finally:
            seen.append(("closed", threading.get_ident()))

    return StreamingHttpResponse(pieces())


@csrf_exempt
def long(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        try:
            for number in range(200):
                seen.append(("made", threading.get_ident()))
                yield bytes([number]) * PIECE_BYTES
        finally:
            seen.append(("closed", threading.get_ident()))

    return StreamingHttpResponse(pieces())


urlpatterns = [path("v1/plain", plain), path("v1/endless", endless), path("v1/long", long)]


async def ask(
    url: str,
    body: bytes = b"",
    *,
    hang_up_after: int = 10_000,
    inbox: Any = None,
    door: Any = None,
    headers: Any = (),
    query: bytes = b"",
) -> list[Any]:
    """What the web process sends for a POST; the reader hangs up after so many messages."""
    sent: list[Any] = []
    gone = asyncio.Event()
    inbox = inbox or iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        for message in inbox:
            return message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) >= hang_up_after:
            gone.set()
        await asyncio.sleep(0)

    headers = [*headers] or [(b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": url, "headers": headers,
             "query_string": query, "http_version": "1.1", "scheme": "http"}  # fmt: skip
    await (door or asgi.application)(scope, receive, send)
    return sent


@pytest.fixture
def told() -> Iterator[list[tuple[str, int]]]:
    """What happens in a request, and on which thread."""
    seen.clear()

    def started(**_: Any) -> None:
        seen.append(("started", threading.get_ident()))

    def finished(**_: Any) -> None:
        seen.append(("finished", threading.get_ident()))

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    yield seen
    signals.request_started.disconnect(started)
    signals.request_finished.disconnect(finished)


async def test_a_post_is_begun_answered_and_ended_on_one_thread_that_is_not_the_loops(
    told: list[tuple[str, int]], settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    start, body = await ask("/v1/plain", b"abc")
    assert (start["status"], body["body"]) == (200, b"cba")
    assert [name for name, _ in told] == ["started", "view", "finished"]
    assert len({thread for _, thread in told}) == 1
    assert told[0][1] != threading.get_ident()


async def test_a_reader_that_hangs_up_ends_its_stream(
    told: list[tuple[str, int]], settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    sent = await ask("/v1/endless", hang_up_after=5)
    assert sent[1]["body"] == b"piece"
    async with asyncio.timeout(60):
        while "closed" not in [
            name for name, _ in told
        ]:  # the loop ends generators in its own time
            await asyncio.sleep(0.01)
    assert sorted(name for name, _ in told) == ["closed", "finished", "started"]


async def test_a_long_file_is_made_as_its_reader_takes_it(
    told: list[tuple[str, int]], settings: Any
) -> None:
    settings.ROOT_URLCONF = __name__
    sent = await ask("/v1/long", hang_up_after=5)
    assert [one["body"][:1] for one in sent[1:4]] == [b"\0", b"\1", b"\2"]
    made = [thread for name, thread in told if name == "made"]
    assert len(made) < 20, "the rest was never made"
    assert threading.get_ident() not in made, "the loop makes nothing"
    assert [name for name, _ in told if name != "made"] == ["started", "closed", "finished"]
    told.clear()
    whole = await ask("/v1/long")
    assert b"".join(one.get("body", b"") for one in whole[1:]) == b"".join(
        bytes([number]) * PIECE_BYTES for number in range(200)
    )


async def test_a_request_without_an_end_is_cut_off_before_the_disk_is_full_of_it(
    told: list[tuple[str, int]], settings: Any
) -> None:
    settings.REQUEST_BYTES = 2 * settings.FILE_UPLOAD_MAX_MEMORY_SIZE
    chunk = {"type": "http.request", "body": b"x" * 2**18, "more_body": True}
    start, body = await ask("/v1/chat/completions", inbox=iter(lambda: chunk, None))
    assert (start["status"], json.loads(body["body"])["code"]) == (413, "too_large")
    assert told == []  # nobody was asked to answer it


async def test_what_middleware_adds_and_refuses_is_there() -> None:
    start, body = await ask("/v1/chat/completions", b"{}")
    headers = dict(start["headers"])
    assert start["status"] == 401
    assert json.loads(body["body"])["error"]["code"] == "invalid_api_key"
    assert headers[b"X-Content-Type-Options"] == b"nosniff"
    assert headers[b"X-Frame-Options"] == b"DENY"
    assert len(headers[b"X-Request-ID"]) == 32


HOST = (b"host", b"localhost")


@pytest.mark.parametrize(
    ("url", "headers", "query", "status"),
    [
        (asgi.CHATS, [HOST], b"", 401),
        (asgi.CHATS, [HOST, (b"x-request-id", b"given-by-us")], b"", 401),
        (asgi.CHATS, [(b"host", b"elsewhere.example")], b"", 400),
        (asgi.CHATS, [HOST], b"a=%00", 400),
        ("/api/v1/agents", [HOST, (b"authorization", b"Bearer nonsense")], b"", 401),
        ("/api/v1/nothing", [HOST, (b"authorization", b"bearer nonsense")], b"", 404),
        ("/webhooks/dialogflow", [HOST, (b"authorization", b"Bearer nonsense")], b"", 401),
    ],
)
async def test_who_asks_with_a_key_is_guarded_as_everybody_without_what_only_sessions_need(
    url: str, headers: Any, query: bytes, status: int
) -> None:
    told = []
    for door in (asgi.application, asgi.keyed, asgi.pages_and_api):
        start, body = await ask(url, b"{}", door=door, headers=headers, query=query)
        said = {name.lower(): value for name, value in start["headers"]}
        own = said.pop(b"x-request-id")
        assert own == b"given-by-us" or len(own) == 32
        told.append((start["status"], said, json.loads(body["body"])))
    assert told[0] == told[1] == told[2]
    assert told[0][0] == status
    assert told[0][1][b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize(
    ("url", "more", "is_keyed"),
    [
        (asgi.CHATS, {}, True),
        (asgi.WEBHOOK, {}, True),
        (asgi.WEBHOOK, {b"cookie": b"sessionid=a"}, False),
        (asgi.CHATS, {b"cookie": b"sessionid=a"}, False),
        (asgi.CHATS + "/", {}, False),
        ("/api/v1/runs", {b"authorization": b"Bearer rk_abc"}, True),
        ("/api/v1/runs", {b"authorization": b"Bearer rk_abc", b"cookie": b"sessionid=a"}, False),
        ("/api/v1/runs", {}, False),
        ("/dashboard", {b"authorization": b"Bearer rk_abc"}, False),
    ],
)
async def test_whoever_may_have_a_session_gets_what_sessions_need(
    monkeypatch: pytest.MonkeyPatch, url: str, more: dict[bytes, bytes], is_keyed: bool
) -> None:
    used: list[str] = []

    def door(name: str) -> Any:
        async def answer(*_: Any) -> None:
            used.append(name)

        return answer

    monkeypatch.setattr(asgi, "keyed", door("keyed"))
    monkeypatch.setattr(asgi, "pages_and_api", door("all"))
    await ask(url, headers=[HOST, *more.items()])
    assert used == ["keyed" if is_keyed else "all"]


async def test_a_wrong_key_at_the_short_door_is_an_attack_as_at_every_other(
    settings: Any,
) -> None:
    settings.ADDRESS_TRIES, settings.LOCK_OUT = 2, timedelta(seconds=61)  # counted apart
    key = (b"authorization", b"Bearer rk_wrong")
    told = [(await ask(asgi.CHATS, b"{}", headers=[HOST, key]))[0]["status"] for _ in range(3)]
    assert told == [401, 429, 429]

    def look() -> list[str]:
        try:
            return list(SecurityEvent.objects.values_list("kind", flat=True))
        finally:
            connections.close_all()  # of the thread that answered, too: it is the only one

    found = await asyncio.get_running_loop().run_in_executor(asgi.keyed._pool, look)
    assert found == ["key_misuse"]
