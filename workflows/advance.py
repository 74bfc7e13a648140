"""What follows from ended steps: conditions, joins, loops and fan-outs, in one transaction.

Control costs no message: everything here is decided where it became ready. Only what leaves the
process is queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from config.access.ids import uuid7
from config.errors import AppError
from workflows import approvals, dispatch, endings, fanout, payloads, statements, waits
from workflows.contexts import RunFacts, with_steps
from workflows.database import execute, from_json, plain_text
from workflows.dispatch import Ready
from workflows.domain.definition import TASK_KINDS, Plan, Step
from workflows.domain.expressions import Expression, ExpressionFailed
from workflows.domain.transitions import StepState, satisfies

PATIENCE = fanout.PATIENCE
WORKER = "engine"
NOT_NEEDED = {"code": "not_needed", "message": "what waited for it goes on", "retryable": False}

_NEEDLESS = """
SELECT s.id, s.state, s.kind FROM workflows_steprun s
WHERE s.run_id = %(run)s AND s.key = %(key)s AND s.item = -1
  AND (s.state IN ('pending', 'waiting') OR (s.kind = 'workflow' AND s.state = 'queued'))
  AND NOT EXISTS (SELECT 1 FROM workflows_steprun f WHERE f.run_id = %(run)s
      AND f.key = ANY(%(behind)s) AND f.item = -1 AND f.state = 'pending')
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one step ended; written in one statement with what it makes ready."""

    step_id: UUID
    key: str
    state: StepState
    output: Any = None
    error: dict[str, Any] | None = None
    input: Any = None
    cost_usd: Decimal = Decimal(0)
    invocation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A row that a statement changed or counted down."""

    what: str  # ended | join | item
    step_id: UUID
    run_id: UUID
    key: str
    item: int
    iteration: int
    kind: str
    state: str
    needs_left: int
    needs_open: int
    queue: str
    is_light: bool
    attempt: int
    parent_id: UUID | None
    value: Any = field(default=None)


def moved(rows: Iterable[tuple[Any, ...]]) -> list[Moved]:
    """Rows of FINISH, RESOLVE or FINISH_ITEMS as values."""
    wide = ([*row[:14], from_json(row[14])] if len(row) > 14 else row for row in rows)
    return [Moved(*row) for row in wide]


def storable(outcomes: list[Outcome], facts: RunFacts) -> tuple[list[Outcome], dict[str, Any]]:
    """The outcomes and their columns as arrays; what is too large for a row goes to an artifact.

    An outcome that cannot be stored is a failure that says why.
    """
    kept: list[Outcome] = []
    outputs: list[str | None] = []
    inputs: list[str | None] = []
    for outcome in outcomes:
        key, client, run = outcome.key, facts.client_id, facts.run_id
        try:
            given = payloads.shorten(
                outcome.input, client_id=client, run_id=run, name=f"{key}.input"
            )
            made = payloads.shorten(
                outcome.output, client_id=client, run_id=run, name=f"{key}.output"
            )
        except AppError as error:
            given = made = None
            outcome = replace(
                outcome, state=StepState.FAILED, output=None, input=None, error=error.as_dict()
            )
        kept.append(outcome)
        outputs.append(made)
        inputs.append(given)
    return kept, {
        "ids": [o.step_id for o in kept],
        "states": [o.state.value for o in kept],
        "outputs": outputs,
        "errors": [None if o.error is None else plain_text(o.error) for o in kept],
        "inputs": inputs,
        "costs": [o.cost_usd for o in kept],
        "calls": [o.invocation_id for o in kept],
    }


def edges(plan: Plan, outcomes: list[Outcome]) -> dict[str, Any]:
    """For each outcome and each join that waits for it: whether it counts as met."""
    sources: list[UUID] = []
    targets: list[str] = []
    mets: list[int] = []
    for outcome in outcomes:
        step = plan.steps[outcome.key]
        for key, on_failure in plan.successors[outcome.key]:
            met = satisfies(
                outcome.state,
                continued=step.on_error == "continue",
                mode=plan.steps[key].mode,
                on_failure=on_failure,
            )
            sources.append(outcome.step_id)
            targets.append(key)
            mets.append(int(met))
        if outcome.key in plan.ends:
            sources.append(outcome.step_id)
            targets.append(endings.END)
            mets.append(1)
    return {"sources": sources, "targets": targets, "mets": mets}


def fails_the_run(plan: Plan, outcome: Outcome) -> bool:
    """Whether this outcome ends the whole run."""
    return outcome.state is StepState.FAILED and plan.steps[outcome.key].on_error == "fail"


def resolve(facts: RunFacts, plan: Plan, outcomes: list[Outcome]) -> None:
    """End steps that no worker holds, and all that follows; in the transaction at hand."""
    Advance(facts, plan).end(outcomes)


def proceed(facts: RunFacts, plan: Plan, joins: Iterable[Moved]) -> None:
    """Decide what joins that were counted down make ready; in the transaction at hand."""
    Advance(facts, plan).run(joins)


