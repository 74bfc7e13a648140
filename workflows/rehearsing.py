"""Recorded runs, walked once more from some of their steps for those who compare versions.

Nothing of it is a run: no row is written, nobody is asked or told, nothing is compensated. Whoever
walks does the steps of agents and tools, so that no effect need leave; runs inside are walked too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from config.errors import AppError, NotFound
from workflows import given, payloads
from workflows.contexts import run_facts
from workflows.domain import walking
from workflows.domain.definition import Plan
from workflows.domain.documents import json_text
from workflows.domain.transitions import RunState, StepState
from workflows.domain.walking import Ended, Turn, Unwalkable, Walked
from workflows.models import Run, StepRun
from workflows.plans import plan_for

_UNDONE = ("compensate", "chunk", "end")


@dataclass(frozen=True, slots=True)
class Was:
    """How a step was done when it was recorded. ``item`` is -1 outside of fan-outs."""

    step_id: UUID
    item: int
    iteration: int
    arguments: Any
    output: Any
    invocation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Task:
    """A step of an agent or a tool to do. ``known``: the same step then, the same turn first."""

    run_id: UUID
    key: str
    item: int
    iteration: int
    kind: str
    target: str
    arguments: dict[str, Any]
    known: tuple[Was, ...]

    @property
    def name(self) -> str:
        """What names this turn of the step in its run."""
        return f"{self.key}.{self.item}.{self.iteration}" if self.item >= 0 or (
            self.iteration > 1) else self.key  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """A run that has ended, with all that is recorded of its steps."""

    run_id: UUID
    client_id: UUID
    plan: Plan
    names: Mapping[str, Any]
    ended: Mapping[str, Ended]
    turns: Mapping[str, tuple[Was, ...]]
    outputs: Any = None


class FailedInside(AppError):
    """A run inside a step failed when it was walked."""

    code, http_status = "child_run_failed", 502

    def __init__(self, step: str, code: str) -> None:
        super().__init__(step, code)
        self.step, self.cause = step, code

    def __str__(self) -> str:
        return f"step {self.step} of the run inside failed: {self.cause}"


def reasons_against(run_ids: Collection[UUID], agent: str) -> dict[UUID, str]:
    """Which of these runs can't be walked from the steps of ``agent``, and why."""
    runs = Run.objects.filter(pk__in=run_ids).values_list("pk", "version_id", "state")
    found = dict.fromkeys(run_ids, "the run is not on record")
    rows: dict[UUID, dict[str, Ended]] = {run_id: {} for run_id, _, _ in runs}
    steps = StepRun.objects.filter(run_id__in=rows, item=-1).exclude(kind__in=_UNDONE)
    for run_id, key, state, error in steps.order_by("iteration").values_list(
        "run_id", "key", "state", "error"
    ):
        rows[run_id][key] = Ended(StepState(state), error=error)
    for run_id, version_id, state in runs:
        del found[run_id]
        try:
            _require(plan_for(version_id), state, rows[run_id], agent)
        except Unwalkable as error:
            found[run_id] = str(error)
    return found


def _require(plan: Plan, state: str, ended: Mapping[str, Ended], agent: str) -> frozenset[str]:
    if not RunState(state).is_final:
        raise Unwalkable("the run has not ended")
    again = walking.from_agent(plan, agent)
    if not again:
        raise Unwalkable("no step of the run asks the agent")
    walking.require_ended(plan, ended, again)
    return again


def recording_of(run_id: UUID, agent: str = "") -> Recording:
    """An ended run with its steps, large outputs whole; raises NotFound.

    With ``agent``, without the items of fan-outs before its steps: their outputs stand together.
    """
    facts = run_facts(run_id)
    plan = plan_for(facts.version_id)
    again = walking.from_agent(plan, agent) if agent else frozenset(plan.steps)
    of = {"client_id": facts.client_id, "run_id": run_id}
    ended: dict[str, Ended] = {}
    turns: dict[str, list[Was]] = {}
    rows = StepRun.objects.filter(Q(item=-1) | Q(key__in=again), run_id=run_id)
    rows = rows.exclude(kind__in=_UNDONE)
    for row in rows.order_by("iteration", "item"):
        output = payloads.expand(row.output, **of)
        if row.item < 0:
            if row.key in plan.steps:
                output = payloads.expand_items(output, depth=plan.steps[row.key].lists, **of)
            ended[row.key] = Ended(StepState(row.state), output, row.error)
        given_then = payloads.expand(row.input, **of)
        turns.setdefault(row.key, []).append(
            Was(row.pk, row.item, row.iteration, given_then, output, row.invocation_id)
        )
    outputs = Run.objects.values_list("outputs", flat=True).get(pk=run_id)
    outputs = payloads.expand_each(outputs, **of)
    names = {name: value for name, value in facts.context().items() if name != "steps"}
    return Recording(run_id, facts.client_id, plan, names, ended,
                     {key: tuple(was) for key, was in turns.items()}, outputs)  # fmt: skip


def rehearse(recording: Recording, agent: str, do: Callable[[Task], Any]) -> Walked:
    """The run from the first steps of ``agent`` on, its agents and tools done by ``do``.

    ``do`` raises the AppError that the step fails with. Raises Unwalkable, perhaps half-way.
    """
    again = walking.from_agent(recording.plan, agent)
    return _walk(recording, again, recording.names, do)


def _walk(
    recording: Recording,
    again: Collection[str],
    names: Mapping[str, Any],
    do: Callable[[Task], Any],
) -> Walked:
    def turn_of(turn: Turn, arguments: dict[str, Any]) -> Any:
        step, known = turn.step, _known(recording, turn)
        if step.kind == "workflow":
            made = _inside(recording, turn, known, arguments, do)
        else:
            made = do(
                Task(recording.run_id, step.key, turn.item, turn.iteration, step.kind, step.target,
                     arguments, known)
            )  # fmt: skip
        return json.loads(json_text(made, field=step.key))

    return walking.walk(recording.plan, recording.ended, again=again, names=names, do=turn_of)


def _known(recording: Recording, turn: Turn) -> tuple[Was, ...]:
    rows = recording.turns.get(turn.step.key, ())
    return tuple(sorted(rows, key=lambda was: not _is_same(was, turn)))


def _is_same(was: Was, turn: Turn) -> bool:
    return (was.item, was.iteration) == (turn.item, turn.iteration)


def _inside(
    recording: Recording,
    turn: Turn,
    known: tuple[Was, ...],
    arguments: dict[str, Any],
    do: Callable[[Task], Any],
) -> Any:
    """The outputs of a run inside a step, all of it walked with what it is given now."""
    step_id = known[0].step_id if known and _is_same(known[0], turn) else None
    child = Run.objects.filter(parent_step_id=step_id).first() if step_id else None
    if child is None or not RunState(child.state).is_final:
        raise Unwalkable("it would start a run inside of it that never was")
    try:
        inner = recording_of(child.pk)
    except NotFound:
        raise Unwalkable("what a run inside of it gave is no longer on record") from None
    inputs = given.with_defaults(inner.plan, arguments)
    given.check_inputs(inner.plan, inputs, client_id=recording.client_id)
    walked = _walk(inner, frozenset(inner.plan.steps), {**inner.names, "inputs": inputs}, do)
    if walked.state is not RunState.SUCCEEDED:
        raise FailedInside(walked.failed, str((walked.error or {}).get("code", "")))
    return walked.outputs
