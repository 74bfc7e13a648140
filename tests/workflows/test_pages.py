"""Pages of runs, approvals and workflows, over real runs of the engine."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import F
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.access.models import Client, Membership, User
from monitoring import rollups
from workflows import controls, publishing, timeline
from workflows.models import Run, StepRun
from workflows.pages import run as run_page

pytestmark = pytest.mark.django_db(transaction=True)

FLOW = """
name: shown
title: A run to look at
inputs:
  type: object
  required: [who]
  properties: {who: {type: string}, note: {type: string, format: artifact}}
access: {start: [professional]}
steps:
  load: {tool: core.echo, with: {value: [1, 2, 3]}}
  never: {needs: [load], when: "false", tool: core.echo, title: Left out}
  each:
    title: Every item
    needs: [load]
    for_each: "${ steps.load.output.value }"
    tool: core.echo
    with: {value: "${ item }"}
  ask:
    title: A person agrees
    needs: [each, never]
    approval:
      role: manager
      forbid_self: false
      show: {who: "${ inputs.who }"}
      form: {type: object, required: [mark], properties: {mark: {type: integer, maximum: 5}}}
  say: {needs: [ask], tool: core.echo, with: {value: "<script>alert(1)</script>"}}
outputs:
  said: "${ steps.say.output.value }"
  rows: "${ [{'line_id': '7', 'score': 2.5, 'tests': ['weekend']}] }"
"""
BROKEN = """
name: broken_one
title: It breaks
steps:
  bad: {tool: core.fail, title: The bad step, with: {times: 9}, retry: {max_attempts: 1}}
"""


@pytest.fixture
def browser(caller: Any) -> Browser:
    """Signed in as the caller of the engine's tests."""
    return signed_in(User.objects.get(pk=caller.user_id))


def signed_in(user: User) -> Browser:
    made = Browser()
    made.force_login(user)
    return made


