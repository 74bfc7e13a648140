"""What is wrong with the shape of a graph: circles, and steps that no run can ever reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from workflows.domain.definition import Plan, Step, plan_of
from workflows.domain.expressions import ExpressionFailed
from workflows.domain.transitions import StepState, satisfies

# With more handlers than this all ways to fail are too many to look at: then nothing is claimed.
MOST_HANDLED = 8
# Steps of one cycle that are named.
SHOWN = 10


def misshapen(
    source: Mapping[str, Any], predecessors: Mapping[str, list[str]]
) -> Iterator[tuple[str, str]]:
    """Steps of a definition with what their places in the graph make impossible.

    Says nothing of what no run reaches while needs are unknown or expressions can't be read.
    """
    circles = cycles(predecessors)
    for circle in circles:
        more = f" and {len(circle) - SHOWN} more" if len(circle) > SHOWN else ""
        yield circle[0], f"a cycle goes through {', '.join(circle[:SHOWN])}{more}"
    named = set(predecessors).union(*predecessors.values())
    if circles or not named <= source["steps"].keys():
        return
    try:
        plan = plan_of(source)
    except (ExpressionFailed, ValueError):
        return
    for key, why in never_reached(plan).items():
        if plan.steps[key].needed <= len(plan.steps[key].needs) or not plan.steps[key].needs:
            yield key, why


def cycles(predecessors: Mapping[str, list[str]]) -> list[list[str]]:
    """Groups of steps that wait for one another in a circle, each in the order of its names.

    A step that needs itself is none. In linear time (Kosaraju; Sharir, 1981), without recursion.
    """
    followers: dict[str, list[str]] = {}
    for key, needs in predecessors.items():
        for need in needs:
            followers.setdefault(need, []).append(key)
    ended: list[str] = []
    seen: set[str] = set()
    for key in predecessors:
        _walk(key, predecessors, seen, ended)
    seen.clear()
    groups: list[list[str]] = []
    for key in reversed(ended):
        group: list[str] = []
        _walk(key, followers, seen, group)
        if len(group) > 1:
            groups.append(sorted(group))
    return sorted(groups)


def _walk(start: str, edges: Mapping[str, list[str]], seen: set[str], ended: list[str]) -> None:
    """Add what ``start`` leads to, each behind all that it leads to, as far as it is not seen."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(edges.get(start, ())))]
    while stack:
        key, rest = stack[-1]
        for follower in rest:
            if follower not in seen:
                seen.add(follower)
                stack.append((follower, iter(edges.get(follower, ()))))
                break
        else:
            ended.append(key)
            stack.pop()


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
