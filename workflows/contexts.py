"""What expressions see: the run's inputs, the outputs of ended steps, and the run itself."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from config.errors import NotFound
from workflows import dispatch, payloads, statements
from workflows.database import execute, from_json
from workflows.plans import plan_for

# The root names whose values cost something to get.
_EVERY = frozenset({"inputs"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What every step of a run needs to know of it."""

    run_id: UUID
    version_id: UUID
    client_id: UUID
    inputs: dict[str, Any]  # as the row holds them: large ones are references
    started_by: UUID | None
    is_demo: bool
    deadline_at: datetime | None
    budget_usd: Decimal | None
    created_at: datetime
    workflow_name: str
    priority: str
    # The deadline on this machine's monotonic clock: a wall clock may jump or be wrong.
    deadline: float | None = None
    # All of the inputs, where whoever made the facts has them at hand.
    whole: dict[str, Any] | None = None

    def context(self, *, names: Container[str] = _EVERY, **more: Any) -> dict[str, Any]:
        """The names that every expression may read, and ``more``.

        Large inputs are read from their files only if ``inputs`` is among ``names``.
        """
        run = {"id": str(self.run_id), "started_at": self.created_at.isoformat()}
        inputs = self.inputs if self.whole is None else self.whole
        if self.whole is None and "inputs" in names:
            inputs = _whole_inputs(self)
        return {"inputs": inputs, "run": run, "steps": {}, **more}


# A run's facts never change, but for the deadline when somebody retries it; so a worker that does
# many steps of a run asks once in a while.
FACTS_KEPT_SECONDS = 20.0
_kept: OrderedDict[UUID, tuple[float, RunFacts]] = OrderedDict()
_KEPT_RUNS = 512


def kept_facts(run_id: UUID) -> RunFacts:
    """Facts of a run that are at most FACTS_KEPT_SECONDS old; raises NotFound."""
    now = time.monotonic()
    found = _kept.get(run_id)
    if found is not None and found[0] > now:
        return found[1]
    facts = run_facts(run_id)
    _kept[run_id] = (now + FACTS_KEPT_SECONDS, facts)
    while len(_kept) > _KEPT_RUNS:
        _kept.popitem(last=False)
    return facts


def run_facts(run_id: UUID) -> RunFacts:
    """Facts of a run; raises NotFound."""
    rows = execute(statements.RUN_OF, {"run": run_id})
    if not rows:
        raise NotFound("run", run_id)
    version, client, inputs, *rest, left, root = rows[0]
    dispatch.know_root(run_id, root)
    rest.append(None if left is None else time.monotonic() + left)
    return RunFacts(run_id, version, client, from_json(inputs) or {}, *rest)


# Large inputs stay in memory for the runs that a process works on now: at least those of one.
_WHOLE_BYTES = 16 * 2**20
_WHOLE_SECONDS = 60.0
_whole: OrderedDict[UUID, tuple[float, int, dict[str, Any]]] = OrderedDict()
_making_room = threading.Lock()  # a worker's threads share what it remembers


def _whole_inputs(facts: RunFacts) -> dict[str, Any]:
    """All inputs of a run, also those that are kept in files."""
    files = payloads.references_in(facts.inputs)
    if not files:
        return facts.inputs
    now = time.monotonic()
    with _making_room:
        found = _whole.get(facts.run_id)
        if found is not None and found[0] > now:
            _whole.move_to_end(facts.run_id)
            return found[2]
    inputs: dict[str, Any] = payloads.expand_each(
        facts.inputs, client_id=facts.client_id, run_id=facts.run_id
    )
    size = sum(int(file.get("size", 0)) for file in files.values())
    with _making_room:
        for run_id in [one for one, kept in _whole.items() if kept[0] <= now]:
            del _whole[run_id]
        _whole.pop(facts.run_id, None)
        while _whole and size + sum(kept[1] for kept in _whole.values()) > _WHOLE_BYTES:
            _whole.popitem(last=False)
        _whole[facts.run_id] = (now + _WHOLE_SECONDS, size, inputs)
    return inputs


def with_steps(
    facts: RunFacts, keys: Iterable[str], *, names: Container[str] = _EVERY, **more: Any
) -> dict[str, Any]:
    """The context with ``steps`` holding ``output``, ``error`` and ``state`` of ``keys``.

    ``names`` are the roots that are read; what is not has no need to be there.
    """
    context = facts.context(names=names, **more)
    wanted = sorted(keys)
    if wanted:
        context["steps"] = _outputs(facts, wanted)
    return context


def _outputs(facts: RunFacts, keys: list[str]) -> Mapping[str, Any]:
    rows = execute(statements.OUTPUTS, {"run": facts.run_id, "keys": keys})
    of = {"client_id": facts.client_id, "run_id": facts.run_id}
    found = {}
    plan = plan_for(facts.version_id)
    for key, state, text, error in rows:
        output = payloads.expand(from_json(text), **of)
        if key in plan.steps:
            output = payloads.expand_items(output, depth=plan.steps[key].lists, **of)
        found[key] = {"state": state, "output": output, "error": from_json(error)}
    return found