def page(browser: Browser, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, answer.content[:2000]
    return answer.content.decode()


@pytest.fixture
def waiting(finished: Any) -> Run:
    """A run that has come to its approval."""
    run: Run = finished(FLOW, {"who": "Ada"})
    assert run.state == "running"
    return run


def answer(browser: Browser, run: Run, **posted: Any) -> Any:
    approval = run.approvals.get()
    return browser.post(f"/dashboard/approvals/{approval.pk}", posted)


@pytest.mark.parametrize(
    "path", ["/dashboard/runs", "/dashboard/approvals", "/dashboard/workflows", "/dashboard/_runs"]
)
def test_pages_stand_without_any_data(browser, path):
    assert 'class="empty"' in page(browser, path)


def test_a_stranger_is_sent_to_the_sign_in_page():
    answer = Browser().get("/dashboard/runs")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=/dashboard/runs")


def test_the_page_of_a_run_draws_each_step_with_its_state_in_words(browser, waiting):
    html = page(browser, f"/dashboard/runs/{waiting.pk}")
    nodes = dict(re.findall(r'id="n-(\w+)".*?aria-label="([^"]+)"', html, re.S))
    assert nodes["load"].startswith("Load: Done")
    assert nodes["never"] == "Left out: Skipped"
    assert "3 of 3 items" in nodes["each"]
    assert nodes["ask"].startswith("A person agrees: Approval")
    assert nodes["say"] == "Say: Not started"


def test_the_first_line_says_for_whom_the_run_waits(browser, waiting):
    html = page(browser, f"/dashboard/runs/{waiting.pk}/_live")
    assert "Waiting for the manager’s approval" in html
    assert f"/dashboard/approvals/{waiting.approvals.get().pk}" in html


WAITING = """
name: waiting_for
steps:
  call: {title: The call, wait: {signal: go_on, timeout: 1h}}
  then: {needs: [call], wait: {for: 1h}}
"""


def test_the_first_line_says_for_which_signal_or_time_the_run_waits(
    browser, finished, caller, broker
):
    run = finished(WAITING)
    live = f"/dashboard/runs/{run.pk}/_live"
    html = page(browser, live)
    assert "Waiting for the signal “go_on”" in html and "0 of 2 steps are done" in html
    controls.pause_run(caller, run.pk)
    assert "after 0 of 2 steps; nothing new starts" in page(browser, live)
    controls.resume_run(caller, run.pk)
    controls.send_signal(caller, run.pk, name="go_on")
    broker.drain()
    assert "Waiting for its time" in page(browser, live)


def test_the_first_line_says_when_what_failed_is_tried_again(browser, begin):
    run = begin(
        "name: patient\nsteps:\n  a: {tool: core.fail, with: {times: 9}, "
        "retry: {max_attempts: 3, backoff: 5m}}\n"
    )
    StepRun.objects.filter(key="a").update(queued_at=timezone.now() + timedelta(minutes=4.5))
    html = page(browser, f"/dashboard/runs/{run.pk}/_live")
    assert "again in 4 min, after a failure" in html


def test_a_long_wait_at_the_end_of_the_line_is_told_inside_of_it(browser, waiting):
    ago = timedelta(minutes=20)
    Run.objects.update(created_at=F("created_at") - ago, started_at=F("started_at") - ago)
    StepRun.objects.filter(started_at__isnull=False).update(
        queued_at=F("queued_at") - ago, started_at=F("started_at") - ago,
        ended_at=F("ended_at") - ago,
    )  # fmt: skip
    html = page(browser, f"/dashboard/runs/{waiting.pk}/_live")
    cuts = re.findall(r'class="cut-text" style="([^"]+)">([^<]+)', html)
    assert cuts[-1] == ("right:0", "20 min")
    ticks = [float(at) for at in re.findall(r'class="tick[^"]*" style="left:([\d.]+)%', html)]
    assert all(at < 78 for at in ticks)


def test_the_panel_of_a_step_shows_input_and_output(browser, waiting):
    step = waiting.steps.get(key="each", item=1)
    html = page(browser, f"/dashboard/runs/{waiting.pk}/steps/{step.pk}")
    assert "item 2" in html
    assert "Succeeded" in html
    assert "&quot;value&quot;: 2" in html


def test_a_fan_out_lists_its_items_in_the_panel(browser, waiting):
    html = page(browser, f"/dashboard/runs/{waiting.pk}/steps/each")
    assert html.count(">Item ") == 3


def test_a_long_history_is_told_from_its_end_and_says_what_it_leaves_out(
    browser, finished, monkeypatch
):
    monkeypatch.setattr(run_page, "SHOWN_EVENTS", 5)
    monkeypatch.setattr(timeline, "MAX_ROWS", 3)
    run = finished(
        "name: long\nsteps:\n" + "".join(f"  s{n}: {{tool: core.echo}}\n" for n in range(9))
    )
    html = page(browser, f"/dashboard/runs/{run.pk}/_live")
    assert re.search(r"the last 5 of \d+ events", html)
    assert "The run succeeded" in html and "The run was created" not in html
    assert "9 steps have begun; these are 1 to 3." in html


def test_the_history_tells_what_happened_in_words(browser, waiting):
    html = page(browser, f"/dashboard/runs/{waiting.pk}/_live")
    assert "The run was created" in html
    assert "Every item 2 succeeded" in html


def test_an_approval_is_answered_on_its_page_and_the_run_goes_on(browser, waiting, broker):
    html = page(browser, f"/dashboard/approvals/{waiting.approvals.get().pk}")
    assert "Your answer is asked for" in html
    assert "Ada" in html
    gone = answer(browser, waiting, decision="approve", mark="4", reason="fine")
    assert gone["Location"] == f"/dashboard/runs/{waiting.pk}"
    broker.drain()
    waiting.refresh_from_db()
    assert waiting.state == "succeeded"
    assert waiting.approvals.get().answer == {"mark": 4}


def test_a_wrong_answer_says_why_and_keeps_what_was_typed(browser, waiting):
    refused = answer(browser, waiting, decision="approve", mark="9", reason="kept words")
    assert refused.status_code == 422
    html = refused.content.decode()
    assert "form.mark" in html
    assert "kept words" in html
    assert waiting.approvals.get().state == "waiting"


def test_a_rejection_needs_a_reason(browser, waiting):
    refused = answer(browser, waiting, decision="reject", reason=" ")
    assert refused.status_code == 422
    assert "say why it is rejected" in refused.content.decode()


def test_who_may_not_answer_sees_why_and_no_form(firm, waiting):
    user = User.objects.create_user("pat", password="x")
    Membership.objects.create(user=user, client=firm, role="professional")
    html = page(signed_in(user), f"/dashboard/approvals/{waiting.approvals.get().pk}")
    assert "needs the role manager" in html
    assert 'name="decision"' not in html
    refused = answer(signed_in(user), waiting, decision="approve", mark="1")
    assert refused.status_code == 403


def test_the_navigation_counts_the_approvals_of_this_person(browser, waiting):
    assert ">1</span>" in page(browser, "/dashboard/_waiting")


def test_what_a_run_found_is_readable_and_never_markup(browser, waiting, broker):
    answer(browser, waiting, decision="approve", mark="4")
    broker.drain()
    html = page(browser, f"/dashboard/runs/{waiting.pk}/_findings")
    assert "&lt;script&gt;" in html
    assert "<script>alert" not in html
    assert f"/dashboard/runs/{waiting.pk}/lines/7" in html
    line = page(browser, f"/dashboard/runs/{waiting.pk}/lines/7")
    assert "number <b>1</b> of the rows" in line


def test_a_failed_run_says_where_and_why_and_can_be_tried_again(browser, finished):
    run = finished(BROKEN)
    html = page(browser, f"/dashboard/runs/{run.pk}")
    assert "Failed at The bad step" in html
    assert "core.fail is unavailable" in html
    browser.post(f"/dashboard/runs/{run.pk}/retry")
    run.refresh_from_db()
    assert run.state == "running"


def test_controls_pause_resume_and_cancel(browser, waiting):
    for action, state in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")]:
        browser.post(f"/dashboard/runs/{waiting.pk}/{action}", {"reason": "enough"})
        waiting.refresh_from_db()
        assert waiting.state == state


def test_a_control_that_is_too_late_says_in_which_state_the_run_is(browser, finished):
    run = finished(BROKEN)
    shown = browser.post(f"/dashboard/runs/{run.pk}/pause", follow=True).content.decode()
    assert "is failed" in shown


def test_a_fork_leads_to_the_new_run(browser, waiting):
    gone = browser.post(
        f"/dashboard/runs/{waiting.pk}/fork", {"from_step": "each", "inputs": '{"who": "Bea"}'}
    )
    fork = Run.objects.get(forked_from=waiting)
    assert gone["Location"] == f"/dashboard/runs/{fork.pk}"
    assert fork.inputs["who"] == "Bea"


def test_controls_refuse_a_get_and_a_forged_form(browser, waiting):
    assert browser.get(f"/dashboard/runs/{waiting.pk}/cancel").status_code == 405
    strict = Browser(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    assert strict.post(f"/dashboard/runs/{waiting.pk}/cancel").status_code == 403


def test_runs_of_another_client_are_not_there(waiting):
    other = Client.objects.create(slug="other", name="Other")
    user = User.objects.create_user("eve", password="x")
    Membership.objects.create(user=user, client=other, role="partner")
    stranger = signed_in(user)
    step = waiting.steps.get(key="load")
    for path in ("", "/_live", "/_findings", f"/steps/{step.pk}", "/lines/7"):
        html = page(stranger, f"/dashboard/runs/{waiting.pk}{path}", 404)
        assert "Ada" not in html
    assert str(waiting.pk) not in page(stranger, "/dashboard/runs")
    assert str(waiting.pk) not in stranger.get("/dashboard/runs.csv").getvalue().decode()
    assert page(stranger, "/dashboard/_waiting") == ""
    page(stranger, f"/dashboard/approvals/{waiting.approvals.get().pk}", 404)


def test_filters_live_in_the_address(browser, waiting, finished):
    failed = finished(BROKEN)
    html = page(browser, "/dashboard/runs?state=failed")
    assert str(failed.pk) in html
    assert str(waiting.pk) not in html
    assert str(waiting.pk) in page(browser, "/dashboard/runs?state=open&workflow=shown")
    assert "No run matches" in page(browser, "/dashboard/runs?since=2999-01-01")
    page(browser, "/dashboard/runs?since=nonsense&client=nonsense&before=nonsense")
    # A time is said in the zone that it is said in, whichever it was given in.
    html = page(browser, "/dashboard/runs?since=2026-11-02T00:30:00%2B05:00")
    assert "Runs that ended from 1 November 2026, 19:30 UTC." in html
    page(browser, "/dashboard/runs?since=0001-01-01T00:00:00%2B05:00")


def test_older_runs_are_a_page_further(browser, begin, monkeypatch):
    monkeypatch.setattr("workflows.pages.runs.PAGE", 2)
    runs = [begin(FLOW, {"who": str(n)}) for n in range(3)]
    first = page(browser, "/dashboard/runs")
    cursor = re.search(r"before=([0-9a-f-]{36})", first)
    assert cursor is not None
    second = page(browser, f"/dashboard/runs?before={cursor[1]}")
    assert str(runs[0].pk) in second
    assert str(runs[0].pk) not in first


def test_the_csv_holds_exact_values_and_no_formulas(browser, firm, waiting):
    Client.objects.filter(pk=firm.pk).update(name="=cmd()")
    lines = browser.get("/dashboard/runs.csv?workflow=shown").getvalue().decode().splitlines()
    assert lines[0].startswith("id,workflow,state")
    assert lines[1].startswith(str(waiting.pk))
    assert "'=cmd()" in lines[1]


def test_a_run_is_started_from_the_form_with_its_file(browser, caller, broker):
    publishing.publish(FLOW, user_id=caller.user_id)
    html = page(browser, "/dashboard/workflows/shown")
    assert "My dashboards" in html  # the navigation is whole, whatever the page calls its own
    assert 'type="file" name="note"' in html
    key = re.search(r'name="key" value="([^"]+)"', html)
    assert key is not None
    posted = {"who": "Ada", "key": key[1]}
    first = browser.post(
        "/dashboard/workflows/shown", {**posted, "note": SimpleUploadedFile("n.txt", b"hello")}
    )
    run = Run.objects.get(workflow_name="shown")
    assert first["Location"] == f"/dashboard/runs/{run.pk}"
    assert run.inputs["who"] == "Ada"
    assert run.inputs["note"]
    browser.post(
        "/dashboard/workflows/shown", {**posted, "note": SimpleUploadedFile("n.txt", b"hello")}
    )
    assert Run.objects.filter(workflow_name="shown").count() == 1  # sent twice, started once


def test_a_run_without_a_required_input_is_not_started_and_says_which(browser, caller):
    publishing.publish(FLOW, user_id=caller.user_id)
    refused = browser.post("/dashboard/workflows/shown", {"who": ""})
    assert refused.status_code == 422
    assert "It was not started" in refused.content.decode()
    assert "who" in refused.content.decode()
    assert not Run.objects.exists()


def test_two_versions_of_a_workflow_are_compared(browser, caller):
    publishing.publish(FLOW, user_id=caller.user_id)
    publishing.publish(FLOW.replace("Left out", "Let be"), user_id=caller.user_id)
    html = page(browser, "/dashboard/workflows/shown?diff=1..2")
    assert '<span class="add">' in html
    assert "Let be" in html


def test_figures_of_a_workflow_come_from_its_runs(browser, finished):
    finished(BROKEN)
    rollups.roll_up()
    html = page(browser, "/dashboard/workflows/broken_one")
    assert "The one run that ended failed" in html
    assert "/dashboard/_panel?range=30d&amp;scope=workflow&amp;key=broken_one" in html
    assert "1 run of 1 workflow ended in 30 days; 1 failed." in page(
        browser, "/dashboard/workflows"
    )


@pytest.mark.parametrize(
    "path",
    ["/dashboard/runs/00000000-0000-0000-0000-000000000000", "/dashboard/workflows/none",
     "/dashboard/nowhere", "/dashboard/runs/00000000-0000-0000-0000-000000000000/_live"],
)  # fmt: skip
def test_what_is_not_there_is_said_in_the_look(browser, path):
    html = page(browser, path, 404)
    assert "There is nothing here" in html
    assert "Traceback" not in html


def test_an_api_address_that_is_not_there_answers_as_a_problem(browser):
    answer = browser.get("/api/v1/nowhere")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert json.loads(answer.content)["code"] == "not_found"


def test_a_page_without_the_scope_is_refused_in_words(firm):
    user = User.objects.create_user("ext", password="x")
    Membership.objects.create(user=user, client=firm, role="external")
    html = page(signed_in(user), "/dashboard/workflows", 403)
    assert "the scope workflows:read" in html


def test_the_offline_model_is_named_on_every_page(browser, waiting):
    for path in ("/dashboard", "/dashboard/runs", f"/dashboard/runs/{waiting.pk}"):
        assert "Offline model" in page(browser, path)


def test_pages_are_small_and_ask_little_of_the_database(browser, finished):
    wide = FLOW.replace("[1, 2, 3]", json.dumps(list(range(80))))
    run = finished(wide, {"who": "Ada"})
    for path in (f"/dashboard/runs/{run.pk}", "/dashboard/runs", "/dashboard/workflows/shown"):
        with CaptureQueriesContext(connection) as asked:
            html = page(browser, path)
        assert len(html) < 200_000
        assert len(asked) < 30, [q["sql"][:90] for q in asked]
