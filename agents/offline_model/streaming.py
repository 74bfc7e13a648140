"""A completion as server-sent events, token by token at its pace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from agents.offline_model import tokens
from agents.offline_model.engine import Completion

# Without a wait between tokens, so many go into one event: each event costs the client as much.
TOKENS_PER_EVENT = 16

Delta = dict[str, Any]


async def events(
    request: Mapping[str, Any], completion: Completion, hang_up: Callable[[], None]
) -> AsyncIterator[bytes]:
    """The events of a streamed reply. ``hang_up`` ends the connection of a cut one mid-way."""
    with_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    frame = _frame(completion, with_usage=with_usage)
    if completion.first_token_seconds:
        await asyncio.sleep(completion.first_token_seconds)
    deltas = list(_deltas(completion))
    cut_at = None
    if completion.fault is not None and completion.fault.kind == "cut_stream":
        cut_at = max(1, len(deltas) // 2)
    for place, delta in enumerate(deltas):
        if place == cut_at:
            hang_up()
            return
        if completion.per_token_seconds and place:
            await asyncio.sleep(completion.per_token_seconds)
        yield _event(frame(delta, None))
    if cut_at == len(deltas):
        hang_up()
        return
    yield _event(frame({}, completion.finish_reason))
    if with_usage:
        yield _event({**frame({}, None), "choices": [], "usage": completion.usage})
    yield b"data: [DONE]\n\n"


def _frame(
    completion: Completion, *, with_usage: bool
) -> Callable[[Delta, str | None], dict[str, Any]]:
    head = {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": "fp_offline",
    }
    tail = {"usage": None} if with_usage else {}

    def frame(delta: Delta, reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], **tail}

    return frame


def _deltas(completion: Completion) -> Iterator[Delta]:
    step = 1 if completion.per_token_seconds else TOKENS_PER_EVENT
    if not completion.reply.tool_calls:
        yield {"role": "assistant", "content": "", "refusal": None}
        pieces = completion.pieces
        for start in range(0, len(pieces), step):
            yield {"content": "".join(pieces[start : start + step])}
        return
    yield {"role": "assistant", "content": None}
    for index, call in enumerate(completion.reply.tool_calls):
        function = {"name": call.name, "arguments": ""}
        yield {
            "tool_calls": [
                {"index": index, "id": call.id, "type": "function", "function": function}
            ]
        }
        pieces = tuple(tokens.split(call.arguments))
        for start in range(0, len(pieces), step):
            part = {"arguments": "".join(pieces[start : start + step])}
            yield {"tool_calls": [{"index": index, "function": part}]}


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
