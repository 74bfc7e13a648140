"""A walk decides as the engine does: a recorded run, walked once more, comes to the same ends."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from agents.tools import registry
from agents.tools.registry import ToolContext
from config.access.callers import Caller
from config.errors import InvalidInput
from tests.workflows.conftest import Begin, Broker
from workflows import decisions, rehearsing
from workflows.domain import walking
from workflows.domain.transitions import RunState
from workflows.domain.walking import Unwalkable
from workflows.models import Approval, Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

# Conditions, joins of all kinds, a handler of a failure, fan-outs in one another, a repeat.
EVERYTHING = """
name: everything
inputs: {type: object, properties: {n: {}, parts: {type: object, default: {b: [], a: [1, 2]}}}}
steps:
  first: {tool: core.echo, with: {value: "${ inputs.n }"}}
  skipped: {needs: [first], when: "steps.first.output.value > 100", tool: core.echo}
  taken: {needs: [first], when: "steps.first.output.value < 100", tool: core.echo, with: {value: 2}}
  broken:
    needs: [first]
    tool: core.fail
    retry: {max_attempts: 1}
    with: {times: 100}
    on_error: {go_to: mend}
  mend: {tool: core.echo, with: {value: "${ steps.broken.error.code }"}}
  never: {needs: [broken], tool: core.echo}
  passed_on:
    needs: [first]
    tool: core.fail
    retry: {max_attempts: 1}
    with: {times: 100}
    on_error: continue
  after: {needs: [passed_on, skipped], tool: core.echo, with: {value: "${ steps.passed_on.state }"}}
  either: {needs: {any: [never, taken]}, tool: core.echo, with: {value: "${ steps.taken.output }"}}
  two: {needs: {at_least: 2, of: [mend, taken, never]}, tool: core.echo}
  items: {needs: [first], for_each: [1, 2, 3], tool: core.echo, with: {value: "${ item + index }"}}
  nested:
    needs: [items]
    for_each: "${ inputs.parts }"
    as: part
    each: {for_each: "${ part.value }", as: one}
    tool: core.echo
    with: {value: ["${ part.key }", "${ one }", "${ index }", "${ outer_index }"]}
  some_fail:
    needs: [first]
    for_each: [0, 100]
    tool: core.fail
    retry: {max_attempts: 1}
    with: {times: "${ item }"}
    on_error: continue
  again:
    needs: [first]
    tool: core.echo
    with: {value: "${ [inputs.n, iteration, output] }"}
    repeat: {until: "iteration == 3", max: 5}
outputs:
  nested: "${ steps.nested.output }"
  items: "${ steps.items.output.map(i, i.value) }"
  mended: "${ steps.mend.output.value }"
"""
FAILS = """
name: fails
inputs: {type: object}
steps:
  good: {tool: core.echo, with: {value: "${ inputs.n }"}}
  bad:
    needs: [good]
    for_each: [0, 100]
    tool: core.fail
    retry: {max_attempts: 1}
    with: {times: "${ item }"}
  later: {needs: [bad], tool: core.echo}
"""
OUTER = """
name: outer
inputs: {type: object}
steps:
  inside: {workflow: everything, with: {n: "${ inputs.n }"}}
  alone: {needs: [inside], tool: core.echo, with: {value: "${ steps.inside.output.items }"}}
outputs: {got: "${ steps.alone.output.value }"}
"""
ASKS = """
name: asks
inputs: {type: object}
steps:
  before: {tool: core.echo, with: {value: "${ inputs.n }"}}
  ask: {needs: [before], when: "inputs.n < 100", approval: {role: manager, timeout: 3d}}
  then: {needs: [ask], tool: core.echo, with: {value: "${ steps.ask.output.by }"}}
