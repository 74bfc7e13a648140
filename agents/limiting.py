"""Rate limits of a call: per agent, user and key."""

from __future__ import annotations

from django.conf import settings

from agents.calls import Call
from agents.errors import CallsLimited
from agents.resolving import Choice
from scaling import limits


def check(call: Call, choice: Choice) -> None:
    """Count the call against every limit that applies; raises CallsLimited for the first full."""
    if call.ask is not None:
        return  # a batch waits at the provider, whose own limits hold
    if call.step_id is not None:
        pass  # a run's steps are bounded by their lane and budget, not by who started it
    elif call.key_id is not None:
        _take("key", str(call.key_id), settings.KEY_CALLS_PER_MINUTE)
    elif call.user_id is not None:
        _take("user", str(call.user_id), settings.USER_CALLS_PER_MINUTE)
    # Last, because it is everybody's: who waits for a limit of their own takes nothing of it.
    if per_minute := choice.limits.get("requests_per_minute"):
        _take("agent", choice.slug, int(per_minute))


def _take(kind: str, name: str, per_minute: int) -> None:
    wait = limits.take(f"{kind}:{name}", per_minute=per_minute)
    if wait is not None:
        raise CallsLimited(f"{kind} {name}", f"{per_minute} calls a minute", wait)
