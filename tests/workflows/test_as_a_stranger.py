"""Features as somebody meets them who knows only the API, the pages and the mail."""

from __future__ import annotations

import base64
import json
import re
from http.server import HTTPServer
from typing import Any

import pytest
from django.core import mail
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from tests.workflows.test_notices import receiver  # noqa: F401
from workflows import tasks
from workflows.database import database_time
from workflows.models import Approval, ApprovalWebhook, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


def published(web: Browser, key: Key, text: str) -> None:
    answer = post(web, "workflows", {"definition": text}, key("platform_engineer"))
    assert answer.status_code == 201, answer.content


def run_of(web: Browser, who: dict[str, str], broker: Broker, **body: Any) -> dict[str, Any]:
    made = post(web, "runs", body, who)
    assert made.status_code == 201, made.content
    broker.drain()
    found: dict[str, Any] = get(web, f"runs/{made.json()['id']}", who).json()
    return found


def test_joins_of_so_many_a_failure_with_a_way_on_and_a_loop_in_a_loop(
    web: Browser, key: Key, broker: Broker
) -> None:
    flows = """
name: flows
inputs: {type: object, properties: {teams: {type: array}}}
steps:
  fine: {tool: core.echo, with: {value: 1}}
  bad: {tool: core.fail, with: {times: 9}, retry: {max_attempts: 1}, on_error: {go_to: mend}}
  mend: {tool: core.echo, with: {value: "${ steps.bad.error.code }"}}
  two: {needs: {at_least: 2, of: [fine, bad, mend]}, tool: core.echo, with: {value: two}}
  pairs:
    for_each: "${ inputs.teams }"
    as: team
    each: {for_each: "${ team.people }", as: person}
    tool: core.echo
    with: {value: "${ team.name + ':' + person }"}
outputs:
  mended: "${ steps.mend.output.value }"
  two: "${ steps.two.output.value }"
  pairs: "${ steps.pairs.output.map(t, t.map(p, p.value)) }"
"""
    all_three = "  three: {needs: {at_least: 3, of: [fine, bad, mend]}, tool: core.echo}\n"
    never = flows.replace("outputs:", all_three + "outputs:")
    refused = post(web, "workflows", {"definition": never}, key("platform_engineer"))
    fault = problem(refused, 422, "invalid_document")["faults"][0]["message"]
    assert fault == "can never be met: no run has 3 of fine, bad, mend succeed"
    published(web, key, flows)
    teams = [{"name": "a", "people": ["x", "y"]}, {"name": "b", "people": []},
             {"name": "c", "people": ["z"]}]  # fmt: skip
    run = run_of(web, key(), broker, workflow="flows", inputs={"teams": teams})
    assert run["state"] == "succeeded", run["error"]
    assert run["outputs"] == {
        "mended": "unavailable", "two": "two", "pairs": [["a:x", "a:y"], [], ["c:z"]]
    }  # fmt: skip
    states = {step["key"]: step["state"] for step in run["steps"] if step["index"] is None}
    assert (states["bad"], states["two"]) == ("failed", "succeeded")


def test_a_step_has_only_the_time_that_its_definition_gives_it(
    web: Browser, key: Key, broker: Broker
) -> None:
    published(web, key, """
name: hasty
steps:
  slow: {tool: core.sleep, with: {seconds: 20}, timeout: 200ms, retry: {max_attempts: 2, backoff: 1ms}}
""")  # fmt: skip  # noqa: E501
    run = run_of(web, key(), broker, workflow="hasty")
    assert (run["state"], run["error"]["code"]) == ("failed", "timeout")
    assert [one["error_code"] for one in run["steps"][0]["attempts"]] == ["timeout", "timeout"]


def test_one_key_at_a_time_and_other_keys_beside_it(web: Browser, key: Key, broker: Broker) -> None:
    published(web, key, """
name: one_each
inputs: {type: object, properties: {client_name: {type: string}}}
concurrency: {key: "${ inputs.client_name }", max: 1}
steps:
  w: {wait: {signal: go}}
""")  # fmt: skip
    who = key()
    runs = [run_of(web, who, broker, workflow="one_each", inputs={"client_name": name})
            for name in "aab"]  # fmt: skip
    assert [run["state"] for run in runs] == ["running", "waiting", "running"]
    post(web, f"runs/{runs[0]['id']}/signal", {"name": "go"}, who)
    broker.drain()
    assert get(web, f"runs/{runs[1]['id']}", who).json()["state"] == "running"


