"""One request to one model: sent, limited in time, read with suspicion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import openai
from django.conf import settings
from openai import Stream
from urllib3.exceptions import HTTPError

from agents.endpoints import wire
from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from agents.endpoints.failures import NO_CONNECTION, NO_REPLY, as_failure, refused
from agents.endpoints.parts import Parts, Watched, used_of
from agents.endpoints.patience import Alarm
from agents.endpoints.values import ANY_OBJECT, Failure, Reply, Request, Stopped
from config import tracing
from config.errors import AppError

PATH = "/chat/completions"
NOT_BEGUN = "no answer in twice its usual time, and others may have one"


def try_once(served: Served, request: Request, *, until: float) -> Reply:
    """Ask ``served`` and return its reply by ``until`` (monotonic); raises Failure or Stopped.

    Connecting, a stream's first token and the whole reply have limits of their own (settings).
    """
    left, limits = limits_of(until)
    patience = request.patience_seconds
    if patience is not None and patience >= left:
        patience = None
    connect = limits.connect or left
    if patience is not None and patience < connect:
        connect = patience
    until = time.monotonic() + left
    if request.stream is not None:
        return _streamed(served, request, connect, until, patience)
    try:
        answered = wire.post(
            served,
            PATH,
            body_of(served, request),
            headers=tracing.outgoing(),
            connect_seconds=connect,
            seconds=left,
            first_seconds=patience,
        )
    except HTTPError as error:
        raise _told(as_failure(error, left), patience, until) from error
    if answered.status >= 300:
        raise refused(answered.status, answered.content, answered.headers)
    return whole_reply(answered.content, served)


def _told(failure: Failure, patience: float | None, until: float) -> Failure:
    """The failure, as that of one who was left where its time was not over."""
    if patience is None or failure.code != "timeout" or time.monotonic() >= until:
        return failure
    limit = settings.MODEL_CONNECT_TIMEOUT.total_seconds()
    if failure.why != NO_CONNECTION or patience < limit:
        failure.is_silent, failure.try_again = True, False
        failure.why, failure.limit_seconds = NOT_BEGUN, round(patience, 1)
    return failure


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


def _streamed(
    served: Served, request: Request, connect: float, until: float, patience: float | None
) -> Reply:
    started = time.monotonic()
    left = until - started
    first = min(left, first_token_limit(served))
    head = first if patience is None else min(first, patience)
    waits = httpx2.Timeout(left, connect=connect, read=head)
    parts = Parts(request)
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
            if patience is not None and head == patience:
                stream.response.request.extensions["timeout"]["read"] = first
                parts.alarm = Alarm(stream.response, started + patience - time.monotonic())
            stream.response.stream = Watched(stream.response.stream, parts, first, until)
            for chunk in stream:
                if not isinstance(chunk, Mapping):
                    raise Failure("bad_answer", "a stream event that is no object")
                parts.add(chunk, time.monotonic() - started)
        return parts.reply(served.model)
    except AppError as error:
        raise Stopped(error, parts.used()) from error
    except (Failure, openai.APIError, httpx2.TransportError) as error:
        failure = error if isinstance(error, Failure) else as_failure(error, left)
        if parts.was_cut:
            failure = _told(Failure("timeout", NO_REPLY), patience, until)
        elif parts.alarm is None and head == patience:
            failure = _told(failure, patience, until)
        elif failure.why == NO_REPLY and time.monotonic() < until:
            failure = _silent(parts, first)
        failure.usage = parts.used()
        raise failure from error
    finally:
        if parts.alarm is not None:
            parts.alarm.stop()


def first_token_limit(served: Served) -> float:
    """Seconds that a stream may take to begin: the model's own, else the installation's."""
    if served.first_token_seconds is not None:
        return served.first_token_seconds
    return settings.MODEL_FIRST_TOKEN_TIMEOUT.total_seconds()


def _silent(parts: Parts, limit_seconds: float) -> Failure:
    why = "no more of the stream" if parts.has_begun else "no first token"
    is_early = not parts.has_begun and limit_seconds < settings.MODEL_TIMEOUT.total_seconds()
    return Failure("timeout", why, limit_seconds=limit_seconds, try_again=False, is_early=is_early)


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
        usage=used_of(body.get("usage")),
        model=str(body.get("model") or served.model),
    )


def _call(raw: Mapping[str, Any]) -> dict[str, Any]:
    function = raw["function"]
    return {
        "id": str(raw["id"]),
        "type": "function",
        "function": {"name": str(function["name"]), "arguments": str(function["arguments"])},
    }