outputs: {by: "${ steps.then.output.value }"}
"""


def use(task: rehearsing.Task) -> Any:
    """The tool itself, at its last attempt as a run has it."""
    return registry.get(task.target).call(task.arguments, ToolContext(attempt=1))


def walked(run: Run, again: set[str] | None = None, **inputs: Any) -> walking.Walked:
    recording = rehearsing.recording_of(run.pk)
    names = {**recording.names, "inputs": {**recording.names["inputs"], **inputs}}
    steps = set(recording.plan.steps) if again is None else again
    return rehearsing._walk(recording, steps, names, use)


@pytest.mark.parametrize("source", [EVERYTHING, FAILS])
def test_a_run_that_is_walked_again_comes_to_the_same_ends(
    finished: Begin, broker: Broker, source: str
) -> None:
    run = finished(source, {"n": 7})
    rows = StepRun.objects.filter(run=run, item=-1).exclude(kind__in=["end", "chunk"])
    before = {row.key: (row.state, row.output) for row in rows.order_by("iteration")}
    found = walked(run)
    after = {key: (one.state.value, one.output) for key, one in found.ended.items()}
    assert (found.state.value, found.outputs) == (run.state, run.outputs)
    reached = [key for key in before if key in after]
    assert {key: after[key] for key in reached} == {key: before[key] for key in reached}
    assert len(reached) == (14 if source is EVERYTHING else 2)
    assert found.failed == ("" if source is EVERYTHING else "bad")
    assert not Run.objects.exclude(pk=run.pk).exists()


def test_what_comes_before_is_kept_and_runs_inside_are_walked_with_what_they_get_now(
    finished: Begin, begin: Begin, broker: Broker
) -> None:
    finished(EVERYTHING, {"n": 1})
    run = finished(OUTER, {"n": 7})
    assert run.outputs == {"got": [1, 3, 5]}
    there = Run.objects.count()
    assert walked(run).outputs == run.outputs
    kept = walked(run, {"alone"}, n=500)
    assert kept.outputs == run.outputs and kept.ended["inside"].output == (
        walked(run).ended["inside"].output)  # fmt: skip
    other = walked(run, n="many")  # which a condition inside can't compare
    assert other.failed == "inside"
    assert other.error is not None and other.error["code"] == "child_run_failed"
    assert Run.objects.count() == there


def test_people_are_not_asked_again_and_what_nobody_answered_stops_the_walk(
    begin: Begin, broker: Broker, colleague: Caller
) -> None:
    run = begin(ASKS, {"n": 1})
    broker.drain()
    decisions.answer_approval(colleague, Approval.objects.get().pk, approve=True)
    broker.drain()
    run.refresh_from_db()
    assert walked(run).outputs == run.outputs != {"by": None}
    assert Approval.objects.count() == 1
    skipped = begin(ASKS, {"n": 200})
    broker.drain()
    assert walked(skipped).state is RunState.FAILED  # as it did then: nobody approved
    with pytest.raises(Unwalkable, match="never given"):
        walked(skipped, n=1)


def test_only_a_run_that_ended_by_itself_beside_the_agent_can_be_walked(
    begin: Begin, finished: Begin, broker: Broker
) -> None:
    run = finished(FAILS, {"n": 1})
    with pytest.raises(Unwalkable, match="ended the run"):
        walked(run, {"later"})
    waits = begin(ASKS, {"n": 1})
    broker.drain()
    nowhere = UUID(int=1)
    assert rehearsing.reasons_against([run.pk, waits.pk, nowhere], "asking") == {
        run.pk: "no step of the run asks the agent", waits.pk: "the run has not ended",
        nowhere: "the run is not on record",
    }  # fmt: skip


def test_too_many_items_stop_a_walk(finished: Begin, broker: Broker) -> None:
    source = "name: many\ninputs: {type: object}\nsteps:\n  all: {for_each: '${ inputs.list }', "
    run = finished(source + "tool: core.echo}\n", {"list": [1]})
    with pytest.raises(Unwalkable, match="more than 40 items"):
        walked(run, list=list(range(41)))
    assert walked(run, list="no list").error == {
        **InvalidInput("all.for_each", "str", "must give a list").as_dict()
    }
