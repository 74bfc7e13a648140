"""Errors of a call, beyond those of ``config.errors``. The code is stored with the invocation."""

from __future__ import annotations

from decimal import Decimal

from config.errors import AppError, Unavailable


class RateLimited(AppError):
    """Too many requests or tokens for an agent, user, key or endpoint; nothing was spent."""

    code, http_status, retryable = "rate_limited", 429, True

    def __init__(self, what: str, limit: str, retry_after_seconds: int) -> None:
        super().__init__(what, limit, retry_after_seconds)
        self.what, self.limit, self.retry_after_seconds = what, limit, retry_after_seconds

    def __str__(self) -> str:
        return f"{self.what}: limit {self.limit}; try again in {self.retry_after_seconds} s"


class CallsLimited(RateLimited):
    """Too many calls of an agent, user or key: refused at the door, before anything was begun."""


class EndpointTripped(Unavailable):
    """An endpoint was not asked, because it keeps failing: its breaker is open."""

    def __init__(self, endpoint: str, retry_after_seconds: int) -> None:
        why = "it keeps failing; its breaker is open"
        super().__init__(f"endpoint {endpoint}", why, retry_after_seconds)
        self.args = (endpoint, retry_after_seconds)  # what a copy is made of
        self.endpoint = endpoint


class BudgetExceeded(AppError):
    """The call could spend more than its budget has left. ``window``: day, month, total or none."""

    code, http_status, retryable = "budget_exceeded", 402, False

    def __init__(
        self, budget: str, remaining_usd: Decimal, needed_usd: Decimal, window: str = ""
    ) -> None:
        super().__init__(budget, remaining_usd, needed_usd, window)
        self.budget, self.remaining_usd, self.needed_usd = budget, remaining_usd, needed_usd
        self.window = window

    def __str__(self) -> str:
        again = self.window if self.window in ("day", "week", "month") else ""
        per = f" per {again}" if again else ""
        return (
            f"budget {self.budget!r}{per} has {self.remaining_usd} USD left; "
            f"this call may need {self.needed_usd}"
            + (f"; it begins anew with the next {again} (UTC)" if again else "")
        )


class GuardrailBlocked(AppError):
    """A guardrail refused the text that went in or came out."""

    code, http_status = "guardrail_blocked", 422

    def __init__(self, guardrail: str, direction: str, reasons: list[str]) -> None:
        super().__init__(guardrail, direction, reasons)
        self.guardrail, self.direction, self.reasons = guardrail, direction, reasons

    def __str__(self) -> str:
        why = ", ".join(self.reasons[:5]) or "policy"
        return f"the {self.guardrail} guardrail blocked the {self.direction}: {why}"


class ReviewRequired(GuardrailBlocked):
    """A person must look at the text first; ask again once ``review`` is approved."""

    code, http_status = "review_required", 403

    def __init__(
        self, guardrail: str, direction: str, reasons: list[str], identity: str = "", text: str = ""
    ) -> None:
        super().__init__(guardrail, direction, reasons)
        self._identity, self._text = identity, text
        self.review = ""

    @property
    def held(self) -> tuple[str, str]:
        """Keyed digest of the text that is held back, and the text."""
        return self._identity, self._text

    def __str__(self) -> str:
        why = ", ".join(self.reasons[:5]) or "policy"
        what = f"a person must look at the {self.direction} first ({self.guardrail}: {why})"
        return f"{what}; ask again once review {self.review} is approved" if self.review else what


class AgentPaused(AppError):
    """The agent is paused or retired."""

    code, http_status = "agent_paused", 409

    def __init__(self, agent: str, state: str, reason: str) -> None:
        super().__init__(agent, state, reason)
        self.agent, self.state, self.reason = agent, state, reason

    def __str__(self) -> str:
        return f"agent {self.agent!r} is {self.state}" + (f": {self.reason}" if self.reason else "")


class AgentTripped(AppError):
    """The agent's own answers kept failing; it is out until a probe succeeds."""

    code, http_status, retryable = "agent_tripped", 503, True

    def __init__(self, agent: str, version: int, retry_after_seconds: int) -> None:
        super().__init__(agent, version, retry_after_seconds)
        self.agent, self.version = agent, version
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return (
            f"version {self.version} of {self.agent!r} keeps giving answers that can't be used; "
            f"it is asked again in {self.retry_after_seconds} s"
        )


class BadAnswer(AppError):
    """A model answered with something that can't be used, after all tries."""

    code, http_status, retryable = "bad_answer", 502, True

    def __init__(self, agent: str, why: str) -> None:
        super().__init__(agent, why)
        self.agent, self.why = agent, why

    def __str__(self) -> str:
        return f"the model's answer for {self.agent!r} can't be used: {self.why}"


class NotReached(Unavailable):
    """The same, and it is sure that nothing was asked of it."""


class ToolFailed(AppError):
    """A tool broke; its own message, without its inside."""

    code, http_status = "tool_failed", 502

    def __init__(self, tool: str, why: str) -> None:
        super().__init__(tool, why)
        self.tool, self.why = tool, why

    def __str__(self) -> str:
        return f"tool {self.tool!r} failed: {self.why}"


class EffectUnknown(AppError):
    """A side effect was started before and nobody knows whether it happened; look into it."""

    code, http_status = "effect_unknown", 409

    def __init__(self, tool: str, effect_id: str) -> None:
        super().__init__(tool, effect_id)
        self.tool, self.effect_id = tool, effect_id

    def __str__(self) -> str:
        return (
            f"tool {self.tool!r} was started for effect {self.effect_id!r} and its outcome is "
            "unknown; reconcile it, it is not tried again"
        )


class EffectUnderWay(EffectUnknown):
    """The same of one that was begun so recently that it may still happen; ask again later."""

    retryable = True

    def __init__(self, tool: str, effect_id: str, retry_after_seconds: int) -> None:
        super().__init__(tool, effect_id)
        self.args = (tool, effect_id, retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return (
            f"tool {self.tool!r} was started for effect {self.effect_id!r} and may still be at it; "
            f"it is looked up again in {self.retry_after_seconds} s"
        )
