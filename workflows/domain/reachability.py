"""Which steps no run can ever reach, because what they need excludes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from workflows.domain.definition import Plan, Step
from workflows.domain.transitions import StepState, satisfies

# With more handlers than this all ways to fail are too many to look at: then nothing is claimed.
MOST_HANDLED = 8


def never_reached(plan: Plan) -> Mapping[str, str]:
    """Keys of steps that start in no run, each with the reason; empty where none is found.

    Looks at every choice of which steps with a go-to fail, while all else goes as well as it
    can: a step that starts in none of these can start in no run.
    """
    handled = [key for key, step in plan.steps.items() if step.on_error == "go_to"]
    if len(handled) > MOST_HANDLED or not (handled or any(map(_is_off, plan.steps.values()))):
        return {}
    reached: set[str] = set()
    for failing in _subsets(handled):
        outcomes = _outcomes(plan, failing)
        reached |= {key for key, state in outcomes.items() if state is not StepState.UNREACHABLE}
    never = [key for key in plan.steps if key not in reached]
    return {key: _why(plan.steps[key], set(never)) for key in never}


def _subsets(keys: list[str]) -> Iterator[frozenset[str]]:
    for size in range(len(keys) + 1):
        yield from map(frozenset, combinations(keys, size))


def _outcomes(plan: Plan, failing: frozenset[str]) -> dict[str, StepState]:
    """How each step ends if just ``failing`` fail."""
    found: dict[str, StepState] = {}
    for key, step in plan.steps.items():  # needs come first
        met = sum(
            satisfies(
                found[need],
                continued=plan.steps[need].on_error == "continue",
                mode=step.mode,
                on_failure=on_failure,
            )
            for need, on_failure in _incoming(step)
        )
        if met < step.needed:
            found[key] = StepState.UNREACHABLE
        elif _is_off(step):
            found[key] = StepState.SKIPPED
        else:
            found[key] = StepState.FAILED if key in failing else StepState.SUCCEEDED
    return found


def _incoming(step: Step) -> list[tuple[str, bool]]:
    return [(need, False) for need in step.needs] + [(need, True) for need in step.failures_of]


def _is_off(step: Step) -> bool:
    return step.when is not None and step.when.source.strip() == "false"


def _why(step: Step, never: set[str]) -> str:
    before = [need for need, _ in _incoming(step)]
    if lost := [need for need in before if need in never]:
        return f"can never be reached: it needs {lost[0]!r}, which no run reaches"
    return (
        f"can never be met: no run has {step.needed} of {', '.join(before)} succeed"
        if step.mode != "all"
        else f"can never be met: no run has {', '.join(before)} all succeed"
    )
