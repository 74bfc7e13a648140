"""What is asked of a model, what comes back, and how a try failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from agents.domain.cost import Usage
from agents.domain.messages import Message
from config.errors import AppError

# Any JSON object will do; the protocol has a word of its own for it.
ANY_OBJECT: dict[str, Any] = {"type": "object"}


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request, whichever model gets it. ``stream`` receives text as it comes.
    ``is_strict``: the endpoint itself must keep to the schema, whose form it then limits.

    After ``hedge_after_seconds`` without a whole reply another endpoint is asked beside the first.
    ``restart`` forgets what a broken stream brought, or says False: its reader has had some of it.
    Who has not begun to answer after ``patience_seconds`` is left: somebody else may answer sooner.
    Requests with the same ``alike`` take about as long.
    """

    messages: list[Message]
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = None
    response_schema: dict[str, Any] | None = None
    temperature: float | None = None
    max_output_tokens: int = 1024
    extra: dict[str, Any] = field(default_factory=dict)
    stop: tuple[str, ...] = ()
    is_strict: bool = True
    stream: Callable[[str], None] | None = None
    restart: Callable[[], bool] | None = None
    hedge_after_seconds: float | None = None
    patience_seconds: float | None = None
    alike: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer: text or requests for tools."""

    text: str
    tool_calls: tuple[dict[str, Any], ...]
    finish_reason: str
    usage: Usage
    model: str
    first_token_seconds: float | None = None

    def as_message(self) -> Message:
        """The reply as the next request repeats it."""
        message: Message = {"role": "assistant", "content": self.text or None}
        if self.tool_calls:
            message["tool_calls"] = list(self.tool_calls)
        return message


class Failure(Exception):
    """One try failed. ``code`` is stored; ``try_again`` says whether the same endpoint may help."""

    def __init__(
        self,
        code: str,
        why: str,
        *,
        http_status: int | None = None,
        retry_after_seconds: float | None = None,
        limit_seconds: float | None = None,
        try_again: bool = True,
        is_callers: bool = False,
        is_early: bool = False,
    ) -> None:
        super().__init__(code, why)
        self.code, self.why, self.http_status = code, why, http_status
        self.retry_after_seconds, self.limit_seconds = retry_after_seconds, limit_seconds
        self.try_again, self.is_callers = try_again, is_callers
        # Given up before a whole reply's time was over: whether it hangs is not known.
        self.is_early = is_early
        # Left before its time was over, for another endpoint that may answer.
        self.is_silent = False
        # What a stream had brought before it broke; nobody gives it for nothing.
        self.usage = Usage()


class Stopped(Exception):
    """Our own side ended a stream: its reader left, or a guardrail. ``usage`` is paid for."""

    def __init__(self, error: AppError, usage: Usage) -> None:
        super().__init__(error, usage)
        self.error, self.usage = error, usage


@dataclass(frozen=True, slots=True)
class Try:
    """One request that was sent, as the record keeps it. Without a ``reply`` ``partial`` is what
    a stream had used when it ended, by our own count. One that ``is_aside`` is no part of the
    talk that leads to the answer."""

    endpoint: str
    model: str
    started_at: datetime
    duration_seconds: float
    reply: Reply | None = None
    error_code: str = ""
    error: str = ""
    http_status: int | None = None
    cost_usd: Decimal = Decimal(0)
    price_version: str = ""
    is_simulated: bool = False
    messages: list[Message] = field(default_factory=list)
    partial: Usage = field(default_factory=Usage)
    is_aside: bool = False

    @property
    def usage(self) -> Usage:
        """Tokens that were used."""
        return self.reply.usage if self.reply else self.partial