@dataclass(slots=True)
class Advance:
    """One round of consequences: a work list of joins, until nothing more follows."""

    facts: RunFacts
    plan: Plan
    pending: deque[Moved] = field(default_factory=deque)
    ready: list[Ready] = field(default_factory=list)

    def end(self, outcomes: list[Outcome]) -> None:
        self._resolve(outcomes)
        self._drain()

    def run(self, joins: Iterable[Moved]) -> None:
        self.pending.extend(joins)
        self._drain()

    def withdraw_needless(self, gone_on: Iterable[str]) -> None:
        """Withdraw what nothing needs any more and only waits, now that ``gone_on`` have.

        What was needed by nothing but that is as needless.
        """
        left = deque(gone_on)
        while left:
            for needless in self.plan.dispensable.get(left.popleft(), ()):
                if self._withdraw(needless):
                    left.append(needless)

    def _withdraw(self, key: str) -> bool:
        """Whether there was anything to withdraw."""
        behind = self.plan.needed_by(key)
        rows = execute(_NEEDLESS, {"run": self.facts.run_id, "key": key, "behind": behind})
        is_gone = False
        for step_id, state, kind in rows:
            # An answer that is being given at this moment has its approval already: it stands.
            asked = state != StepState.PENDING and kind == "approval"
            if asked and not approvals.withdraw(step_id):
                continue
            is_gone = True
            cost = endings.spent_inside(step_id) if kind == "workflow" else Decimal(0)
            self._resolve(
                [Outcome(step_id, key, StepState.CANCELLED, error=NOT_NEEDED, cost_usd=cost)]
            )
            if kind == "workflow":  # the row first: whoever starts a run inside looks at it
                fanout.cancel_items(self.facts.run_id, key)
                endings.cancel_children(self.facts.run_id, key)
        return is_gone

    def _drain(self) -> None:
        while self.pending:
            self._decide(self.pending.popleft())
        dispatch.publish_on_commit(self.ready)

    def _decide(self, row: Moved) -> None:
        if row.state == StepState.QUEUED:
            self.ready.append(Ready(row.step_id, row.run_id, row.queue, row.is_light))
            self.withdraw_needless([row.key])
        elif row.state != StepState.PENDING:
            return
        elif row.key == endings.END:
            if row.needs_open <= 0:
                endings.complete(self.facts, self.plan)
        elif row.needs_left <= 0:
            self._start(row, self.plan.steps[row.key])
            self.withdraw_needless([row.key])
        elif row.needs_left > row.needs_open:
            self._resolve([Outcome(row.step_id, row.key, StepState.UNREACHABLE)])
            self.withdraw_needless([row.key])

    def _start(self, row: Moved, step: Step) -> None:
        try:
            context = with_steps(self.facts, step.decides_on, names=step.decides_by)
            if step.when is not None and not holds(step.when, context):
                self._resolve([Outcome(row.step_id, row.key, StepState.SKIPPED)])
                return
            if step.for_each is not None:
                self._fan_out(row, step, context)
            elif step.kind in ("approval", "wait") and waits.is_held(row.step_id, row.run_id):
                return
            elif step.kind == "approval":
                approvals.open_for(row.step_id, step, self.facts)
            elif step.kind == "wait":
                self._wait(row, step)
            elif step.kind in TASK_KINDS:
                self._queue(row)
        except AppError as error:
            self._resolve([Outcome(row.step_id, row.key, StepState.FAILED, error=error.as_dict())])

    def _fan_out(self, row: Moved, step: Step, context: dict[str, Any]) -> None:
        assert step.for_each is not None  # noqa: S101
        # Held against a cancel that would not see the items that are about to be written.
        execute("SELECT 1 FROM workflows_run WHERE id = %(run)s FOR SHARE", {"run": row.run_id})
        items = fanout.items_of(step.for_each.render(context), step)
        outer = items if step.each is not None else None
        if outer is not None:
            items = fanout.nested_items(outer, step, context)
        if items:
            fanout.open_fan(row.step_id, step, self.facts, items, outer)
        else:
            none: list[Any] = [[] for _ in outer or ()]
            self._resolve([Outcome(row.step_id, row.key, StepState.SUCCEEDED, output=none)])

    def _wait(self, row: Moved, step: Step) -> None:
        found, payload = waits.open_for(row.step_id, step, self.facts)
        if found:
            self._resolve([Outcome(row.step_id, row.key, StepState.SUCCEEDED, output=payload)])

    def _queue(self, row: Moved) -> None:
        rows = execute(
            "UPDATE workflows_steprun SET state = 'queued', queued_at = clock_timestamp(), "
            "wake_at = now() + %(patience)s WHERE id = %(id)s AND state = 'pending' "
            "RETURNING id, queue, is_light",
            {"id": row.step_id, "patience": PATIENCE},
        )
        self.ready += [Ready(step_id, row.run_id, queue, light) for step_id, queue, light in rows]

    def _resolve(self, outcomes: list[Outcome]) -> None:
        outcomes, columns = storable(outcomes, self.facts)
        rows = moved(
            execute(
                statements.RESOLVE,
                {
                    **columns,
                    **edges(self.plan, outcomes),
                    "worker": WORKER,
                    "patience": PATIENCE,
                    "room": 0,
                    "next_token": uuid7(),
                    "lease": timedelta(0),
                },
            )
        )
        ended = {row.step_id for row in rows if row.what == "ended"}
        for outcome in outcomes:
            if outcome.step_id in ended and fails_the_run(self.plan, outcome):
                error = {**(outcome.error or {}), "step": outcome.key}
                endings.fail(self.facts.run_id, error)
                self.pending.clear()
                return
        self.pending.extend(row for row in rows if row.what == "join")


def holds(condition: Expression, context: dict[str, Any]) -> bool:
    """Whether ``condition`` is true; raises ExpressionFailed if it gives no truth at all."""
    value = condition.evaluate(context)
    if not isinstance(value, bool):
        kind = type(value).__name__
        raise ExpressionFailed(condition.source, f"a condition gives true or false, not {kind}")
    return value
