"""What a run does, on real PostgreSQL, with messages delivered in this process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from agents.tools import registry
from tests.workflows.conftest import Begin, Broker, states
from workflows import again, dead_letters, documents, engine, lost, publishing, steps, sweeps
from workflows.advance import Outcome
from workflows.contexts import run_facts
from workflows.domain.transitions import StepState
from workflows.models import Run, RunEvent, StepRun
from workflows.plans import plan_for

CHAIN = "name: chain\nsteps:\n  s0: {tool: core.echo, with: {value: 1}}\n" + "".join(
    f"  s{i}: {{tool: core.echo, needs: [s{i - 1}], with: {{value: $steps}}}}\n".replace(
        "$steps", f'"${{ steps.s{i - 1}.output.value }}"'
    )
    for i in range(1, 10)
)
CHAIN += 'outputs: {last: "${ steps.s9.output.value }"}\n'

SLOW = """
name: slow
steps:
  a: {tool: core.sleep, with: {seconds: 0}}
  b: {needs: [a], tool: core.sleep, with: {seconds: 0}}
outputs: {b: "${ steps.b.output }"}
"""


def test_a_chain_hands_its_value_on(finished: Begin) -> None:
    run = finished(CHAIN)
    assert (run.state, run.outputs) == ("succeeded", {"last": 1})


def test_light_steps_go_on_without_a_message(finished: Begin, broker: Broker) -> None:
    finished(CHAIN)
    assert broker.delivered == 1


def test_other_steps_are_a_message_each(finished: Begin, broker: Broker) -> None:
    finished(SLOW)
    assert broker.delivered == 2


MIXED = """
name: mixed
inputs: {type: object, properties: {n: {type: integer}}}
steps:
  a: {tool: core.echo, with: {value: 3}}
  when_false: {needs: [a], when: "inputs.n > 5", tool: core.echo, with: {value: 1}}
  fan:
    needs: [a]
    for_each: "${ [1, 2, 3].map(x, x * inputs.n) }"
    tool: core.echo
    with: {value: "${ item }"}
  nothing: {needs: [a], for_each: [], tool: core.echo, with: {value: 1}}
  continued:
    needs: [a]
    tool: core.fail
    with: {times: 99}
    retry: {max_attempts: 1}
    on_error: continue
  sent:
    needs: [a]
    tool: core.fail
    with: {times: 99}
    retry: {max_attempts: 1}
    on_error: {go_to: handler}
  handler: {tool: core.echo, with: {value: handled}}
  after_sent: {needs: [sent], tool: core.echo, with: {value: 1}}
  join:
    needs: [when_false, fan, continued, nothing]
    tool: core.echo
    with: {value: "${ steps.fan.output }"}
  either: {needs: {any: [handler, after_sent]}, tool: core.echo, with: {value: 1}}
  two: {needs: {at_least: 2, of: [a, continued, handler]}, tool: core.echo, with: {value: 1}}
  never: {needs: {at_least: 2, of: [continued, after_sent, a]}, tool: core.echo, with: {value: 1}}
  again: {tool: core.echo, with: {value: 1}, repeat: {until: "iteration >= 3", max: 5}}
outputs:
  joined: "${ steps.join.output.value }"
  skipped: "${ steps.when_false.output }"
