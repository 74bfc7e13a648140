"""Rate limits of a call, in requests and in tokens: per agent, user and key."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from agents.calls import Call
from agents.domain.cost import Usage
from agents.errors import CallsLimited
from agents.resolving import Choice
from scaling import allowance, limits


def check(call: Call, choice: Choice) -> None:
    """Count the call against every limit that applies; raises CallsLimited for the first full."""
    if call.ask is not None:
        return  # a batch waits at the provider, whose own limits hold
    for kind, name, per_minute in _of_tokens(call, choice):
        wait = allowance.wait_seconds(f"{kind}:{name}", per_minute=per_minute)
        if wait is not None:
            raise CallsLimited(f"{kind} {name}", f"{per_minute} tokens a minute", wait)
    if call.step_id is not None:
        pass  # a run's steps are bounded by their lane and budget, not by who started it
    elif call.key_id is not None:
        _take("key", str(call.key_id), settings.KEY_CALLS_PER_MINUTE)
    elif call.user_id is not None:
        _take("user", str(call.user_id), settings.USER_CALLS_PER_MINUTE)
    # Last, because it is everybody's: who waits for a limit of their own takes nothing of it.
    if limit := choice.limits.get("requests_per_minute"):
        _take("agent", choice.slug, int(limit))


def spend(call: Call, choice: Choice, used: Usage) -> None:
    """Count the tokens of a call that ended against every limit that applies."""
    if call.ask is not None:
        return
    count = used.input + used.cached + used.output + used.reasoning
    for kind, name, per_minute in _of_tokens(call, choice):
        allowance.spend(f"{kind}:{name}", per_minute=per_minute, count=count)


def _of_tokens(call: Call, choice: Choice) -> Iterator[tuple[str, str, int]]:
    """Kind, name and tokens a minute of each limit that there is."""
    if call.step_id is None and call.key_id is not None and settings.KEY_TOKENS_PER_MINUTE:
        yield "key", str(call.key_id), settings.KEY_TOKENS_PER_MINUTE
    elif call.step_id is None and call.user_id is not None and settings.USER_TOKENS_PER_MINUTE:
        yield "user", str(call.user_id), settings.USER_TOKENS_PER_MINUTE
    if limit := choice.limits.get("tokens_per_minute"):
        yield "agent", choice.slug, int(limit)


def _take(kind: str, name: str, per_minute: int) -> None:
    wait = limits.take(f"{kind}:{name}", per_minute=per_minute)
    if wait is not None:
        raise CallsLimited(f"{kind} {name}", f"{per_minute} calls a minute", wait)
