"""Walking a recorded run once more from some of its steps, without the engine.

What comes before keeps what is recorded. The rest is decided as the engine decides it, but one step
after the other, and each is done by whoever walks. People are not asked again: what they answered
then is their answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import AppError, InvalidInput
from workflows.domain.definition import TASK_KINDS, Plan, Step
from workflows.domain.expressions import Expression, ExpressionFailed, listed
from workflows.domain.transitions import RunState, StepState, satisfies

# Items of one fan-out that are walked again: each is a call, once for either side.
MOST_ITEMS = 40
# A step that nothing needed any more was withdrawn, which is an end like others.
NOT_NEEDED = "not_needed"
_OWN_ENDS = (StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED, StepState.UNREACHABLE)


class Unwalkable(Exception):
    """The run can't be walked from there; the message says why."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one step ended."""

    state: StepState
    output: Any = None
    error: Mapping[str, Any] | None = None

    def as_names(self) -> dict[str, Any]:
        """What expressions read of it."""
        return {"state": self.state.value, "output": self.output, "error": self.error}


@dataclass(frozen=True, slots=True)
class Turn:
    """One time that a step is done: for which item (-1: none), and in which iteration (from 1)."""

    step: Step
    item: int = -1
    iteration: int = 1


@dataclass(frozen=True, slots=True)
class Walked:
    """How the run ended this time. ``failed`` is the step that ended it, or empty."""

    state: RunState
    ended: Mapping[str, Ended]
    outputs: Any = None
    failed: str = ""
    error: Mapping[str, Any] | None = None


# Does a step's work; raises the AppError that the step fails with.
Do = Callable[[Turn, dict[str, Any]], Any]


def from_agent(plan: Plan, agent: str) -> frozenset[str]:
    """The steps that ask ``agent``, and all that come after one of them."""
    stack = [
        key for key, step in plan.steps.items() if (step.kind, step.target) == ("agent", agent)
    ]
    found = set(stack)
    while stack:
        for follower, _ in plan.successors[stack.pop()]:
            if follower not in found:
                found.add(follower)
                stack.append(follower)
    return frozenset(found)


def require_ended(plan: Plan, recorded: Mapping[str, Ended], again: Collection[str]) -> None:
    """Raise Unwalkable unless all that is not done again ended by itself, and ended no run."""
    for key, step in plan.steps.items():
        if key in again:
            continue
        was = recorded.get(key)
        code = (was.error or {}).get("code") if was else None
        if was is None or (was.state not in _OWN_ENDS and code != NOT_NEEDED):
            raise Unwalkable("a step beside it never came to an end")
        if was.state is StepState.FAILED and step.on_error == "fail":
            raise Unwalkable("a step beside it ended the run")


def walk(
    plan: Plan,
    recorded: Mapping[str, Ended],
    *,
    again: Collection[str],
    names: Mapping[str, Any],
    do: Do,
) -> Walked:
    """The run with the steps ``again`` done by ``do`` and all others as ``recorded``.

    ``names`` are ``inputs`` and ``run``. A join of some of its needs sees all of them ended. Raises
    Unwalkable where it would need an answer that nobody gave.
    """
    require_ended(plan, recorded, again)
    ended: dict[str, Ended] = {}
    for key, step in plan.steps.items():  # needs come first
        ended[key] = _once_more(plan, step, ended, recorded, names, do) if key in again else (
            recorded[key])  # fmt: skip
        if ended[key].state is StepState.FAILED and step.on_error == "fail":
            return Walked(RunState.FAILED, ended, failed=key, error=ended[key].error)
    try:
        outputs = plan.outputs.render(_context(names, ended))
    except ExpressionFailed as error:
        return Walked(RunState.FAILED, ended, failed="outputs", error=error.as_dict())
    return Walked(RunState.SUCCEEDED, ended, outputs)


def _context(names: Mapping[str, Any], ended: Mapping[str, Ended]) -> dict[str, Any]:
    return {**names, "steps": {key: one.as_names() for key, one in ended.items()}}


