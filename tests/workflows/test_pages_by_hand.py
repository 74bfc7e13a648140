"""What people do with their hands on pages: signals, versions and labels, dead letters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client as Browser

from config.access.models import Client, Membership, User
from tests.workflows.test_pages import (  # noqa: F401  the signed-in browser
    BROKEN,
    browser,
    page,
    signed_in,
)
from workflows import publishing, starting
from workflows.models import Run, Signal, StepRun, WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)

CALLS = """
name: calls
title: It waits for a letter
access: {start: [professional]}
steps:
  letter: {title: The letter, wait: {signal: letter_signed}}
  then: {needs: [letter], tool: core.echo, with: {value: "${ steps.letter.output }"}}
outputs: {value: "${ steps.then.output.value }"}
"""


def member(firm: Client, name: str, *roles: str) -> Browser:
    user = User.objects.create_user(name, password="x")
    for role in roles:
        Membership.objects.create(user=user, client=firm, role=role)
    return signed_in(user)


# ---------------------------------------------------------------- signals
def test_a_signal_is_sent_from_the_page_of_the_run_that_waits_for_it(
    browser: Browser,  # noqa: F811
    finished: Any,
    broker: Any,
) -> None:
    run = finished(CALLS)
    html = page(browser, f"/dashboard/runs/{run.pk}")
    assert "Waiting for the signal “letter_signed”" in html
    assert "letter_signed – The letter, waiting</option>" in html
    posted = {"name": "letter_signed", "payload": '{"by": "Ada"}'}
    shown = browser.post(f"/dashboard/runs/{run.pk}/signal", posted, follow=True)
    assert "The signal “letter_signed” is sent." in shown.content.decode()
    broker.drain()
    run.refresh_from_db()
    assert (run.state, run.outputs) == ("succeeded", {"value": {"by": "Ada"}})
    assert 'data-dialog="ask-signal"' not in page(browser, f"/dashboard/runs/{run.pk}")


def test_a_signal_that_is_no_json_is_not_sent_and_says_so(
    browser: Browser,  # noqa: F811
    finished: Any,
) -> None:
    run = finished(CALLS)
    posted = {"name": "letter_signed", "payload": "{by: Ada}"}
    shown = browser.post(f"/dashboard/runs/{run.pk}/signal", posted, follow=True)
    assert "must be JSON" in shown.content.decode()
    assert not Signal.objects.exists()


def test_who_started_a_run_may_signal_it_and_others_need_the_right_to_control(
    firm: Client, caller: Any, broker: Any
) -> None:
    publishing.publish(CALLS)
    pat, eve = member(firm, "pat", "professional"), member(firm, "eve", "auditor")
    pat.post("/dashboard/workflows/calls", {"key": "one"})
    run = Run.objects.get()
    broker.drain()
    mine, theirs = (page(who, f"/dashboard/runs/{run.pk}") for who in (pat, eve))
    assert 'data-dialog="ask-signal"' in mine
    assert 'data-dialog="ask-signal"' not in theirs
    posted = {"name": "letter_signed", "payload": ""}
    refused = eve.post(f"/dashboard/runs/{run.pk}/signal", posted, follow=True)
    assert "signal runs of others" in refused.content.decode()
    assert not Signal.objects.exists()
    pat.post(f"/dashboard/runs/{run.pk}/signal", posted)
    assert Signal.objects.get().payload is None


def test_a_run_that_waits_for_no_signal_offers_none(
    browser: Browser,  # noqa: F811
    begin: Any,
) -> None:
    run = begin("name: plain\nsteps:\n  a: {wait: {for: 1h}}\n")
    assert "ask-signal" not in page(browser, f"/dashboard/runs/{run.pk}")


# ---------------------------------------------------------------- versions
def test_a_definition_is_checked_and_published_from_a_page(
    browser: Browser,  # noqa: F811
    caller: Any,
) -> None:
    assert "core.echo" in page(browser, "/dashboard/publish")  # something to begin with
    bad = "name: calls\nsteps:\n  a:\n    tool: core.ecco\n"
    for act in ("check", "publish"):
        refused = browser.post("/dashboard/publish", {"definition": bad, "act": act})
        assert refused.status_code == 422
        html = refused.content.decode()
        assert "1 fault" in html and "<code>steps.a.tool</code>" in html and "core.ecco" in html
    assert not WorkflowVersion.objects.exists()
    checked = browser.post("/dashboard/publish", {"definition": CALLS, "act": "check"})
    assert "No fault in it." in checked.content.decode()
    assert not WorkflowVersion.objects.exists()
    typed = CALLS.replace("\n", "\r\n")  # as browsers send it
    gone = browser.post("/dashboard/publish", {"definition": typed, "act": "publish"})
    assert gone["Location"] == "/dashboard/workflows/calls#versions"
    version = WorkflowVersion.objects.get()
    assert (version.source, version.published_by_id) == (CALLS, caller.user_id)
    assert "It waits for a letter" in page(browser, "/dashboard/publish?workflow=calls")
    again = browser.post("/dashboard/publish", {"definition": CALLS, "act": "publish"}, follow=True)
    assert "Nothing new in it: it is v1" in again.content.decode()


def test_a_text_that_is_no_yaml_is_refused_and_kept(browser: Browser) -> None:  # noqa: F811
    refused = browser.post("/dashboard/publish", {"definition": "a: [1", "act": "publish"})
    assert refused.status_code == 422
    assert "a: [1" in refused.content.decode()


def two_versions() -> None:
    publishing.publish(CALLS)
    publishing.publish(CALLS.replace("The letter", "The signed letter"))


def change(browser: Browser, **posted: Any) -> str:  # noqa: F811
    answer = browser.post("/dashboard/workflows/calls/versions", posted, follow=True)
    html: str = answer.content.decode()
    return html


def test_new_runs_go_back_to_an_earlier_version_from_the_page(
    browser: Browser,  # noqa: F811
    caller: Any,
    broker: Any,
) -> None:
    two_versions()
    assert "Use v1" in page(browser, "/dashboard/workflows/calls")
    html = change(browser, number=1, action="current")
    assert "New runs use v1 now" in html
    assert "Use v2" in html and "Use v1" not in html
    run, _ = starting.start_run(caller=caller, workflow="calls", inputs={})
    assert run.version.number == 1


def test_versions_are_labelled_and_deprecated_from_the_page(
    browser: Browser,  # noqa: F811
    caller: Any,
) -> None:
    two_versions()
    html = change(browser, number=1, action="label", label="last-year")
    assert "“last-year” stands for v1 now." in html
    assert re.search(r'class="chip">last-year', html)
    run, _ = starting.start_run(caller=caller, workflow="calls", inputs={}, version="last-year")
    assert run.version.number == 1
    html = change(browser, number=1, action="unlabel", label="last-year")
    assert "no longer stands for v1" in html
    assert not re.search(r'class="chip">last-year', html)
    assert "make one current first, v1" in change(browser, number=2, action="deprecate")
    assert "v1 is deprecated" in change(browser, number=1, action="deprecate")
    assert WorkflowVersion.objects.get(number=1).deprecated_at is not None


def test_a_label_that_is_none_is_refused_in_words(
    browser: Browser,  # noqa: F811
    caller: Any,
) -> None:
    two_versions()
    html = change(browser, number=1, action="label", label="Not One")
    assert "label: got" in html
    assert "does not match" in html


def test_who_may_not_publish_sees_versions_and_no_buttons(firm: Client, caller: Any) -> None:
    two_versions()
    publishing.label("calls", 1, "stable")
    pat = member(firm, "pat", "professional")
    html = page(pat, "/dashboard/workflows/calls")
    assert "stable" in html
    for word in ("Use v1", "Deprecate", "/dashboard/publish"):
        assert word not in html
    page(pat, "/dashboard/publish", 403)
    for posted in ({"number": 1, "action": "current"}, {"number": 1, "action": "deprecate"}):
        answer = pat.post("/dashboard/workflows/calls/versions", posted)
        assert answer.status_code == 403
    assert WorkflowVersion.objects.get(is_current=True).number == 2


# ---------------------------------------------------------------- dead letters
def dead(run: Run, code: str = "", message: str = "") -> StepRun:
    error = {"code": code, "message": message} if code else None
    run.steps.filter(kind="tool").update(
        state="dead", deliveries=6, error=error, lease_until=None, token=None
    )
    return StepRun.objects.get(run=run, state="dead")


def test_dead_letters_are_listed_linked_and_given_out_again(
    browser: Browser,  # noqa: F811
    begin: Any,
    broker: Any,
) -> None:
    assert "No step needs a person." in page(browser, "/dashboard/dead-letters")
    assert "/dashboard/dead-letters" not in page(browser, "/dashboard/runs")
    step = dead(begin(BROKEN))
    broker.lose_everything()
    for path in ("/dashboard/runs", "/dashboard/_runs"):
        assert "1 step needs a person" in page(browser, path)
    html = page(browser, "/dashboard/dead-letters")
    assert "1 step needs a person." in html and "The bad step" in html and "6 times" in html
    back = browser.post(
        f"/dashboard/runs/{step.run_id}/steps/{step.pk}/requeue", {"back": "list"}, follow=True
    )
    assert back.redirect_chain == [("/dashboard/dead-letters", 302)]
    assert "It is given out again." in back.content.decode()
    step.refresh_from_db()
    assert (step.state, len(broker.messages)) == ("queued", 1)


def test_of_an_unknown_outcome_the_list_leads_to_where_it_is_told(
    browser: Browser,  # noqa: F811
    begin: Any,
) -> None:
    step = dead(begin(BROKEN), "outcome_unknown", "its worker was lost")
    html = page(browser, "/dashboard/dead-letters")
    assert "Its worker was lost" in html
    assert "Say what happened" in html and "Give it out again" not in html
    assert f"/dashboard/runs/{step.run_id}?step={step.pk}" in html


def test_dead_letters_of_others_are_not_there_and_readers_have_no_buttons(
    firm: Client, begin: Any
) -> None:
    step = dead(begin(BROKEN))
    other = Client.objects.create(slug="other", name="Other")
    assert str(step.pk) not in page(member(other, "eve", "partner"), "/dashboard/dead-letters")
    html = page(member(firm, "rea", "auditor"), "/dashboard/dead-letters")
    assert str(step.pk) in html and "Give it out again" not in html


def test_older_dead_letters_are_a_page_further(
    browser: Browser,  # noqa: F811
    begin: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workflows.pages.dead.PAGE", 2)
    steps = [dead(begin(BROKEN)) for _ in range(3)]
    first = page(browser, "/dashboard/dead-letters")
    assert "3 steps need a person." in first and str(steps[0].pk) not in first
    cursor = re.search(r"before=([0-9a-f-]{36})", first)
    assert cursor is not None
    assert str(steps[0].pk) in page(browser, f"/dashboard/dead-letters?before={cursor[1]}")
    assert "No step needs a person." in page(browser, "/dashboard/dead-letters?workflow=none")
    page(browser, "/dashboard/dead-letters?before=nonsense", 422)


# ---------------------------------------------------------------- the list of runs
def test_the_list_of_runs_says_who_started_them_and_how_urgent_they_are(
    browser: Browser,  # noqa: F811
    begin: Any,
) -> None:
    runs = [begin(BROKEN, priority=priority) for priority in ("high", "default")]
    html = page(browser, "/dashboard/runs")
    assert re.search(r'data-label="Priority"[^>]*>high<', html)
    assert html.count('<td data-label="By">ada</td>') == 2
    chosen = page(browser, "/dashboard/runs?priority=high")
    assert str(runs[0].pk) in chosen and str(runs[1].pk) not in chosen
    head, *rows = browser.get("/dashboard/runs.csv").getvalue().decode().splitlines()
    assert head.endswith(",started_by,priority")
    assert [row.rpartition("ada,")[2] for row in rows] == ["default", "high"]
