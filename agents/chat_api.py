"""``/v1/chat/completions`` and ``/v1/models``: any agent, for the official ``openai`` client."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from agents import chat_request, conversations, doors, interactive, pacing
from agents.calls import Answer, Call
from agents.chat_request import PREFIX
from agents.domain.messages import text_of
from agents.interactive import Channel
from agents.invoke import invoke
from agents.models import Agent
from config.access import attempts, callers
from config.access.callers import Caller
from config.errors import AppError, InvalidInput, NotFound
from config.outages import outage_of

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponse | StreamingHttpResponse]

# The protocol's families of errors by HTTP status.
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
          404: "invalid_request_error", 409: "invalid_request_error",
          402: "insufficient_quota", 429: "rate_limit_error"}  # fmt: skip


class BadKey(AppError):
    """No key, or one that is unknown, revoked or expired."""

    code, http_status = "invalid_api_key", 401

    def __str__(self) -> str:
        return "send Authorization: Bearer rk_… with a key that is alive"


class MissingScope(AppError):
    """The key may not talk to agents."""

    code, http_status = "insufficient_permissions", 403

    def __str__(self) -> str:
        return "this key lacks the scope agents:invoke"


def openai_errors(view: View) -> View:
    """Render errors as the protocol has them."""

    @wraps(view)
    def answer(request: HttpRequest, **path: str) -> HttpResponse | StreamingHttpResponse:
        try:
            return view(request, **path)
        except AppError as error:
            return error_response(error)
        except Exception as error:
            if outage := outage_of(error):
                logger.warning("agents.chat.met_an_outage", exc_info=error)
                return error_response(outage)
            logger.exception("agents.chat.failed")
            return JsonResponse(
                {"error": {"message": "something broke on our side", "type": "server_error",
                           "param": None, "code": "internal_error"}}, status=500,
            )  # fmt: skip

    return answer


@csrf_exempt
@openai_errors
def chat_completions(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Answer a chat by an agent, at once or as a stream. A session is not enough: send a key."""
    if request.method != "POST":
        raise InvalidInput("method", request.method, "POST")
    caller = _caller(request)
    asked = chat_request.body_of(request)
    call, model = chat_request.call_of(caller, asked)
    if not asked.get("stream"):
        with interactive.place(), pacing.at_work():
            answer = _answer(call)
        return JsonResponse(_completion(answer, model))
    live = replace(call, is_live=True)
    channel = interactive.start(lambda emit: _answer(replace(live, stream=emit)))
    kind, value = channel.first()
    if kind == "failed":
        if isinstance(value, AppError):
            return error_response(value)
        raise value
    usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    # Its chunks name it before it is stored.
    chunks = _Chunks(channel, model, call.invocation_id, usage)
    response = StreamingHttpResponse(
        chunks.async_lines() if isinstance(request, ASGIRequest) else chunks.lines(),
        content_type="text/event-stream",
    )
    response["Cache-Control"] = "no-cache"
    response["X-Accel-Buffering"] = "no"
    return response


@openai_errors
def models(request: HttpRequest) -> HttpResponse:
    """The agents that the key may talk to, as models."""
    return JsonResponse({"object": "list", "data": list(_models(_caller(request)))})


@openai_errors
def one_model(request: HttpRequest, name: str) -> HttpResponse:
    """An agent that the key may talk to, as a model."""
    caller, slug = _caller(request), name.removeprefix(PREFIX)
    found = next(_models(caller, slug=slug), None) if name.startswith(PREFIX) else None
    if found is None:
        raise NotFound("model", name)
    return JsonResponse(found)


def _models(caller: Caller, **chosen: str) -> Iterator[dict[str, Any]]:
    rows = Agent.objects.exclude(state=Agent.State.RETIRED).filter(**chosen)
    if caller.roles and caller.roles <= {doors.EXTERNAL}:
        rows = rows.filter(audience=Agent.Audience.EXTERNAL)
    for slug, at in rows.order_by("slug").values_list("slug", "created_at"):
        yield {"id": f"{PREFIX}{slug}", "object": "model", "created": int(at.timestamp()),
               "owned_by": "ratchet"}  # fmt: skip