"""


def test_joins_conditions_loops_and_fan_outs_follow_the_contract(finished: Begin) -> None:
    run = finished(MIXED, {"n": 2})
    assert run.state == "succeeded"
    assert run.outputs["skipped"] is None
    assert run.outputs["joined"] == [{"value": 2}, {"value": 4}, {"value": 6}]
    assert states(run) == {
        "a": "succeeded", "when_false": "skipped", "fan": "succeeded", "nothing": "succeeded",
        "continued": "failed", "sent": "failed", "handler": "succeeded",
        "after_sent": "unreachable", "join": "succeeded", "either": "succeeded",
        "two": "succeeded", "never": "unreachable", "again": "succeeded",
    }  # fmt: skip
    assert run.steps.filter(key="again").count() == 3


@pytest.mark.parametrize("until", ["output.score >= 0.9", "output.value"])
def test_a_turn_that_its_condition_cannot_judge_is_no_good_end(finished: Begin, until: str) -> None:
    turning = "name: turning\nsteps:\n  a:\n    tool: core.echo\n    with: {value: 1}\n"
    turning += f"    repeat: {{until: '{until}', max: 3}}\n"
    run = finished(turning)
    assert (run.state, run.error["code"], run.error["step"]) == (
        "failed", "expression_failed", "a",
    )  # fmt: skip
    assert run.steps.filter(key="a").count() == 1
    handled = finished(turning + "    on_error: continue\n  b: {needs: [a], tool: core.echo}\n")
    assert (handled.state, states(handled)["b"]) == ("succeeded", "succeeded")


def test_a_workflow_inside_is_done_again_until_the_condition_holds(finished: Begin) -> None:
    publishing.publish(
        "name: inner\ninputs: {type: object}\nsteps: {b: {tool: core.echo, with: {value: 1}}}\n"
        "outputs: {v: '${ steps.b.output.value }'}\n"
    )
    outer = "name: outer\nsteps:\n  a: {workflow: inner, repeat: {until: 'UNTIL', max: 4}}\n"
    run = finished(outer.replace("UNTIL", "output.v == 1 && iteration >= 3"))
    assert run.state == "succeeded"
    turns = run.steps.filter(key="a").order_by("iteration")
    assert [row.state for row in turns] == ["succeeded"] * 3
    inside = Run.objects.filter(parent_step_id__in=[row.pk for row in turns])
    assert [child.state for child in inside] == ["succeeded"] * 3
    never = finished(outer.replace("UNTIL", "output.v == 2"))
    assert (never.state, never.steps.filter(key="a").count()) == ("succeeded", 4)


def test_a_turn_goes_on_from_what_the_turn_before_gave(finished: Begin) -> None:
    publishing.publish(
        "name: inner\ninputs: {type: object}\n"
        "steps: {b: {tool: core.echo, with: {value: '${ inputs.n }'}}}\n"
        "outputs: {v: '${ steps.b.output.value }'}\n"
    )
    run = finished(
        "name: refining\nsteps:\n"
        "  draft:\n    tool: core.echo\n"
        "    with: {value: \"${ output == null ? 'a draft' : output.value + '!' }\"}\n"
        "    repeat: {until: \"output.value == 'a draft!!'\", max: 5}\n"
        "  inside:\n    workflow: inner\n    with: {n: '${ [iteration, output] }'}\n"
        "    repeat: {until: 'iteration >= 2', max: 5}\n"
        "outputs: {draft: '${ steps.draft.output.value }', inside: '${ steps.inside.output.v }'}\n"
    )
    assert run.outputs == {"draft": "a draft!!", "inside": [2, {"v": [1, None]}]}
    turns = run.steps.filter(key="draft").order_by("iteration")
    assert [row.input["value"] for row in turns] == ["a draft", "a draft!", "a draft!!"]


def test_a_join_of_any_fires_once(finished: Begin) -> None:
    run = finished(
        "name: once\nsteps:\n  a: {tool: core.echo}\n  b: {tool: core.echo}\n"
        "  c: {needs: {any: [a, b]}, tool: core.echo}\n"
    )
    assert RunEvent.objects.filter(run_id=run.pk, key="c", name="step.succeeded").count() == 1


FAILING = """
name: failing
steps:
  a: {tool: core.echo, with: {value: a}, compensate: {tool: core.echo, with: {value: undo_a}}}
  b:
    needs: [a]
    tool: core.echo
    with: {value: b}
    compensate: {tool: core.echo, with: {value: "${ steps.b.output.value }"}}
  c: {needs: [b], tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}}
  d: {needs: [c], tool: core.echo, with: {value: d}}
