from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from smtplib import SMTPDataError, SMTPRecipientsRefused
from typing import Any, ClassVar

import pytest
from celery import current_app
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Agent
from config.access.models import Audience, Client, Membership, User
from config.errors import InvalidInput
from config.schedules import SCHEDULE
from learning import asking, coverage, cycles, drifting, replay, report_mails, reporting, tasks
from learning.models import (
    Cycle,
    CycleStep,
    DriftWindow,
    Improvement,
    Pattern,
    Rollout,
    Study,
)
from monitoring import shipped
from monitoring.models import Measurement
from tests.learning.loop.conftest import days_ago
from tests.learning.test_crashes import Death, Died, at_once
from tests.workflows.workers import wait_for, worker

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 20)
WITHIN = datetime(2026, 11, 18, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch, django_capture_on_commit_callbacks):
    ids = []
    monkeypatch.setattr(cycles, "_send", ids.append)
    return ids


@pytest.fixture
def begin(sent, django_capture_on_commit_callbacks):
    def run(cadence, tick=DAY):
        with django_capture_on_commit_callbacks(execute=True):
            return cycles.run(cadence, tick)

    return run


def finish(cycle):
    first, rest = cycles._pending(cycle)
    for name in [*first, *rest]:
        cycles.do_step(cycle.pk, name)
    done = cycles.conclude(cycle.pk)
    cycle.refresh_from_db()
    return done


def test_a_tick_has_one_cycle_whoever_asks(begin, sent):
    assert begin("daily").pk == begin("daily").pk
    assert begin("weekly").pk != begin("daily").pk
    assert len(sent) == 2


def test_a_day_that_has_not_begun_is_refused(begin):
    with pytest.raises(InvalidInput, match="tick"):
        begin("daily", timezone.now().date() + timedelta(days=1))


