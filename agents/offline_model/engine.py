"""One chat completion, from the bytes of a request to what is to be sent and when."""

from __future__ import annotations

import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.offline_model import tokens
from agents.offline_model.answering import Behaviour, Reply, answer
from agents.offline_model.inputs import text_of
from agents.offline_model.profile import Asked, Fault, Latency, ModelProfile, ProfileSource
from agents.offline_model.protocol import ApiError, bad, check_chat, model_not_found, read_json
from agents.offline_model.quality import draw
from agents.offline_model.tuning import TunedModels

# Bodies whose occurrences are counted; beyond it the least recently seen starts again at 0.
MAX_COUNTED_BODIES = 50_000
SLOW_STREAM_SECONDS = 0.5
# What ends an agent's prompt; another in every installation, so no draw may hang on it.
_MARK = re.compile(rb"\[rk-[0-9a-f]{16}\]")

Usage = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer ready to send. ``pieces`` are its tokens; waits are in seconds."""

    id: str
    created: int
    model: str
    reply: Reply
    pieces: tuple[str, ...]
    finish_reason: str
    usage: Usage
    first_token_seconds: float
    per_token_seconds: float
    fault: Fault | None

    def message(self) -> dict[str, Any]:
        """The assistant's message."""
        if not self.reply.tool_calls:
            return {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in self.reply.tool_calls
        ]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}

    def body(self) -> dict[str, Any]:
        """The response of a request that doesn't stream."""
        choice = {
            "index": 0,
            "message": self.message(),
            "logprobs": None,
            "finish_reason": self.finish_reason,
        }
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": self.usage,
            "service_tier": "default",
            "system_fingerprint": "fp_offline",
        }


class Engine:
    """What the server knows while it runs: seed, profile, tuned models, cached prefixes."""

    def __init__(self, *, seed: int, profile: ProfileSource, tuned: TunedModels) -> None:
        self.seed, self.profile, self.tuned = seed, profile, tuned
        self._prefixes = tokens.PrefixCache()
        self._occurrences: OrderedDict[str, int] = OrderedDict()

    def model(self, name: object, kind: str) -> ModelProfile:
        """The model ``name`` (a tuned one behaves as its base); raises ApiError 404 or 400."""
        models = self.profile.current().models
        found = models.get(self.tuned.base_of(name) or name) if isinstance(name, str) else None
        if found is None:
            raise model_not_found(name)
        if found.kind != kind:
            raise bad("model", f"{name!r} is a model for {found.kind}, not for {kind}")
        return found

    def digest(self, raw: bytes) -> str:
        """The request's own digest: what every draw for it is made from."""
        seeded = self.seed.to_bytes(16, "big", signed=True)
        unmarked = _MARK.sub(b"", raw)
        return hashlib.blake2b(unmarked, digest_size=12, salt=seeded).hexdigest()

    def forget_occurrences(self) -> None:
        """Count every body from 0 again: another profile is in force."""
        self._occurrences.clear()

    def occurrence(self, digest: str) -> int:
        """How often this body was asked before, so that a retry may fare better."""
        seen = self._occurrences.pop(digest, 0)
        self._occurrences[digest] = seen + 1
        if len(self._occurrences) > MAX_COUNTED_BODIES:
            self._occurrences.popitem(last=False)
        return seen

    def fault(self, endpoint: str, asked: Asked, digest: str) -> Fault | None:
        """The fault that the profile draws for this request."""
        profile = self.profile.current()
        if not profile.faults:
            return None
        occurrence = self.occurrence(digest)
        return profile.fault_for(
            asked, endpoint, seed=self.seed, digest=digest, occurrence=occurrence
        )

    def complete(self, raw: bytes) -> tuple[Mapping[str, Any], Completion]:
        """The request read, and its completion; raises ApiError."""
        request = read_json(raw)
        check_chat(request)
        model = self.model(request["model"], "chat")
        asked = asked_of(request)
        digest = self.digest(raw)
        fault = self.fault("chat", asked, digest)
        raise_status(fault)
        behaviour, latency = self.profile.current().behaviour(asked, model)
        trained = self.tuned.answer(request["model"], asked.user)
        reply = answer(
            request, _with_fault(behaviour, fault), seed=self.seed, trained=trained, key=digest
        )
        parts = tokens.prompt_text(request)
        prompt = tokens.prompt_tokens(parts)
        if prompt > model.context_tokens:
            message = f"{prompt} tokens are over the model's context of {model.context_tokens}"
            raise bad("messages", message, "context_length_exceeded")
        pieces, finish_reason = cut(reply, request)
        usage = self._usage(request["model"], parts, prompt, reply, pieces, behaviour)
        first, per_token = _waits(latency, fault, digest)
        return request, Completion(
            id=f"chatcmpl-{digest}",
            created=int(time.time()),
            model=request["model"],
            reply=reply,
            pieces=pieces,
            finish_reason=finish_reason,
            usage=usage,
            first_token_seconds=first,
            per_token_seconds=per_token,
            fault=fault,
        )

    def _usage(
        self,
        model: str,
        parts: list[str],
        prompt: int,
        reply: Reply,
        pieces: tuple[str, ...],
        behaviour: Behaviour,
    ) -> Usage:
        written = len(pieces) or sum(
            tokens.count(call.name) + tokens.count(call.arguments) for call in reply.tool_calls
        )
        total = max(1, round(written * behaviour.completion_tokens_ratio))
        cached = self._prefixes.cached_tokens(model, parts, prompt)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": total,
            "total_tokens": prompt + total,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": max(0, total - written),
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }


def asked_of(request: Mapping[str, Any]) -> Asked:
    """What a profile's conditions look at in a chat request."""
    system, user = [], ""
    for message in request["messages"]:
        if message["role"] in ("system", "developer"):
            system.append(text_of(message))
        elif message["role"] == "user":
            user = text_of(message)
    return Asked(request["model"], "\n".join(system), user)


def raise_status(fault: Fault | None) -> None:
    """Raise the ApiError of a fault that is a status code."""
    if fault is None:
        return
    if fault.kind == "rate_limited":
        raise ApiError(
            429,
            "Rate limit reached for requests.",
            api_code="rate_limit_exceeded",
            retry_after_seconds=fault.retry_after_seconds,
        )
    if fault.kind == "server_error":
        raise ApiError(fault.status, "The server had an error while processing your request.")


def cut(reply: Reply, request: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The reply's tokens up to a stop sequence or the limit, and why it ended."""
    if reply.tool_calls:
        return (), "tool_calls"
    text = reply.text
    stops = request.get("stop") or ()
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0] if stop else text
    pieces = tuple(tokens.split(text))
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if limit is not None and len(pieces) > limit:
        return pieces[:limit], "length"
    return pieces, "stop"


def _with_fault(behaviour: Behaviour, fault: Fault | None) -> Behaviour:
    kind = fault.kind if fault else None
    return replace(
        behaviour,
        broken_arguments=kind == "broken_arguments",
        wrong_schema=kind == "wrong_schema",
        endless_tools=kind == "endless_tools",
    )


def _waits(latency: Latency, fault: Fault | None, digest: str) -> tuple[float, float]:
    first = latency.first_token.at(draw("first token", digest))
    per_token = latency.per_token.at(draw("per token", digest))
    if fault is not None and fault.kind == "slow_stream":
        per_token = SLOW_STREAM_SECONDS if fault.seconds is None else fault.seconds
    return first, per_token