def error_response(error: AppError) -> JsonResponse:
    """An AppError in the protocol's shape; 422 is 400 there."""
    status = 400 if error.http_status == 422 else error.http_status
    fields = error.fields()
    body = {
        "error": {
            "message": str(error),
            "type": _TYPES.get(status, "server_error"),
            "param": fields.get("field"),
            "code": error.code,
        }
    }
    response = JsonResponse(body, status=status)
    if wait := fields.get("retry_after_seconds"):
        response["Retry-After"] = str(wait)
    return response


def _caller(request: HttpRequest) -> Caller:
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    caller = callers.of_key(token.strip()) if kind.lower() == "bearer" else None
    if caller is None:
        if token:
            attempts.refuse_wrong_key(token.strip(), request)
        raise BadKey
    if not caller.has("agents:invoke"):
        raise MissingScope
    return caller


def _answer(call: Call) -> Answer:
    """Invoke, and add the turn to the conversation that it belongs to."""
    answer = invoke(call)
    if call.conversation_id is not None and call.messages:
        conversations.note(
            talk_id=call.conversation_id,
            asked=text_of(call.messages[-1]),
            answered=str(answer.output.get("text") or ""),
            invocation_id=answer.invocation_id,
            went=answer.went,
        )
    return answer


def _completion(answer: Answer, model: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.output.get("text") or None,
        "refusal": None,
    }
    if calls := answer.output.get("tool_calls"):
        message["tool_calls"] = calls
    return {
        "id": f"chatcmpl-{answer.invocation_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": str(answer.version_id),
        "choices": [
            {"index": 0, "message": message, "finish_reason": _finish(answer), "logprobs": None}
        ],
        "usage": _usage(answer),
        "is_fallback": answer.is_fallback,
    }


def _finish(answer: Answer) -> str:
    if answer.output.get("tool_calls"):
        return "tool_calls"
    return "length" if answer.output.get("truncated") else "stop"


def _usage(answer: Answer) -> dict[str, int]:
    total = answer.input_tokens + answer.output_tokens
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": total,
    }


class _Chunks:
    """The events of a channel as the protocol's stream."""

    def __init__(
        self, channel: Channel, model: str, invocation_id: UUID | None, include_usage: bool
    ) -> None:
        self._channel, self._model, self._usage = channel, model, include_usage
        self._id, self._created = f"chatcmpl-{invocation_id}", int(time.time())
        self._said = False

    def lines(self) -> Iterator[bytes]:
        for event in self._channel:
            yield from self._render(*event)

    async def async_lines(self) -> AsyncIterator[bytes]:
        async for event in self._channel:
            for line in self._render(*event):
                yield line

    def _render(self, kind: str, value: Any) -> Iterator[bytes]:
        if kind == "text":
            yield self._chunk(self._first(content=value))
            return
        if kind == "failed":
            body = (
                json.loads(error_response(value).content)
                if isinstance(value, AppError)
                else {"error": {"message": "something broke on our side",
                                "type": "server_error", "param": None, "code": "internal_error"}}
            )  # fmt: skip
            yield _event(body)
            return
        yield from self._end(value)

    def _first(self, **delta: Any) -> dict[str, Any]:
        """A delta; the first of a message says whose it is."""
        told = delta if self._said else {"role": "assistant", "content": None, **delta}
        self._said = True
        return told

    def _end(self, answer: Answer) -> Iterator[bytes]:
        if not self._said and answer.output.get("text"):  # a fallback says nothing on the way
            yield self._chunk(self._first(content=str(answer.output["text"])))
        if calls := answer.output.get("tool_calls"):
            asked = [{"index": index, **one} for index, one in enumerate(calls)]
            yield self._chunk(self._first(tool_calls=asked))
        yield self._chunk({}, _finish(answer), is_fallback=answer.is_fallback)
        if self._usage:
            yield self._chunk(None, usage=_usage(answer))
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
        choices = (
            [] if delta is None
            else [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        )  # fmt: skip
        body = {"id": self._id, "object": "chat.completion.chunk", "created": self._created,
                "model": self._model, "choices": choices, **more}  # fmt: skip
        return _event(body)


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
