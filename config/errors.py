"""Every error a caller can meet, as types with a stable code.

An AppError is raised where it is known and rendered once (``config.rest``). The code is also
the ``error.type`` of telemetry and the last part of the problem's ``type``.
"""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

# An error says what is wrong; it is no place for all of a value that it quotes.
MOST_CHARACTERS = 4_000


class AppError(Exception):
    """Something a caller can understand and act on.

    Subclasses pass all their arguments to ``super().__init__`` so that they pickle, and set
    what a client may read as public attributes: those become members of the problem document.
    """

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    # What was paid for all the same, where that is known.
    spent_usd: Decimal = Decimal(0)

    def fields(self) -> dict[str, Any]:
        """Public attributes, JSON-ready: money and ids as strings, times as RFC 3339."""
        return {k: _plain(v) for k, v in vars(self).items() if not k.startswith("_")}

    def as_dict(self) -> dict[str, Any]:
        """The error as stored on a step or an invocation: code, message and fields."""
        return {
            "code": self.code,
            "message": _cut(str(self)),
            "retryable": self.retryable,
            **self.fields(),
        }

    def as_problem(self) -> dict[str, Any]:
        """The error as an RFC 9457 problem document."""
        return {
            "type": f"/problems/{self.code}",
            "code": self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.http_status,
            "detail": _cut(_writable(str(self))),
            **self.fields(),
        }


class InvalidInput(AppError):
    """A value from outside is not what it must be."""

    code, http_status = "invalid_input", 422

    def __init__(self, field: str, value: object, limit: str) -> None:
        super().__init__(field, value, limit)
        self.field, self.value, self.limit = field, _short(value), limit

    def __str__(self) -> str:
        return f"{self.field}: got {self.value!r}; {self.limit}"


class InvalidDocument(AppError):
    """A document (a definition, a catalogue entry) has faults; all of them are listed."""

    code, http_status = "invalid_document", 422

    def __init__(self, what: str, faults: list[dict[str, Any]]) -> None:
        super().__init__(what, faults)
        self.what, self.faults = what, faults

    def __str__(self) -> str:
        lines = "; ".join(
            (f"line {f['line']}: " if f.get("line") else "") + f"{f['path']}: {f['message']}"
            for f in self.faults[:5]
        )
        more = f" (and {len(self.faults) - 5} more)" if len(self.faults) > 5 else ""
        return f"{self.what} has {len(self.faults)} fault(s): {lines}{more}"


class NotFound(AppError):
    """No such thing, or none that this caller may see."""

    code, http_status = "not_found", 404

    def __init__(self, what: str, name: object) -> None:
        super().__init__(what, name)
        self.what, self.name = what, str(name)

    def __str__(self) -> str:
        return f"no {self.what} {self.name!r} that you may see"


class Forbidden(AppError):
    """The caller is known and may not do this."""

    code, http_status = "forbidden", 403

    def __init__(self, action: str, needs: str) -> None:
        super().__init__(action, needs)
        self.action, self.needs = action, needs

    def __str__(self) -> str:
        return f"you may not {self.action}: it needs {self.needs}"


class Conflict(AppError):
    """The thing is not in a state in which this can be done."""

    code, http_status = "conflict", 409

    def __init__(self, what: str, state: str, allowed: str) -> None:
        super().__init__(what, state, allowed)
        self.what, self.state, self.allowed = what, state, allowed

    def __str__(self) -> str:
        return f"{self.what} is {self.state}; this needs {self.allowed}"


class IdempotencyMismatch(AppError):
    """An Idempotency-Key came back with another body."""

    code, http_status = "idempotency_mismatch", 422

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"Idempotency-Key {self.key!r} was used before with another body; send a new key"


class IdempotencyInProgress(AppError):
    """The first request with this Idempotency-Key has not answered yet."""

    code, http_status, retryable = "idempotency_in_progress", 409, True

    def __init__(self, key: str, retry_after_seconds: int = 1) -> None:
        super().__init__(key, retry_after_seconds)
        self.key, self.retry_after_seconds = key, retry_after_seconds

    def __str__(self) -> str:
        return f"the request with Idempotency-Key {self.key!r} is still running; ask again"


class TooManyRequests(AppError):
    """A rate limit or a full bulkhead; nothing was done."""

    code, http_status, retryable = "too_many_requests", 429, True

    def __init__(self, what: str, limit: str, retry_after_seconds: int) -> None:
        super().__init__(what, limit, retry_after_seconds)
        self.what, self.limit, self.retry_after_seconds = what, limit, retry_after_seconds

    def __str__(self) -> str:
        return f"{self.what}: limit {self.limit}; try again in {self.retry_after_seconds} s"


class Unavailable(AppError):
    """Something this needs is away; try again later."""

    code, http_status, retryable = "unavailable", 503, True

    def __init__(self, what: str, why: str, retry_after_seconds: int = 5) -> None:
        super().__init__(what, why, retry_after_seconds)
        self.what, self.why, self.retry_after_seconds = what, why, retry_after_seconds

    def __str__(self) -> str:
        return f"{self.what} is unavailable: {self.why}"


class StepTimeout(AppError):
    """Work took longer than its limit and was given up."""

    code, http_status, retryable = "timeout", 504, True

    def __init__(self, what: str, limit_seconds: float) -> None:
        super().__init__(what, limit_seconds)
        self.what, self.limit_seconds = what, limit_seconds

    def __str__(self) -> str:
        return f"{self.what} took longer than {self.limit_seconds:g} s"


class RunTimeout(AppError):
    """A run passed its deadline, and what it was at was given up."""

    code, http_status, retryable = "run_timeout", 504, False

    def __str__(self) -> str:
        return "the run passed its deadline"


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"  # a cost of nothing is no 0E-9
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        return _cut(_writable(value))
    if value is None or isinstance(value, int | float | bool):
        return value
    return str(value)


def _cut(text: str) -> str:
    """``text`` without its middle if it quotes megabytes: what is wrong stands at its ends."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS // 2]} … {text[-MOST_CHARACTERS // 2 :]}"


def _writable(text: str) -> str:
    """``text`` as UTF-8 can hold it: half of a surrogate pair becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _short(value: object, limit: int = 200) -> object:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str) and len(value) > limit:
        return value[: limit - 1] + "…"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return value
