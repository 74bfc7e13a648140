"""One request to one model: sent, limited in time, read with suspicion."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import openai
from django.conf import settings
from openai import Stream
from urllib3.exceptions import HTTPError

from agents.domain import messages
from agents.domain.cost import Usage, usage_from
from agents.endpoints import wire
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from agents.endpoints.failures import NO_REPLY, as_failure, refused
from agents.endpoints.values import ANY_OBJECT, Failure, Reply, Request, Stopped
from config import tracing
from config.errors import AppError

PATH = "/chat/completions"
# What common tokenisers average on prose: a stream that ends early tells no count.
BYTES_PER_TOKEN = 4
# Where a stream's tokens come: text, tools, and what a model thinks aloud.
TOKENS = ("content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning",
          "reasoning_details")  # fmt: skip


def try_once(served: Served, request: Request, *, until: float) -> Reply:
    """Ask ``served`` and return its reply by ``until`` (monotonic); raises Failure or Stopped.

    Connecting, a stream's first token and the whole reply have limits of their own (settings).
    """
    left, limits = limits_of(until)
    try:
        if request.stream is not None:
            return _streamed(served, request, limits, time.monotonic() + left)
        answered = wire.post(
            served,
            PATH,
            body_of(served, request),
            headers=tracing.outgoing(),
            connect_seconds=limits.connect or left,
            seconds=left,
        )
    except HTTPError as error:
        raise as_failure(error, left) from error
    if answered.status >= 300:
        raise refused(answered.status, answered.content, answered.headers)
    return whole_reply(answered.content, served)


def limits_of(until: float) -> tuple[float, httpx2.Timeout]:
    """Seconds left for one whole reply, and the same as limits of a request; raises Failure."""
    left = min(until - time.monotonic(), settings.MODEL_TIMEOUT.total_seconds())
    if left <= 0:
        raise Failure("timeout", "no time left", try_again=False)
    connect = min(left, settings.MODEL_CONNECT_TIMEOUT.total_seconds())
    return left, httpx2.Timeout(left, connect=connect)


def whole_reply(content: bytes, served: Served) -> Reply:
    """The reply that a whole body holds; raises Failure."""
    return reply_of(_json(content), served)


def body_of(served: Served, request: Request) -> dict[str, Any]:
    """The request as the protocol writes it."""
    body: dict[str, Any] = {
        "model": served.model,
        "messages": request.messages,
        "max_completion_tokens": request.max_output_tokens,
        **request.extra,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = list(request.tools)
        if request.tool_choice:
            body["tool_choice"] = request.tool_choice
    if request.stop:
        body["stop"] = list(request.stop)
    if request.response_schema == ANY_OBJECT:
        body["response_format"] = {"type": "json_object"}
    elif request.response_schema is not None:
        shape = {"schema": request.response_schema, "strict": request.is_strict}
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", **shape},
        }
    if request.stream is not None:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _streamed(served: Served, request: Request, limits: httpx2.Timeout, until: float) -> Reply:
    started = time.monotonic()
    left = until - started
    first = min(left, first_token_limit(served))
    waits = httpx2.Timeout(left, connect=limits.connect, read=first)
    parts = _Parts(request)
    try:
        stream = client_for(served).post(
            PATH,
            cast_to=object,
            body=body_of(served, request),
            options={"timeout": waits, "headers": tracing.outgoing()},
            stream=True,
            stream_cls=Stream[object],
        )
        with stream:
            stream.response.stream = _Watched(stream.response.stream, parts, first, until)
            for chunk in stream:
                if not isinstance(chunk, Mapping):
                    raise Failure("bad_answer", "a stream event that is no object")
                parts.add(chunk, time.monotonic() - started)
        return parts.reply(served.model)
    except AppError as error:
        raise Stopped(error, parts.used()) from error
    except (Failure, openai.APIError, httpx2.TransportError) as error:
        failure = error if isinstance(error, Failure) else as_failure(error, left)
        if failure.why == NO_REPLY and time.monotonic() < until:
            failure = _silent(parts, first)
        failure.usage = parts.used()
        raise failure from error


def first_token_limit(served: Served) -> float:
    """Seconds that a stream may take to begin: the model's own, else the installation's."""
    if served.first_token_seconds is not None:
        return served.first_token_seconds
    return settings.MODEL_FIRST_TOKEN_TIMEOUT.total_seconds()


def _silent(parts: _Parts, limit_seconds: float) -> Failure:
    why = "no more of the stream" if parts.has_begun else "no first token"
    is_early = not parts.has_begun and limit_seconds < settings.MODEL_TIMEOUT.total_seconds()
    return Failure("timeout", why, limit_seconds=limit_seconds, try_again=False, is_early=is_early)


class _Watched(httpx2.SyncByteStream):
    """Ends a stream whose next token, or whose end, is overdue, whatever else it sends: a comment
    that keeps a connection alive is no answer, and the client passes it over."""

    def __init__(self, inner: object, parts: _Parts, limit_seconds: float, until: float) -> None:
        self._inner, self._parts = inner, parts
        self._limit_seconds, self._until = limit_seconds, until

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:  # type: ignore[attr-defined]
            now = time.monotonic()
            is_silent = now - self._parts.last_at > self._limit_seconds
            if now > self._until or (is_silent and not self._parts.finish):
                raise httpx2.ReadTimeout("the stream took too long")
            yield piece

    def close(self) -> None:
        self._inner.close()  # type: ignore[attr-defined]


class _Parts:
    """What a stream has brought so far."""

    def __init__(self, request: Request) -> None:
        self._emit, self._messages = request.stream, request.messages
        self.text: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish = ""
        self.model = ""
        self.usage: Mapping[str, Any] | None = None
        self.first: float | None = None
        self.has_begun = False
        self.last_at = time.monotonic()

    def add(self, chunk: Mapping[str, Any], seconds: float) -> None:
        if error := chunk.get("error"):
            raise Failure("unavailable", f"an error inside the stream: {error}"[:300])
        self.model = str(chunk.get("model") or self.model)
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            self.finish = choice.get("finish_reason") or self.finish
            if self.first is None and (delta.get("content") or delta.get("tool_calls")):
                self.first = seconds
            if self.finish or any(delta.get(name) for name in TOKENS):
                self.has_begun, self.last_at = True, time.monotonic()
            if text := delta.get("content"):
                self.text.append(text)
                if self._emit is not None:
                    self._emit(text)
            for part in delta.get("tool_calls") or ():
                self._add_call(part)

    def _add_call(self, part: Mapping[str, Any]) -> None:
        call = self.calls.setdefault(
            int(part.get("index") or 0),
            {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        )
        call["id"] = part.get("id") or call["id"]
        function = part.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    def used(self) -> Usage:
        """What has been used so far: as told, else counted at the usual size of a token."""
        if self.usage is not None or self.first is None:
            return _used(self.usage)
        asked = [call["function"]["arguments"] for call in self.calls.values()]
        said = sum(len(text.encode()) for text in (*self.text, *asked))
        read = messages.byte_size(self._messages)
        return Usage(input=math.ceil(read / BYTES_PER_TOKEN),
                     output=math.ceil(said / BYTES_PER_TOKEN))  # fmt: skip

    def reply(self, model: str) -> Reply:
        if not self.finish:
            raise Failure("unavailable", "the stream ended before the answer did")
        return Reply(
            text="".join(self.text),
            tool_calls=tuple(self.calls[index] for index in sorted(self.calls)),
            finish_reason=self.finish,
            usage=_used(self.usage),
            model=self.model or model,
            first_token_seconds=self.first,
        )


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        raise Failure("bad_answer", f"the body is not JSON: {content[:80]!r}") from None
    if not isinstance(body, Mapping):
        raise Failure("bad_answer", "the body is not a JSON object")
    return body


def reply_of(body: Mapping[str, Any], served: Served) -> Reply:
    """A whole reply as read; raises Failure for what is none."""
    if error := body.get("error"):
        raise Failure("unavailable", f"200 with an error body: {error}"[:300])
    try:
        choice = body["choices"][0]
        message = choice["message"]
        calls = tuple(_call(call) for call in message.get("tool_calls") or ())
    except (KeyError, IndexError, TypeError) as fault:
        raise Failure("bad_answer", f"a reply without {fault}") from None
    text = message.get("content") or ""
    if message.get("refusal") and not text:
        text = str(message["refusal"])
    return Reply(
        text=text,
        tool_calls=calls,
        finish_reason=str(choice.get("finish_reason") or ""),
        usage=_used(body.get("usage")),
        model=str(body.get("model") or served.model),
    )


def _used(raw: Mapping[str, Any] | None) -> Usage:
    try:
        return usage_from(raw)
    except ValueError as error:
        raise Failure("bad_answer", str(error)) from None


def _call(raw: Mapping[str, Any]) -> dict[str, Any]:
    function = raw["function"]
    return {
        "id": str(raw["id"]),
        "type": "function",
        "function": {"name": str(function["name"]), "arguments": str(function["arguments"])},
    }