def test_a_fork_with_other_inputs_keeps_what_was_recorded_before_its_step(
    web: Browser, key: Key, broker: Broker
) -> None:
    published(web, key, """
name: forked
inputs: {type: object, properties: {n: {type: integer}}}
steps:
  a: {tool: core.echo, with: {value: "${ inputs.n }"}}
  b: {needs: [a], tool: core.echo, with: {value: "${ inputs.n * 10 }"}}
outputs: {a: "${ steps.a.output.value }", b: "${ steps.b.output.value }"}
""")  # fmt: skip
    who = key()
    first = run_of(web, who, broker, workflow="forked", inputs={"n": 1})
    made = post(web, f"runs/{first['id']}/fork", {"from_step": "b", "inputs": {"n": 2}}, who)
    broker.drain()
    fork = get(web, f"runs/{made.json()['id']}", who).json()
    assert (fork["outputs"], fork["forked_from"]) == ({"a": 1, "b": 20}, first["id"])
    refused = post(web, f"runs/{first['id']}/fork", {"from_step": "zz"}, who)
    problem(refused, 422, "invalid_input")


def test_only_those_named_cancel_the_runs_of_others_and_everybody_their_own(
    web: Browser, key: Key, broker: Broker
) -> None:
    published(
        web, key, "name: kept\naccess: {cancel: [partner]}\nsteps:\n  w: {wait: {signal: go}}\n"
    )
    starter, manager = key("professional"), key("manager")
    first, second = (run_of(web, starter, broker, workflow="kept")["id"] for _ in range(2))
    refused = problem(post(web, f"runs/{first}/cancel", {}, manager), 403, "forbidden")
    assert "one of partner" in refused["detail"]
    assert post(web, f"runs/{first}/cancel", {}, key("partner")).json()["state"] == "cancelled"
    assert post(web, f"runs/{second}/cancel", {}, starter).json()["state"] == "cancelled"


def test_the_next_in_line_is_told_when_nobody_answered_and_then_the_approval_expires(
    web: Browser,
    key: Key,
    broker: Broker,
    receiver: HTTPServer,  # noqa: F811
) -> None:
    secret = base64.b64encode(b"k" * 24).decode()
    url = f"http://127.0.0.1:{receiver.server_port}/approvals"
    ApprovalWebhook.objects.create(name="ours", url=url, secret=secret, may_be_private=True)
    key("manager", email="manager@example.org")
    partner = key("partner", email="partner@example.org")
    source = (
        "name: letter\nsteps:\n  sign: {approval: {role: manager, timeout: 3d, "
        "escalate: {after: 1d, role: partner}}}\n"
    )
    run = start(web, key("professional"), source)["id"]
    tasks.tell()
    mail.outbox.clear()
    Approval.objects.update(escalates_at=database_time())  # a day has passed
    StepRun.objects.filter(key="sign").update(wake_at=database_time())
    tasks.sweep()
    tasks.tell()
    assert [m.to for m in mail.outbox] == [["partner@example.org"]]
    assert "Nobody answered in time, so it now comes to you." in mail.outbox[0].body
    kinds = [json.loads(body)["type"] for _, body in receiver.got]  # type: ignore[attr-defined]
    assert kinds == ["approval.asked", "approval.escalated"]
    Approval.objects.update(expires_at=database_time())  # two more
    StepRun.objects.filter(key="sign").update(wake_at=database_time())
    tasks.sweep()
    ended = get(web, f"runs/{run}", partner).json()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "approval_expired")
    approval = Approval.objects.get()
    problem(post(web, f"approvals/{approval.pk}", {"decision": "approve"}, partner), 409,
            "conflict")  # fmt: skip


def test_the_page_of_a_run_marks_the_steps_that_it_waited_for_on_graph_and_time_line(
    web: Browser, key: Key, broker: Broker
) -> None:
    published(web, key, """
name: path
steps:
  begin: {tool: core.echo}
  slow: {title: The slow one, needs: [begin], tool: core.sleep, with: {seconds: 0.3}}
  quick: {title: The quick one, needs: [begin], tool: core.echo}
  both: {title: Both, needs: [slow, quick], tool: core.echo}
""")  # fmt: skip
    who = key("manager", username="mia")
    run = run_of(web, who, broker, workflow="path")
    signed = Browser()
    signed.force_login(User.objects.get(username="mia"))
    page = signed.get(f"/dashboard/runs/{run['id']}").content.decode()
    nodes = {name: "critical" in classes for name, classes in
             re.findall(r'<a id="n-(\w+)"[^>]*class="(node[^"]*)"', page)}  # fmt: skip
    assert nodes == {"begin": True, "slow": True, "quick": False, "both": True}
    assert 'Bottleneck: <a href="#n-slow">The slow one</a>' in page
    line = page.partition('class="gantt"')[2]
    row = r'<li( class="critical")?>\s*<div class="gantt-row">.*?<span>([^<]+)</span>'
    rows = {title: marked for marked, title in re.findall(row, line, re.DOTALL)}
    assert {title for title, marked in rows.items() if not marked} == {"The quick one"}
    assert line.count('class="bar ') >= 4
    assert "The slow one held it up most" in page
