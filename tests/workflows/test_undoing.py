"""What a stopped run has done is undone: each step and each item that acted, the latest first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import contexts, publishing, tasks, undoing
from workflows.database import database_time
from workflows.models import Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db(transaction=True)
FAILS = "{needs: [%s], tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}}"


def undone(web: Browser, who: dict[str, str], run: str) -> list[tuple[str, Any]]:
    """Compensations that ended, in the order of the history: what each undid, and its output."""
    steps = get(web, f"runs/{run}?items=all", who).json()["steps"]
    gave = {(step["key"], step["index"]): step["output"] for step in steps}
    rows = get(web, f"runs/{run}/events?format=json", who).json()["results"]
    return [
        (row["key"].removesuffix(".compensate"), gave[row["key"], row["index"]]["value"])
        for row in rows
        if row["name"] == "step.succeeded" and row["key"].endswith(".compensate")
        and gave[row["key"], row["index"]]
    ]  # fmt: skip


def test_each_item_that_succeeded_is_undone_by_its_own_names_the_latest_first(
    web: Browser, key: Key, broker: Broker
) -> None:
    """Among steps, in a nested fan-out, and where items of two fan-outs ended by turns."""
    who = key()
    run = start(
        web, who,
        "name: undo\nsteps:\n"
        "  first: {tool: core.echo, with: {value: 1}, compensate: {tool: core.echo,\n"
        "    with: {value: 'first gave ${ output.value }'}}}\n"
        "  f: {needs: [first], for_each: [a, b, c], as: letter, max_parallel: 1,\n"
        "    tool: core.sleep, with: {seconds: 0}, compensate: {tool: core.echo,\n"
        "    with: {value: '${ letter }${ index } of ${ size(steps.f.output) }'}}}\n"
        "  g: {needs: [first], for_each: [{key: x, value: [7]}, {key: y, value: [8, 9]}],\n"
        "    max_parallel: 1, each: {for_each: '${ item.value }', as: number}, tool: core.sleep,\n"
        "    with: {seconds: 0}, compensate: {tool: core.echo, with: {value:\n"
        "    '${ item.key }${ outer_index }.${ index }=${ number } ${ output.slept_seconds }'}}}\n"
        "  none: {for_each: [], tool: core.echo, compensate: {tool: core.echo}}\n"
        f"  last: {FAILS % 'f, g'}\n",
    )["id"]  # fmt: skip
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert shown["state"] == "failed"
    told = undone(web, who, run)
    assert {value for name, value in told if name == "f"} == {"a0 of 3", "b1 of 3", "c2 of 3"}
    nested = {value for name, value in told if name == "g"}
    assert {value.partition(" ")[0] for value in nested} == {"x0.0=7", "y1.0=8", "y1.1=9"}
    assert told[-1] == ("first", "first gave 1")
    acted = {(r.key, r.item): r.ended_at for r in StepRun.objects.filter(state="succeeded")}
    rows = RunEvent.objects.filter(name="step.succeeded", key__endswith=".compensate", item__gte=0)
    ends = [acted[row.key.removesuffix(".compensate"), row.item] for row in rows.order_by("id")]
    assert ends == sorted(ends, reverse=True)
    assert len({row.step_id for row in rows}) == 6, "each has an effect of its own"
    places = [s["place"] for s in shown["steps"] if s["key"] == "g.compensate"]
    assert places == [None, [0, 0], [1, 0], [1, 1]]
    whole = {s["key"]: s for s in shown["steps"] if s["index"] is None}
    assert whole["g.compensate"]["items"] == {
        "total": 3, "succeeded": 3, "failed": 0, "running": 0
    }  # fmt: skip
    assert (whole["g.compensate"]["state"], whole["g.compensate"]["title"]) == (
        "succeeded", "Undo: G",
    )  # fmt: skip
    assert "none.compensate" not in whole


@pytest.mark.parametrize("stopped_by", ["a failure", "a cancel"])
def test_only_items_that_acted_are_undone_where_their_fan_out_did_not_come_to_its_end(
    web: Browser, key: Key, broker: Broker, stopped_by: str
) -> None:
    who = key()
    each = "tool: core.fail, with: {times: '${ item > 2 ? 9 : 0 }'}, retry: {max_attempts: 1}"
    if stopped_by == "a cancel":
        each = "tool: core.sleep, with: {seconds: 0}"
    run = start(
        web, who,
        f"name: some\nsteps:\n  each: {{for_each: [1, 2, 3], max_parallel: 1, {each},\n"
        "    compensate: {tool: core.echo, with: {value: ['${ index }', "
        "'${ steps.each.output.map(o, o == null) }']}}}\n",
    )["id"]  # fmt: skip
    broker.drain(limit=2)
    if stopped_by == "a cancel":
        post(web, f"runs/{run}/cancel", {}, who)
    broker.drain()
    left = [False, False, True]
    assert undone(web, who, run) == [("each", [1, left]), ("each", [0, left])]


def test_thousands_of_items_are_undone_a_few_at_a_time_and_can_be_counted_meanwhile(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = key(username="ada")
    monkeypatch.setattr(undoing, "BATCH", 16)
    run = start(
        web, who,
        "name: many\ninputs: {type: object, properties: {n: {type: array}}}\nsteps:\n"
        "  before: {tool: core.echo, compensate: {tool: core.echo}}\n"
        "  f: {needs: [before], for_each: '${ inputs.n }', tool: core.echo,\n"
        "    compensate: {tool: core.sleep, with: {seconds: 0}, max_parallel: 4}}\n"
        f"  last: {FAILS % 'f'}\n",
        inputs={"n": list(range(60))},
    )["id"]  # fmt: skip
    rows = StepRun.objects.filter(kind="compensate", item__gte=0)
    while rows.filter(state="succeeded").count() < 36:
        assert broker.drain(limit=1)
        assert rows.filter(state__in=["queued", "running"]).count() <= 4
        assert rows.filter(state="pending").count() <= 16
    (whole,) = (
        s for s in get(web, f"runs/{run}", who).json()["steps"]
        if s["key"] == "f.compensate" and s["index"] is None
    )  # fmt: skip
    assert (whole["state"], whole["items"]["total"]) == ("waiting", 60)
    assert 36 <= whole["items"]["succeeded"] < 60
    signed = Browser()
    signed.force_login(User.objects.get(username="ada"))
    page = signed.get(f"/dashboard/runs/{run}").content.decode()
    assert f"{whole['items']['succeeded']} of 60 items of F are undone." in page
    assert "before" not in {r.key for r in rows}
    broker.drain()
    assert rows.filter(state="succeeded").count() == 60
    events = RunEvent.objects.filter(name="step.succeeded", key__endswith="compensate")
    keys = list(events.order_by("id").values_list("key", "item"))
    done = StepRun.objects.filter(key="f", item__gte=0).order_by("-ended_at", "-pk")
    assert list(rows.order_by("pk").values_list("item", flat=True)) == [one.item for one in done]
    assert keys[-2:] == [("before.compensate", -1), ("f.compensate", -1)]
    assert get(web, f"runs/{run}", who).json()["state"] == "failed"


@pytest.mark.parametrize("at_once", [1, 64])
def test_light_items_are_undone_by_the_worker_that_undid_the_ones_before(
    web: Browser, key: Key, broker: Broker, at_once: int
) -> None:
    who = key()
    run = start(
        web, who,
        "name: light\nsteps:\n  f: {for_each: '${ inputs.n }', tool: core.echo, compensate: "
        f"{{tool: core.echo, with: {{value: '${{ item }}'}}, max_parallel: {at_once}}}}}\n"
        f"  last: {FAILS % 'f'}\n",
        inputs={"n": list(range(300))},
    )["id"]  # fmt: skip
    rows = StepRun.objects.filter(kind="compensate", item__gte=0)
    messages = 0
    while broker.messages or broker.wakes:
        begun = rows.exists()
        broker.drain(limit=1)
        messages += begun
        assert rows.filter(state__in=["queued", "running"]).count() <= at_once
    assert get(web, f"runs/{run}", who).json()["state"] == "failed"
    assert messages <= 12
    assert {row.item: row.output["value"] for row in rows} == {n: n for n in range(300)}
    ended = RunEvent.objects.filter(name="step.succeeded", key="f.compensate", item__gte=0)
    told = list(ended.order_by("id").values_list("item", flat=True))
    if at_once == 1:
        assert told == list(rows.order_by("pk").values_list("item", flat=True))
    assert sorted(told) == list(range(300))
    assert set(rows.values_list("attempt", flat=True)) == {1}


def test_a_fan_out_whose_compensation_takes_its_whole_list_is_undone_once(
    web: Browser, key: Key, broker: Broker
) -> None:
    run = start(
        web, key(),
        "name: whole\nsteps:\n"
        "  f: {for_each: [1, 2], tool: core.echo, with: {value: '${ item }'},\n"
        "    compensate: {tool: core.echo, with: {value: '${ steps.f.output }'}}}\n"
        f"  last: {FAILS % 'f'}\n",
    )["id"]  # fmt: skip
    broker.drain()
    (row,) = StepRun.objects.filter(run_id=run, kind="compensate")
    assert (row.item, row.state) == (-1, "succeeded")
    assert row.output == {"value": [{"value": 1}, {"value": 2}]}
    assert get(web, f"runs/{run}", key()).json()["state"] == "failed"


def test_a_run_says_of_how_many_items_it_could_not_undo_and_goes_on_with_the_others(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key("manager", username="mia")
    run = start(
        web, who,
        "name: left\nsteps:\n  f: {title: The bookings, for_each: [0, 99, 0], tool: core.echo,\n"
        "    compensate: {tool: core.fail, with: {times: '${ item }'}}}\n"
        f"  last: {FAILS % 'f'}\n",
    )["id"]  # fmt: skip
    broker.drain()
    signed = Browser()
    signed.force_login(User.objects.get(username="mia"))
    page = signed.get(f"/dashboard/runs/{run}").content.decode()
    assert "1 of 3 items of The bookings could not be undone." in page
    whole = StepRun.objects.get(key="f.compensate", item=-1)
    panel = signed.get(f"/dashboard/runs/{run}/steps/{whole.pk}").content.decode()
    assert "1 of 3 items could not be undone" in panel
    assert "3, 1 failed" in panel
    states = StepRun.objects.filter(kind="compensate", item__gte=0).order_by("item")
    assert list(states.values_list("state", flat=True)) == ["succeeded", "failed", "succeeded"]


def test_a_fan_out_that_was_undone_is_done_again_by_a_retry_and_by_a_fork(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(
        "name: inner\ninputs: {type: object, properties: {n: {type: integer}}}\nsteps:\n"
        "  in: {tool: core.echo, with: {value: '${ inputs.n }'}}\n"
        "outputs: {n: '${ steps.in.output.value }'}\n"
    )
    run = start(
        web, who,
        "name: again\nsteps:\n  f: {for_each: [1, 2], workflow: inner, with: {n: '${ item }'},\n"
        "    compensate: {tool: core.echo, with: {value: 'not ${ output.n }'}}}\n"
        "  last: {needs: [f], wait: {signal: go}}\n",
    )["id"]  # fmt: skip
    broker.drain()
    post(web, f"runs/{run}/cancel", {}, who)
    broker.drain()
    first = undone(web, who, run)
    assert sorted(first) == [("f", "not 1"), ("f", "not 2")]
    forked = post(web, f"runs/{run}/fork", {"from_step": "last"}, who).json()["id"]
    assert post(web, f"runs/{run}/retry", {}, who).status_code == 200
    broker.drain()
    for again in (run, forked):
        shown = get(web, f"runs/{again}", who).json()
        assert shown["state"] == "running"
        assert not [s for s in shown["steps"] if "compensate" in s["key"]]
        post(web, f"runs/{again}/cancel", {}, who)
    broker.drain()
    assert Run.objects.filter(workflow_name="inner", state="succeeded").count() == 6
    assert sorted(undone(web, who, forked)) == sorted(first)
    effects = RunEvent.objects.filter(name="step.succeeded", key="f.compensate", item__gte=0)
    assert len(set(effects.values_list("step_id", flat=True))) == 6, "undone anew, by new effects"


def test_what_a_deadline_ended_is_undone_after_it(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    due = (database_time() + timedelta(hours=1)).isoformat()
    run = start(
        web, who,
        "name: late\nsteps:\n  f: {for_each: [1, 2], tool: core.echo,\n"
        "    compensate: {tool: core.sleep, with: {seconds: 0.05}}}\n"
        "  w: {needs: [f], wait: {signal: go}}\n",
        deadline_at=due,
    )["id"]  # fmt: skip
    broker.drain()
    Run.objects.update(deadline_at=database_time())
    tasks.sweep()
    contexts._kept.clear()  # what this process remembers of the run: another worker undoes it
    broker.drain()
    shown = get(web, f"runs/{run}", who).json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "run_timeout")
    states = {s["state"] for s in shown["steps"] if s["kind"] == "compensate"}
    assert states == {"succeeded"}


@pytest.mark.parametrize(
    ("compensate", "said"),
    [
        ("for_each: [1], tool: core.echo, compensate: {tool: core.echo, with: {value: "
         "'${ outer_index }'}}", "unknown name 'outer_index'"),
        ("tool: core.echo, compensate: {tool: core.echo, with: {value: '${ item }'}}",
         "unknown name 'item'"),
        ("tool: core.sleep, with: {seconds: 1}, compensate: {tool: core.echo, with: {value: "
         "['${ output.slept }']}}", "unknown field of output 'slept'"),
        ("tool: core.echo, compensate: {tool: core.echo, max_parallel: 2}",
         "has no meaning without for_each"),
    ],
)  # fmt: skip
def test_a_compensation_that_names_what_it_cannot_have_is_refused(
    web: Browser, key: Key, compensate: str, said: str
) -> None:
    text = f"name: bad\nsteps:\n  a: {{{compensate}}}\n"
    refused = problem(post(web, "workflows", {"definition": text}, key("platform_engineer")),
                      422, "invalid_document")  # fmt: skip
    assert said in str(refused["faults"])
