"""A breaker for each version of an agent: one whose own answers keep failing is taken out.

What counts is the version's fault: an answer that breaks its schema, is empty, asks for tools
without end, or that a guardrail stops on its way out. A provider that is away, a budget, a bad
input, or what its caller asked for (a form, a length, an early end) says nothing about the agent.
While it is out, its declared fallback answers people at once and steps get a typed error to retry;
then one call may probe. A new version begins with a clean breaker, so what mends the agent is not
held back by what broke it.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.calls import Call
from agents.errors import AgentTripped, BadAnswer, GuardrailBlocked, ReviewRequired
from agents.resolving import Choice
from agents.work import Work
from config.errors import AppError
from scaling import breaker
from scaling.breaker import Look

ANSWER = "answer"
PREFIX = "agent:"


def check(choice: Choice) -> Look:
    """Whether the version may be asked, maybe as a probe; raises AgentTripped while it is out."""
    seen = breaker.look(_name(choice))
    if seen.is_open:
        wait = max(1, round(seen.wait_seconds))
        raise AgentTripped(choice.slug, choice.version.number, wait)
    return seen


def report(
    call: Call, choice: Choice, work: Work, seen: Look | None, error: AppError | None
) -> None:
    """Tell the breaker how a call that was let through ended."""
    if seen is None:
        return
    if is_versions(call, choice, work, error):
        breaker.failed(_name(choice))
    elif error is None:
        breaker.succeeded(_name(choice), seen)
    elif seen.is_probe:  # it never came to an answer: let the next call probe
        breaker.give_back(_name(choice))


def is_versions(call: Call, choice: Choice, work: Work, error: AppError | None) -> bool:
    """Whether the version's own answer is to blame, and not what its caller asked for."""
    return is_own_fault(error) and not _is_callers(call, choice, work, error)


def is_own_fault(error: AppError | None) -> bool:
    """Whether the version's own answer is to blame."""
    if isinstance(error, ReviewRequired):
        return False  # nobody has said yet that it was wrong
    if isinstance(error, GuardrailBlocked):
        # Who asks can make any agent repeat its prompt; that must not take it from others.
        return error.direction == ANSWER and error.guardrail != "canary"
    return isinstance(error, BadAnswer)


def _is_callers(call: Call, choice: Choice, work: Work, error: AppError | None) -> bool:
    """Whether what the caller asked for made the answer one that can't be used."""
    if not isinstance(error, BadAnswer):
        return False
    version = choice.version
    most = call.max_output_tokens
    is_cut = most is not None and most < version.max_output_tokens
    is_shaped = version.output_schema is None and call.response_schema is not None
    return is_shaped or bool(call.stop) or (is_cut and work.finish_reason == "length")


def name_of(slug: str, number: int) -> str:
    """The breaker of a version."""
    return f"{PREFIX}{slug}@{number}"


def taken_out(slug: str, numbers: Sequence[int]) -> dict[str, str]:
    """Those of an agent's versions that do not answer now, and what their breakers are: ``open``,
    or ``half_open`` where the next call probes."""
    states = breaker.states_of([name_of(slug, number) for number in numbers])
    told = zip(numbers, states, strict=True)
    return {str(number): state for number, state in told if state in ("open", "half_open")}


def _name(choice: Choice) -> str:
    return name_of(choice.slug, choice.version.number)
