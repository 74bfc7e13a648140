"""The parts of a stream, put together as they come, and the clock that is kept on them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from agents.domain import messages
from agents.domain.cost import Usage, usage_from
from agents.endpoints.failures import NO_REPLY
from agents.endpoints.patience import Alarm
from agents.endpoints.values import Failure, Reply, Request

# What common tokenisers average on prose: a stream that ends early tells no count.
BYTES_PER_TOKEN = 4
# Where a stream's tokens come: text, tools, and what a model thinks aloud.
TOKENS = ("content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning",
          "reasoning_details")  # fmt: skip


class Watched(httpx2.SyncByteStream):
    """Ends a stream whose next token, or whose end, is overdue, whatever else it sends: a comment
    that keeps a connection alive is no answer, and the client passes it over."""

    def __init__(self, inner: object, parts: Parts, limit_seconds: float, until: float) -> None:
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


class Parts:
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
        self.alarm: Alarm | None = None

    @property
    def was_cut(self) -> bool:
        """Whether our own side ended the stream before it began."""
        return self.alarm is not None and self.alarm.went_off

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
                if self.alarm is not None and not self.has_begun and not self.alarm.stop():
                    raise Failure("timeout", NO_REPLY)  # nobody has had any of it
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
            return used_of(self.usage)
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
            usage=used_of(self.usage),
            model=self.model or model,
            first_token_seconds=self.first,
        )


def used_of(raw: Mapping[str, Any] | None) -> Usage:
    """What a provider says was used; raises Failure for what makes no sense."""
    try:
        return usage_from(raw)
    except ValueError as error:
        raise Failure("bad_answer", str(error)) from None
