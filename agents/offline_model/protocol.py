"""The OpenAI protocol's shapes: requests checked, replies and errors built."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from config.errors import AppError

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
TOOL_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
MAX_TOOLS = 128
MAX_STOP_SEQUENCES = 4
FORMATS = frozenset({"text", "json_object", "json_schema"})


class ApiError(AppError):
    """An error in OpenAI's shape; ``api_code`` and ``param`` are what its clients read.

    ``retry_after_seconds`` becomes the header of a rate limit.
    """

    code = "offline_model_error"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        api_code: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(status, message)
        self.status, self.message, self.param, self.api_code = status, message, param, api_code
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return self.message

    def body(self) -> dict[str, Any]:
        """The error as the response's JSON."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        kind = "rate_limit_error" if self.status == 429 else kind
        error = {
            "message": self.message,
            "type": kind,
            "param": self.param,
            "code": self.api_code,
        }
        return {"error": error}


def bad(param: str, message: str, api_code: str | None = None) -> ApiError:
    """400 for the parameter ``param``."""
    return ApiError(400, message, param=param, api_code=api_code)


def model_not_found(name: object) -> ApiError:
    """404, as for a model that does not exist or is not yours."""
    message = f"The model {name!r} does not exist or you do not have access to it."
    return ApiError(404, message, param="model", api_code="model_not_found")


def read_json(raw: bytes) -> dict[str, Any]:
    """The body as an object; raises ApiError 400."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(value, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return value


def check_chat(request: Mapping[str, Any]) -> None:
    """Refuse a chat-completions request that the real API refuses; raises ApiError 400."""
    if not isinstance(request.get("model"), str):
        raise bad("model", "you must provide a model parameter")
    _check_messages(request.get("messages"))
    _check_tools(request.get("tools"))
    if request.get("n") not in (None, 1):
        raise bad("n", f"n must be 1, got {request['n']!r}", "unsupported_value")
    for name in ("max_completion_tokens", "max_tokens"):
        limit = request.get(name)
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise bad(name, f"{name} must be an integer of at least 1, got {limit!r}")
    _check_range(request, "temperature", 0, 2)
    _check_range(request, "top_p", 0, 1)
    stop = request.get("stop")
    if isinstance(stop, list) and len(stop) > MAX_STOP_SEQUENCES:
        raise bad("stop", f"at most {MAX_STOP_SEQUENCES} stop sequences, got {len(stop)}")
    _check_format(request.get("response_format"))


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("messages", "messages must be a list with at least one message")
    waiting: set[str] = set()
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            role = message.get("role") if isinstance(message, dict) else message
            raise bad(where, f"{where}.role must be one of {sorted(ROLES)}, got {role!r}")
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise bad(where, f"{where}.content must be a string or a list of parts")
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise bad(where, f"{where}: a tool message must answer a preceding tool call")
            waiting.discard(message["tool_call_id"])
        elif waiting:
            raise bad(where, f"tool calls without an answer: {', '.join(sorted(waiting))}")
        for call in message.get("tool_calls") or ():
            if not isinstance(call, dict) or "id" not in call or "function" not in call:
                raise bad(where, f"{where}.tool_calls: each needs an id and a function")
            waiting.add(call["id"])
    if waiting:
        raise bad("messages", f"tool calls without an answer: {', '.join(sorted(waiting))}")


def _check_tools(tools: object) -> None:
    if tools is None:
        return
    if not isinstance(tools, list) or not 1 <= len(tools) <= MAX_TOOLS:
        raise bad("tools", f"tools must be a list of 1 to {MAX_TOOLS}")
    for place, tool in enumerate(tools):
        where = f"tools[{place}].function.name"
        function = tool.get("function") if isinstance(tool, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            message = f"{where}: {name!r} does not match {TOOL_NAME.pattern}"
            raise bad(where, message, "invalid_value")


def _check_range(request: Mapping[str, Any], name: str, low: float, high: float) -> None:
    value = request.get(name)
    if value is not None and not (isinstance(value, int | float) and low <= value <= high):
        raise bad(name, f"{name} must be a number from {low} to {high}, got {value!r}")


def _check_format(wanted: object) -> None:
    if wanted is None:
        return
    if not isinstance(wanted, dict) or wanted.get("type") not in FORMATS:
        raise bad("response_format", f"response_format.type must be one of {sorted(FORMATS)}")
    if wanted["type"] == "json_schema":
        described = wanted.get("json_schema")
        if not isinstance(described, dict) or not isinstance(described.get("schema", {}), dict):
            raise bad("response_format", "response_format.json_schema.schema must be an object")