def _once_more(
    plan: Plan,
    step: Step,
    ended: Mapping[str, Ended],
    recorded: Mapping[str, Ended],
    names: Mapping[str, Any],
    do: Do,
) -> Ended:
    if _met(plan, step, ended) < step.needed:
        return Ended(StepState.UNREACHABLE)
    context = _context(names, ended)
    try:
        if step.when is not None and not _holds(step.when, context):
            return Ended(StepState.SKIPPED)
        if step.kind not in TASK_KINDS:
            return _answered(step, recorded)
        done = _fan_out if step.for_each is not None else _repeated
        return Ended(StepState.SUCCEEDED, done(step, context, do))
    except AppError as error:
        return Ended(StepState.FAILED, error=error.as_dict())


def _holds(condition: Expression, context: Mapping[str, Any]) -> bool:
    value = condition.evaluate(context)
    if not isinstance(value, bool):
        raise ExpressionFailed(condition.source, "a condition gives true or false")
    return value


def _met(plan: Plan, step: Step, ended: Mapping[str, Ended]) -> int:
    incoming = [(need, False) for need in step.needs] + [(one, True) for one in step.failures_of]
    return sum(
        satisfies(ended[key].state, continued=plan.steps[key].on_error == "continue",
                  mode=step.mode, on_failure=on_failure)
        for key, on_failure in incoming
    )  # fmt: skip


def _answered(step: Step, recorded: Mapping[str, Ended]) -> Ended:
    """What a person, a signal or a clock answered then."""
    was = recorded.get(step.key)
    if was is not None and was.state in (StepState.SUCCEEDED, StepState.FAILED):
        return was
    if was is not None and (was.error or {}).get("code") == NOT_NEEDED:
        return was
    raise Unwalkable(f"it would wait for an answer ({step.kind}) that was never given")


def _repeated(step: Step, context: Mapping[str, Any], do: Do) -> Any:
    own = {step.key: {"state": StepState.RUNNING.value, "output": None, "error": None}}
    inside = {**context, "steps": {**context["steps"], **own}}
    output = None
    for iteration in range(1, step.max_iterations + 1):
        given = {**inside, "output": output, "iteration": iteration}
        output = do(Turn(step, iteration=iteration), step.arguments.render(given))
        if step.until is None or iteration == step.max_iterations:
            break
        if _holds(step.until, {**inside, "output": output, "iteration": iteration}):
            break
    return output


def _fan_out(step: Step, context: Mapping[str, Any], do: Do) -> list[Any]:
    assert step.for_each is not None  # noqa: S101
    outer = _listed(step.for_each.render(context), f"{step.key}.for_each")
    found: list[Any] = [[] for _ in outer] if step.each is not None else []
    for number, (place, names) in enumerate(_items(step, outer, context)):
        if number >= MOST_ITEMS:
            raise Unwalkable(f"it fans out to more than {MOST_ITEMS} items")
        try:
            output = do(Turn(step, item=number), step.arguments.render({**context, **names}))
        except AppError:
            if step.on_error != "continue":
                raise
            output = None
        (found if place is None else found[place]).append(output)
    return found


def _items(
    step: Step, outer: list[Any], context: Mapping[str, Any]
) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """For each item the place of its list, if lists lie in a list, and what expressions call it."""
    for place, value in enumerate(outer):
        if step.each is None:
            yield None, {step.item_name: value, "index": place}
            continue
        names = {step.item_name: value, "index": place}
        inner = _listed(step.each.render({**context, **names}), f"{step.key}.each.for_each")
        for index, item in enumerate(inner):
            yield place, {step.item_name: value, step.each_name: item, "index": index,
                          "outer_index": place}  # fmt: skip


def _listed(value: Any, where: str) -> list[Any]:
    items = listed(value)
    if items is None:
        raise InvalidInput(where, type(value).__name__, "must give a list")
    return items