"""


def test_a_failed_run_compensates_in_reverse_order(finished: Begin) -> None:
    run = finished(FAILING)
    assert run.state == "failed"
    assert run.error["step"] == "c"
    undone = run.steps.filter(kind="compensate").order_by("ended_at")
    assert [row.key for row in undone] == ["b.compensate", "a.compensate"]
    assert [row.output["value"] for row in undone] == ["b", "undo_a"]
    assert states(run)["d"] == "cancelled"


def test_a_retried_run_does_again_what_was_compensated(
    finished: Begin, broker: Broker, caller
) -> None:
    run = finished(FAILING)
    again.retry_run(caller, run.pk)
    broker.drain()
    run.refresh_from_db()
    assert run.state == "succeeded"
    assert not run.steps.filter(kind="compensate").exists()
    attempts = next(s for s in documents.run_document(run)["steps"] if s["key"] == "c")["attempts"]
    assert [a["state"] for a in attempts] == ["failed", "succeeded"]


def test_a_retryable_error_is_tried_again_with_every_attempt_on_record(
    finished: Begin, broker: Broker
) -> None:
    run = finished(
        "name: again\nsteps:\n"
        "  a: {tool: core.fail, with: {times: 2}, retry: {max_attempts: 3, backoff: 1ms}}\n"
    )
    assert run.state == "succeeded"
    attempts = documents.run_document(run)["steps"][0]["attempts"]
    assert [(a["attempt"], a["state"]) for a in attempts] == [
        (1, "failed"), (2, "failed"), (3, "succeeded"),
    ]  # fmt: skip


def test_only_the_named_errors_are_tried_again(finished: Begin) -> None:
    run = finished(
        "name: named\nsteps:\n"
        "  a: {tool: core.fail, with: {times: 1}, retry: {max_attempts: 3, on: [timeout]}}\n"
    )
    assert run.state == "failed"


def test_a_sub_workflow_gives_its_outputs(finished: Begin) -> None:
    finished(CHAIN)
    run = finished(
        "name: outer\nsteps:\n  one: {workflow: chain}\n"
        "  many: {needs: [one], for_each: [1, 2], workflow: chain}\n"
        'outputs: {all: "${ steps.many.output }"}\n'
    )
    assert run.outputs == {"all": [{"last": 1}, {"last": 1}]}
    assert Run.objects.filter(workflow_name="chain").exclude(parent_step_id=None).count() == 3


def test_a_fan_out_of_thousands_counts_and_keeps_its_order(finished: Begin) -> None:
    run = finished(
        'name: wide\nsteps:\n  f: {for_each: "${ inputs.xs }", tool: core.echo, '
        'with: {value: "${ item }"}}\n  z: {needs: [f], tool: core.echo}\n'
        'outputs: {f: "${ steps.f.output.map(x, x.value) }"}\n',
        {"xs": list(range(2500))},
    )
    assert run.outputs["f"] == list(range(2500))
    assert not run.steps.filter(kind="chunk").exclude(state="succeeded").exists()


def test_a_fan_out_over_a_mapping_goes_by_its_keys_whoever_wrote_it(finished: Begin) -> None:
    run = finished(
        "name: keyed\nsteps:\n  f: {for_each: \"${ {'zz': 1, 'b': 2, 'aaa': inputs.m} }\", "
        'tool: core.echo, with: {value: "${ item }"}}\n'
        '  g: {for_each: "${ inputs.m }", tool: core.echo, with: {value: "${ item.key }"}}\n'
        "outputs:\n"
        '  f: "${ steps.f.output.map(x, x.value.key) }"\n'
        '  g: "${ steps.g.output.map(x, x.value) }"\n'
        "  text: \"${ 1 } ${ {'zz': 1, 'b': inputs.m, 'aaa': 2} }\"\n",
        {"m": {"zz": 1, "b": 2, "aaa": 3}},
    )
    assert run.outputs == {
        "f": ["aaa", "b", "zz"],
        "g": ["aaa", "b", "zz"],
        "text": '1 {"aaa": 2, "b": {"aaa": 3, "b": 2, "zz": 1}, "zz": 1}',
    }
    stored = run.steps.filter(key="f", item__gte=0).order_by("item")
    assert [one.value["key"] for one in stored] == ["aaa", "b", "zz"]


def test_no_more_items_are_under_way_than_allowed(begin: Begin, broker: Broker) -> None:
    run = begin(
        'name: narrow\nsteps:\n  f: {for_each: "${ inputs.xs }", max_parallel: 5, '
        "tool: core.sleep, with: {seconds: 0}}\n",
        {"xs": list(range(40))},
    )
    while broker.messages:
        assert run.steps.filter(item__gte=0, state__in=["queued", "running"]).count() <= 5
        broker.drain(limit=1)
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_a_failing_item_fails_its_step_and_stops_the_others(finished: Begin) -> None:
    run = finished(
        'name: bad_item\nsteps:\n  f: {for_each: "${ inputs.xs }", max_parallel: 1, '
        'tool: core.fail, with: {times: "${ item }"}, retry: {max_attempts: 1}}\n',
        {"xs": [0, 1, 0, 0]},
    )
    assert run.state == "failed"
    assert run.steps.get(key="f", item=0).state == "succeeded"
    assert run.steps.get(key="f", item=3).state == "cancelled"


def test_a_failing_item_that_may_fail_leaves_null(finished: Begin) -> None:
    run = finished(
        'name: null_item\nsteps:\n  f: {for_each: "${ inputs.xs }", tool: core.fail, '
        'with: {times: "${ item }"}, retry: {max_attempts: 1}, on_error: continue}\n'
        'outputs: {f: "${ steps.f.output }"}\n',
        {"xs": [0, 1]},
    )
    assert run.state == "succeeded"
    assert run.outputs["f"] == [{"attempt": 1}, None]


# ---------------------------------------------------------------- claims and recovery
def test_eight_claims_of_one_step_have_one_winner(begin: Begin, broker: Broker) -> None:
    run = begin(SLOW)
    step = run.steps.get(key="a")

    def claim(_: int) -> int:
        try:
            return len(steps.claim([step.pk], token=uuid4(), worker="w"))
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(8))) == 1


def test_a_late_finish_of_a_lost_claim_changes_nothing(begin: Begin, broker: Broker) -> None:
    run = begin(SLOW)
    step = run.steps.get(key="a")
    late, new = uuid4(), uuid4()
    assert steps.claim([step.pk], token=late, worker="w1")
    _let_leases_expire()
    sweeps.expire_leases()
    assert steps.claim([step.pk], token=new, worker="w2")
    facts, plan = run_facts(run.pk), plan_for(run.version_id)

    def finish(token, value):
        outcome = Outcome(step.pk, "a", StepState.SUCCEEDED, output=value)
        engine.finish(facts, plan, token=token, outcomes=[outcome], next_token=uuid4(), worker="w")

    finish(late, "late")
    assert run.steps.get(key="a").state == "running"
    finish(new, "new")
    step.refresh_from_db()
    assert (step.state, step.output, step.attempt) == ("succeeded", "new", 2)
    assert run.steps.get(key="b").needs_left == 0


def test_everything_lost_by_the_broker_is_sent_again(begin: Begin, broker: Broker) -> None:
    run = begin(SLOW)
    for _ in range(5):
        broker.lose_everything()
        _let_messages_grow_old()
        sweeps.sweep()
        broker.drain(limit=1)
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_the_sweep_leaves_fresh_messages_alone(begin: Begin, broker: Broker) -> None:
    begin(SLOW)
    before = len(broker.messages)
    sweeps.sweep()
    assert len(broker.messages) == before


def test_a_step_whose_worker_is_lost_too_often_becomes_a_dead_letter(
    begin: Begin, broker: Broker, caller, settings
) -> None:
    settings.MAX_DELIVERIES = 3
    run = begin(SLOW)
    step = run.steps.get(key="a")
    for _ in range(3):
        assert steps.claim([step.pk], token=uuid4(), worker="w")
        _let_leases_expire()
        sweeps.expire_leases()
    step.refresh_from_db()
    assert (step.state, step.error["code"]) == ("dead", "dead_letter")
    dead_letters.requeue(caller, step.pk)
    broker.drain()
    run.refresh_from_db()
    assert run.state == "succeeded"


def test_an_effect_of_unknown_outcome_is_not_blindly_repeated(
    begin: Begin, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    once = dataclasses.replace(registry.get("core.sleep"), idempotent=False)
    monkeypatch.setitem(registry._tools, "core.sleep", once)
    run = begin(SLOW)
    step = run.steps.get(key="a")
    assert steps.claim([step.pk], token=uuid4(), worker="w")
    _let_leases_expire()
    sweeps.sweep()
    step.refresh_from_db()
    assert (step.state, step.error["code"]) == ("dead", "outcome_unknown")


def test_a_message_delivered_twice_does_its_step_once(begin: Begin, broker: Broker) -> None:
    run = begin(CHAIN)
    broker.messages *= 2
    broker.drain()
    assert RunEvent.objects.filter(run_id=run.pk, key="s0", name="step.started").count() == 1


def test_a_sweep_run_twice_at_once_sends_each_message_once(begin: Begin, broker: Broker) -> None:
    for _ in range(5):
        begin(SLOW)
    broker.lose_everything()
    _let_messages_grow_old()

    def sweep(_: int) -> int:
        try:
            return lost.publish_again()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(sweep, range(2))) == 5


def _let_leases_expire() -> None:
    past = timezone.now() - timedelta(seconds=1)
    StepRun.objects.filter(state="running").update(lease_until=past)


def _let_messages_grow_old() -> None:
    StepRun.objects.filter(state="queued").update(wake_at=lost.UNSENT)