def test_a_daily_cycle_finds_patterns_and_drift_and_reports(bare, call, firm, begin):
    reader = User.objects.create_user("rev", email="rev@localhost", password="x")
    Membership.objects.create(user=reader, client=firm, role="reviewer")
    for n in range(40):
        call(bare, days_ago(3 + n / 50))
        call(bare, days_ago(0.3 + n / 100), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at <{n}>"})  # fmt: skip
    made = begin("daily")
    assert finish(made)
    assert Pattern.objects.count() == 1
    assert DriftWindow.objects.filter(agent_slug=bare.slug).exists()
    assert made.figures["steps"]["patterns"]["result"]["failures"] == 40
    assert "no JSON at" in made.report
    assert "40 times" in made.report
    assert "<" not in made.report.replace("&lt;", "")
    (letter,) = mail.outbox
    assert letter.to == ["rev@localhost"]
    assert letter.body.startswith(reporting.as_text(made.report).rstrip())
    assert f"/dashboard/learning/reports/{made.pk}" in letter.body
    assert report_mails.send(made.pk) == 0


def page_of(made, person):
    browser = Browser()
    browser.force_login(person("reviewer"))
    return browser.get(f"/dashboard/learning/reports/{made.pk}").content.decode()


def test_a_report_that_has_no_readers_says_whom_to_name(bare, begin, person, api):
    made = begin("daily")
    assert finish(made)
    assert "mailed to nobody: no reviewer, platform engineer or" in page_of(made, person)
    assert "/admin/access/user/" not in page_of(made, person)
    found = api("get", f"/api/v1/cycles/{made.pk}").json()
    assert (found["readers"], found["mail_error"]) == (0, "")


def test_a_report_on_all_clients_is_for_those_who_see_all_of_them(
    bare, begin, firm, person, mailoutbox
):
    """A report names what clients complain of and what everybody's calls cost."""
    made = begin("daily")
    finish(made)
    client = Client.objects.create(slug="mine", name="Mine")
    audit = Audience.objects.create(kind="department", name="audit")
    own, some = (User.objects.create_user(n, email=f"{n}@localhost") for n in ("own", "some"))
    Membership.objects.create(user=own, client=client, role="reviewer")
    Membership.objects.create(user=some, client=firm, role="reviewer")
    some.audiences.add(audit)
    for user in (own, some):
        browser = Browser()
        browser.force_login(user)
        assert browser.get(f"/dashboard/learning/reports/{made.pk}").status_code == 404
        assert "Latest report" not in browser.get("/dashboard/learning").content.decode()
        assert browser.get("/api/v1/cycles").json()["results"] == []
        assert browser.get(f"/api/v1/cycles/{made.pk}").status_code == 404
    reader = Browser()
    reader.force_login(person("reviewer"))
    assert "Latest report" in reader.get("/dashboard/learning").content.decode()
    Cycle.objects.update(mailed_at=None)
    assert report_mails.send(made.pk) == 0 and not mailoutbox


def test_a_report_waits_for_a_mail_server_that_is_away(
    bare, begin, firm, person, settings, mailoutbox
):
    User.objects.create_superuser("root", email="two@localhost", password="x")
    reader = User.objects.create_user("one", email="one@localhost", password="x")
    Membership.objects.create(user=reader, client=firm, role="reviewer")
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    made = begin("daily")
    assert finish(made)
    assert "not mailed yet: the mail server took none" in page_of(made, person)
    settings.EMAIL_BACKEND = working
    Cycle.objects.update(ended_at=timezone.now() - timedelta(minutes=70))
    cycles.sweep()
    assert not mailoutbox  # tried a moment ago
    Cycle.objects.update(mailed_at=timezone.now() - timedelta(minutes=61))
    cycles.sweep()
    cycles.sweep()
    assert [letter.to for letter in mailoutbox] == [["one@localhost"], ["two@localhost"]]
    assert "mailed to 2 people" in page_of(made, person)


class Picky(EmailBackend):
    """A mail server that takes what it takes; ``faults``: address → what it says to it."""

    faults: ClassVar[dict[str, OSError]] = {}

    def send_messages(self, messages: Any) -> int:
        for message in messages:
            if fault := self.faults.get(message.to[0]):
                raise fault
        return super().send_messages(messages)


@pytest.fixture
def refusing(settings, monkeypatch):
    """``refusing({address: fault})``: what the mail server says from now on."""
    settings.EMAIL_BACKEND = f"{__name__}.{Picky.__name__}"
    for number in range(4):
        User.objects.create_superuser(f"r{number}", email=f"r{number}@localhost", password="x")
    return lambda faults: monkeypatch.setattr(Picky, "faults", faults)


def an_hour_later():
    tried = timezone.now() - timedelta(minutes=70)
    Cycle.objects.update(ended_at=tried, mailed_at=tried)
    cycles.sweep()


def test_one_whom_the_mail_server_refuses_keeps_the_report_from_nobody(
    bare, begin, person, mailoutbox, refusing
):
    unknown = SMTPRecipientsRefused({"r2@localhost": (550, b"unknown")})
    refusing({"r0@localhost": SMTPDataError(554, b"no such letters"), "r2@localhost": unknown})
    made = begin("daily")
    assert finish(made)
    an_hour_later()
    assert [letter.to for letter in mailoutbox] == [["r1@localhost"], ["r3@localhost"]]
    assert "mailed to 2 people" in page_of(made, person)


def test_whom_a_report_did_not_reach_gets_it_later_and_nobody_twice(
    bare, begin, person, api, mailoutbox, refusing
):
    later = SMTPRecipientsRefused({"r0@localhost": (451, b"try again later")})
    refusing({"r0@localhost": later, "r2@localhost": ConnectionResetError("gone")})
    made = begin("daily")
    assert finish(made)
    assert [letter.to for letter in mailoutbox] == [["r1@localhost"]]
    assert "mailed to 1 person; the mail server did not take the rest yet" in page_of(made, person)
    refusing({"r0@localhost": later})
    an_hour_later()
    refusing({})
    an_hour_later()
    an_hour_later()
    assert [letter.to[0][:2] for letter in mailoutbox] == ["r1", "r2", "r3", "r0"]
    found = api("get", f"/api/v1/cycles/{made.pk}").json()
    assert (found["readers"], found["mail_error"]) == (4, "")
    assert "mailed to 4 people" in page_of(made, person)


def test_a_daily_cycle_measures_how_many_edge_cases_evaluations_have_asked(bare, call, firm, begin):
    cases = [{"input": {"n": n}, "facts": [{"number": n}]} for n in range(4)]
    Agent.objects.filter(pk=bare.pk).update(cases=cases)
    call(bare, days_ago(0.5))
    keys = [question.case.key for question in asking.graded_questions(bare.slug, firm.pk)]
    long_ago, lately = [Study.objects.create(
        client_id=firm.pk, agent_slug=bare.slug, version_id=bare.pk, goals=[], cap_usd=1,
        document={"cases": asked}) for asked in (keys[2:], keys[:1])]  # fmt: skip
    Study.objects.filter(pk=long_ago.pk).update(created_at=days_ago(40))
    Study.objects.filter(pk=lately.pk).update(created_at=days_ago(3))
    assert finish(begin("daily"))
    (row,) = Measurement.objects.filter(names__contains=[coverage.METRIC])
    assert row.numbers == [0.25] and row.labels["agent"] == bare.slug
    card = next(one for one in shipped.OBJECTIVES if one["slug"] == "coverage")
    assert card["metric"] == coverage.METRIC


def test_a_weekly_cycle_proposes_ranks_and_replays_candidates(bare, call, begin, firm, monkeypatch):
    for n in range(9):
        call(bare, days_ago(1 + n / 10), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at place {n}"})  # fmt: skip
    candidate = Improvement.objects.create(
        client_id=firm.pk, agent_slug=bare.slug, kind="prompt", title="T", digest="x",
        priority=5, candidate_version_id=firm.pk,
    )  # fmt: skip
    asked = []
    monkeypatch.setattr(replay, "start", lambda **given: asked.append(given["improvement_id"]))
    made = begin("weekly")
    assert finish(made)
    by_rule = Improvement.objects.get(title__startswith="Prevent the failure")
    assert by_rule.candidate_version_id  # what a rule words, a version says
    assert set(asked) == {candidate.pk, by_rule.pk}
    assert made.figures["proposed"] >= 1
    assert "Prevent the failure" in made.report
    assert "USD a month ×" in made.report


def test_a_monthly_cycle_tells_what_shipped_and_what_was_refused(begin, firm, bare):
    for state, reason in (("shipped", ""), ("rejected", "too risky")):
        Improvement.objects.create(
            client_id=firm.pk, agent_slug=bare.slug, kind="prompt", title=f"It was {state}",
            digest=state, state=state, impact=100, confidence=0.5, decision_reason=reason,
        )  # fmt: skip
    Improvement.objects.update(updated_at=WITHIN)
    Improvement.objects.create(
        client_id=firm.pk, agent_slug=bare.slug, kind="prompt", title="Late", digest="late",
        state="shipped", impact=900, confidence=1,
    )  # fmt: skip
    made = begin("monthly")
    assert finish(made)
    # What shipped after its days is in the next report, and paid back there.
    assert made.figures["payback_usd_a_month"] == 50.0
    assert "## Shipped" in made.report
    assert "It was rejected (too risky)" in made.report


def test_a_report_tells_of_rollouts_that_nobody_had_proposed(begin, firm, bare, mailoutbox):
    """It said that nothing had shipped or gone back, beneath what had."""
    old = bare.labels.get(name="production").version_id
    for state, at, drill in (("done", 3, False), ("rolled_back", 0, False), ("done", 0, True)):
        Rollout.objects.create(
            client_id=firm.pk, agent_slug=bare.slug, from_version_id=old, to_version_id=old,
            stages=[{"share": 1}] * 4, stage=at, state=state, state_reason="no unit_met it",
            ended_at=WITHIN, is_drill=drill,
        )  # fmt: skip
    User.objects.create_superuser("boss", email="boss@localhost", password="x")
    made = begin("monthly")
    assert finish(made)
    assert f"- {bare.slug}, rollout: Everybody has it." in made.report
    assert f"- {bare.slug}, rollout: Taken back at stage 1 of 4" in made.report
    assert f"## Shipped\n\n- {bare.slug}: everybody has version 1\n" in made.report
    went = f"- {bare.slug}: version 1 went back: no unit"
    assert f"## Rolled back\n\n{went}\\_met it" in made.report
    assert made.report.count(", rollout: ") == 2  # a drill is nothing that was tried
    (letter,) = mailoutbox
    assert f"{went}_met it" in letter.body  # nothing is masked for Markdown there


def test_a_report_waits_for_every_piece(bare, begin):
    made = begin("daily")
    cycles.do_step(made.pk, "patterns")
    assert not cycles.conclude(made.pk)
    assert finish(made)
    assert not cycles.conclude(made.pk)


def test_an_agent_that_comes_while_a_cycle_runs_does_not_hold_its_report_up(bare, begin):
    made = begin("weekly")
    first, rest = cycles._pending(made)
    new = Agent.objects.create(slug="new-001", name="N", domain="audit", purpose="New.")
    Agent.objects.filter(pk=new.pk).update(created_at=made.created_at + timedelta(seconds=1))
    for name in [*first, *rest]:
        cycles.do_step(made.pk, name)
    assert f"agent:{new.slug}" not in rest and cycles.conclude(made.pk)


def test_a_piece_that_comes_twice_does_nothing(bare, begin):
    made = begin("daily")
    assert cycles.do_step(made.pk, "patterns")
    assert not cycles.do_step(made.pk, "patterns")
    assert CycleStep.objects.count() == 1


def test_a_piece_that_breaks_is_told_and_stops_nobody(bare, begin, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("odd data")

    monkeypatch.setattr(drifting, "find_drift", broken)
    made = begin("daily")
    assert finish(made)
    assert "## Not analysed" in made.report
    assert "odd data" in made.report


def test_a_cycle_that_stands_still_is_sent_again(bare, begin, sent):
    made = begin("daily")
    assert cycles.sweep() == 0
    Cycle.objects.update(sent_at=timezone.now() - 2 * cycles.LOST_AFTER)
    cycles.do_step(made.pk, "patterns")
    assert cycles.sweep() == 0  # a piece came just now
    CycleStep.objects.update(created_at=timezone.now() - 2 * cycles.LOST_AFTER)
    assert cycles.sweep() == 1
    assert sent == [made.pk, made.pk]


def test_cycles_are_begun_and_read_over_http(api, sent):
    made = api("post", "/api/v1/cycles", {"cadence": "monthly", "tick": "2026-11-01"})
    assert made.status_code == 202
    assert api("get", made["Location"]).json()["state"] == "running"
    assert len(api("get", "/api/v1/cycles?cadence=monthly").json()["results"]) == 1
    assert api("post", "/api/v1/cycles", {"cadence": "hourly"}).status_code == 422


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_beats_task_runs_a_whole_cycle_on_real_workers(bare, call, process_environment, tmp_path):
    now = timezone.now()
    for n in range(9):
        call(bare, now - timedelta(days=2, minutes=n), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at place {n}"})  # fmt: skip
    Agent.objects.create(slug="aud-test-002", name="U", domain="audit", purpose="No version.")
    entry = SCHEDULE["learning-weekly-cycle"]
    with worker(process_environment, tmp_path, queues="control,analysis") as running:
        for _ in range(2):  # a second beat makes no second cycle
            current_app.send_task(entry["task"], kwargs=entry["kwargs"], queue="control")
        wait_for(lambda: Cycle.objects.filter(state="done").exists(), 60, lambda: running.said)
    made = Cycle.objects.get()
    names = set(made.steps.values_list("name", flat=True))
    assert names == {"patterns", "examples", "agent:aud-test-001", "agent:aud-test-002"}
    assert made.sends == 1
    assert Improvement.objects.count() == 1
    assert "aud-test-002" in made.report  # it has no version: told, not hidden


def test_two_beats_at_once_make_one_cycle_and_two_ends_one_letter(
    transactional_db, firm, sent, bare, monkeypatch
):
    reader = User.objects.create_user("rev", email="rev@localhost", password="x")
    Membership.objects.create(user=reader, client=firm, role="reviewer")
    made = {one.pk for one in at_once(lambda: cycles.run("daily", DAY))}
    assert len(made) == 1 and sent == list(made)
    (uid,) = made
    for name in ("patterns", "examples", f"agent:{bare.slug}"):
        assert sum(at_once(lambda name=name: cycles.do_step(uid, name))) == 1
    assert sum(at_once(lambda: cycles.conclude(uid))) == 1
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("cadence", ["daily", "weekly"])
def test_a_cycle_that_dies_at_any_write_is_done_by_the_next_and_reported_once(
    bare, call, begin, firm, cadence, monkeypatch
):
    reader = User.objects.create_user("rev", email="rev@localhost", password="x")
    Membership.objects.create(user=reader, client=firm, role="reviewer")
    for n in range(9):
        call(bare, days_ago(0.5 + n / 30), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at place {n}"})  # fmt: skip
    asked = []
    monkeypatch.setattr(replay, "start", lambda **given: asked.append(given["improvement_id"]))
    made = begin(cadence)
    deaths = 0
    for number in range(1, 60):  # die at the first write, then the second …; then get through
        try:
            with connection.execute_wrapper(Death(number)):
                finish(made)
            break
        except Died:
            deaths += 1
    Cycle.objects.update(ended_at=timezone.now() - 2 * cycles.LOST_AFTER)
    cycles.sweep()
    made.refresh_from_db()
    assert deaths >= 4 and made.state == "done" and "9 times" in made.report
    assert made.steps.count() == 3 and Pattern.objects.count() == 1
    assert Improvement.objects.count() == (cadence == "weekly")
    (letter,) = mail.outbox
    assert letter.body.startswith(reporting.as_text(made.report).rstrip())


def test_the_report_is_a_page(begin, bare, firm):
    made = begin("daily")
    browser = Browser()
    user = User.objects.create_user("rev", password="x")
    Membership.objects.create(user=user, client=firm, role="reviewer")
    browser.force_login(user)
    address = f"/dashboard/learning/reports/{made.pk}"
    assert "Being written: 0 pieces" in browser.get(address).content.decode()
    assert finish(made)
    text = browser.get(address).content.decode()
    assert "<h2>Cost and payback</h2>" in text and "No confirmed drift" in text
    assert text.count("0 live calls") == 1  # in the page's first line, and there alone
    assert address in browser.get("/dashboard/learning").content.decode()
    assert browser.get(f"/dashboard/learning/reports/{firm.pk}").status_code == 404


def test_what_was_said_today_is_a_pattern_and_a_proposed_example_within_the_hour(agent, api):
    body = {"inputs": agent.cases[0]["input"]}
    made = api("post", f"/api/v1/agents/{agent.slug}/invocations", body).json()
    about = {"subject_kind": "invocation", "subject_id": made["id"]}
    complaint = {**about, "kind": "complaint", "text": "The totals of 12,300 do not add up"}
    correction = {**about, "kind": "correction", "corrected_output": "The difference is 0.00 EUR."}
    for said in (complaint, correction):
        assert api("post", "/api/v1/feedback", said).status_code == 201
    assert SCHEDULE["learning-freshen"]["task"] == tasks.freshen.name
    tasks.freshen()
    (pattern,) = api("get", "/api/v1/patterns?kind=complaint").json()["results"]
    assert pattern["impact"]["count"] == 1 and "<" not in pattern["title"]
    (example,) = api("get", "/api/v1/examples").json()["results"]
    assert example["state"] == "proposed"
    tasks.freshen()  # counts anew, and adds nothing
    (again,) = api("get", "/api/v1/patterns?kind=complaint").json()["results"]
    assert again["impact"]["count"] == 1


def test_a_pass_over_earlier_days_leaves_the_counts_of_later_ones(agent, api, begin):
    body = {"inputs": agent.cases[0]["input"]}
    made = api("post", f"/api/v1/agents/{agent.slug}/invocations", body).json()
    said = {"subject_kind": "invocation", "subject_id": made["id"], "kind": "complaint",
            "text": "The totals do not add up"}  # fmt: skip
    api("post", "/api/v1/feedback", said)
    now = timezone.now()
    cycles.freshen(now)
    cycles.do_step(begin("daily", now.date() - timedelta(days=1)).pk, "patterns")
    (pattern,) = api("get", "/api/v1/patterns?kind=complaint").json()["results"]
    assert pattern["impact"]["count"] == 1


def test_a_report_says_one_as_one(bare, call, begin, firm):
    user = User.objects.create_user("una", password="x")
    call(bare, days_ago(0.5), state="failed", error_code="bad_answer", user_id=user.pk,
         run_id=firm.pk, error={"code": "bad_answer", "message": "not JSON"})  # fmt: skip
    made = begin("daily")
    finish(made)
    assert "1 time, 1 user, 1 run, " in made.report and "1 live call and 0 pieces" in made.report
