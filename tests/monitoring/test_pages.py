"""Dashboards: every page over nothing, one row and many, from rollups alone."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client, Membership, User
from monitoring import actions, audit, incidents, rollups, services, shipped, sla
from monitoring.models import Alert, AlertRule, Board, Incident, SlaReport
from monitoring.models import Measurement as Row
from monitoring.services import Measurement, mark, record, security_event

pytestmark = pytest.mark.django_db
AGENT = "aud-fraud-009"
PAGES = [
    "/dashboard", "/dashboard/domains", "/dashboard/domains/audit", "/dashboard/conversations",
    "/dashboard/costs", "/dashboard/costs?by=client", "/dashboard/costs?by=learning",
    "/dashboard/costs.csv?by=version", "/dashboard/objectives", "/dashboard/sla",
    "/dashboard/incidents", "/dashboard/on-call", "/dashboard/security", "/dashboard/boards",
    "/dashboard/_panel?scope=all", f"/dashboard/_panel?scope=agent&key={AGENT}&range=7d",
    "/dashboard/_panel?scope=workflow&key=annual_audit&range=90d", "/dashboard/_top",
    "/dashboard/_attention", "/dashboard/_open", f"/dashboard/_alerts?scope=agent&key={AGENT}",
    "/dashboard/export.csv?metric=invocations&scope=agent",
]  # fmt: skip


@pytest.fixture
def firm() -> Client:
    made, _ = Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )
    return made


def signed_in(firm: Client, role: str, name: str = "mara") -> Browser:
    user = User.objects.create_user(name, password="x")
    Membership.objects.create(user=user, client=firm, role=role)
    browser = Browser()
    browser.force_login(user)
    return browser


@pytest.fixture
def browser(firm: Client) -> Browser:
    return signed_in(firm, "platform_engineer")


def page(browser: Browser, path: str, status: int = 200) -> str:
    answer = browser.get(path)
    assert answer.status_code == status, (path, answer.content.decode()[-1500:])
    return answer.content.decode()


def called(client: Client, *, calls: int = 40, failed: int = 10, back_hours: float = 1) -> None:
    at = timezone.now() - timedelta(hours=back_hours)
    labels = {"agent": AGENT, "version": "1", "domain": "audit", "client": str(client.pk)}
    record(
        [
            Measurement(
                {"invocations": 1.0, "invocation_errors": float(n < failed), "cache_hits": 0.0,
                 "invocation_duration_seconds": 0.1 * (n + 1), "cost_usd": 0.01,
                 "saved_usd": 0.001, "input_tokens": 100.0, "output_tokens": 10.0},
                {**labels, "code": "timeout" if n < failed else ""}, at,
            )
            for n in range(calls)
        ]
    )  # fmt: skip
    rollups.roll_up()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_stands_without_any_data(browser: Browser, path: str) -> None:
    page(browser, path)


def test_every_page_stands_with_data_and_reads_rollups_only(browser: Browser, firm: Client) -> None:
    shipped.load()
    called(firm)
    mark(kind="deployment", scope="agent", key=AGENT, text="v2 deployed", href="/x")
    record([Measurement({"runs": 1.0, "run_errors": 0.0, "run_duration_seconds": 3.0},
                        {"workflow": "annual_audit", "client": str(firm.pk)})])  # fmt: skip
    security_event(kind="injection", actor="user:1", severity="high")
    services.audit(actor="user:1", action="done")
    audit.seal()
    rollups.roll_up()
    Row.objects.all().delete()
    for path in PAGES:
        page(browser, path)
    panel = page(browser, f"/dashboard/_panel?scope=agent&key={AGENT}&range=24h")
    assert 'title="40"' in panel
    assert "10 of 40" in panel
    rows = f"/dashboard/invocations?agent={AGENT}&amp;range=24h&amp;replays=no"
    assert f"{rows}&amp;state=failed" in panel
    documents = [json.loads(one) for one in re.findall(r"json\">(.*?)</script>", panel)]
    band = next(one for one in documents if one["kind"] == "band")
    assert max(filter(None, band["p95"])) == pytest.approx(3.8, rel=0.02)
    assert None in band["p50"]  # an hour without calls is a gap
    assert [one["text"] for one in band["marks"]] == ["v2 deployed"]


def test_an_agent_that_fails_does_not_do_best_and_every_plot_marks_incidents(
    browser: Browser, firm: Client
) -> None:
    called(firm)
    top = page(browser, "/dashboard/_top?range=24h")
    assert "Nobody: more than 1 in 100 calls" in top
    assert "1 agent</a> answered in 24 hours" in top
    assert top.count(AGENT) == top.partition("Failing most")[2].count(AGENT) > 0
    Incident.objects.create(cause=f"agent:{AGENT}", title="It fails", severity="high")
    security_event(kind="injection", actor="user:1", severity="high")
    record([Measurement({"conversations": 1.0, "conversation_turns": 1.0}, {})])
    rollups.roll_up()
    for path in ("/dashboard/costs", "/dashboard/security", "/dashboard/conversations"):
        documents = re.findall(r"json\">(.*?)</script>", page(browser, path))
        drawn = [json.loads(one) for one in documents if "step_seconds" in one]
        assert drawn, path
        for one in drawn:
            assert [mark["text"] for mark in one["marks"]] == ["It fails"], (path, one["title"])


def test_the_first_line_of_a_page_answers_its_question(browser: Browser, firm: Client) -> None:
    called(firm)
    assert "1 domain took 40 calls in 7 days; more than 5 % failed in audit." in page(
        browser, "/dashboard/domains"
    )
    assert "$0.4 went to 40 calls in 30 days" in page(browser, "/dashboard/costs")
    assert "Nothing is wrong." in page(browser, "/dashboard/incidents")
    assert "Nobody talked with an agent" in page(browser, "/dashboard/conversations")


def test_who_sees_one_client_sees_its_figures_and_no_others(firm: Client) -> None:
    other = Client.objects.create(slug="other", name="Other")
    called(firm)
    called(other, calls=4, failed=0)
    stranger = signed_in(other, "partner", "eve")
    assert 'title="4"' in page(stranger, f"/dashboard/_panel?scope=agent&key={AGENT}")
    assert "4 calls" in page(stranger, "/dashboard/costs")
    page(stranger, f"/dashboard/_panel?scope=agent&key={AGENT}&client={firm.pk}", 403)
    page(stranger, "/dashboard/costs?by=user", 403)
    page(stranger, "/dashboard/incidents", 403)
    offered = 'class="to" href="/dashboard/incidents"'
    assert offered not in page(stranger, "/dashboard/costs")
    assert offered in page(signed_in(firm, "platform_engineer"), "/dashboard/costs")
    page(stranger, f"/dashboard/objectives?client={firm.pk}", 403)


def test_costs_are_told_by_client_with_its_name_and_exact_sums(
    browser: Browser, firm: Client
) -> None:
    called(firm)
    assert "The firm" in page(browser, "/dashboard/costs?by=client")
    rows = list(csv.DictReader(io.StringIO(page(browser, "/dashboard/costs.csv?by=client"))))
    assert [(row["name"], row["cost_usd"], row["calls"]) for row in rows] == [
        ("The firm", "0.400000000", "40")
    ]


def test_a_month_is_kept_with_its_violations_and_their_causes(
    browser: Browser, firm: Client
) -> None:
    shipped.load()
    now = timezone.now()
    inside = now.replace(day=1) - timedelta(days=3)
    called(firm, back_hours=(now - inside).total_seconds() / 3600)
    Incident.objects.create(
        cause="all", title="Provider down", severity="high", opened_at=inside - timedelta(hours=1),
        resolved_at=inside + timedelta(hours=1), state="resolved",
    )  # fmt: skip
    assert sla.keep_month(now=now) == 3  # everything, the domain, the client
    assert sla.keep_month(now=now) == 0
    kept = SlaReport.objects.get(scope="domain", key="audit")
    errors = next(one for one in kept.document["objectives"] if one["slug"] == "errors")
    assert (errors["state"], errors["value"]) == ("missed", 0.25)
    causes = [cause["text"] for cause in errors["violations"][0]["causes"]]
    assert causes == ["Provider down", "10 × timeout"]  # of a domain, nobody is named
    path = f"/dashboard/sla/{inside:%Y-%m}?domain=audit"
    html = page(browser, path)
    assert "Provider down" in html
    assert "Preliminary" not in html
    rows = list(csv.DictReader(io.StringIO(page(browser, path + "&format=csv"))))
    assert any(row["row"] == "violation" and "10 × timeout" in row["causes"] for row in rows)
    page(browser, "/dashboard/sla/2026-13", 422)


def test_the_causes_of_a_miss_are_those_of_its_domain_or_client_and_lead_to_its_calls(
    browser: Browser, firm: Client
) -> None:
    shipped.load()
    now = timezone.now()
    called(firm, back_hours=0.1)
    for cause, title in (("platform", "Everything"), (f"agent:{AGENT}", "The agent"),
                         ("agent:other-1", "Another's agent")):  # fmt: skip
        Incident.objects.create(cause=cause, title=title, severity="high",
                                opened_at=now - timedelta(minutes=9))  # fmt: skip
    month = f"{now - timedelta(hours=0.1):%Y-%m}"  # of the calls: it may have ended since
    client = sla.report(sla.month_of(month), scope="client", key=str(firm.pk), now=now)
    domain = sla.report(sla.month_of(month), scope="domain", key="audit", now=now)
    for document, of_agent, narrowed in (
        (client, ["The agent"], f"client={firm.pk}"), (domain, [], "domain=audit")
    ):  # fmt: skip
        errors = next(one for one in document["objectives"] if one["slug"] == "errors")
        causes = errors["violations"][-1]["causes"]
        told = [one["text"] for one in causes if one["kind"] == "incident"]
        assert sorted(told) == ["Everything", *of_agent]
        link = next(one["href"] for one in causes if one["kind"] == "errors")
        assert all(part in link for part in ("code=timeout", "since=", "until=", narrowed)), link
        assert browser.get(link).status_code == 200


def test_a_day_of_slow_and_uncached_calls_names_whose_they_were(
    browser: Browser, firm: Client
) -> None:
    shipped.load()
    at = timezone.now() - timedelta(minutes=5)
    for agent, seconds, share in (("slow-1", 5.0, 0.0), ("quick-1", 0.2, 1.0)):
        labels = {"agent": agent, "version": "1", "client": str(firm.pk)}
        record([
            Measurement({"invocations": 1.0, "invocation_errors": 0.0, "cache_hits": share,
                         "invocation_duration_seconds": seconds}, labels, at)
            for _ in range(30)
        ])  # fmt: skip
    record([Measurement({"runs": 4.0, "runs_with_feedback": 1.0}, {"workflow": "w"}, at)])
    rollups.roll_up()
    path = f"/dashboard/sla/{at:%Y-%m}"
    for narrowed in ("", f"&client={firm.pk}"):
        file = page(browser, f"{path}?format=csv{narrowed}")
        rows = csv.DictReader(io.StringIO(file))
        causes = {row["objective"]: row["causes"] for row in rows if row["row"] == "violation"}
        assert causes["latency"] == "slow-1: 30 of 30 over 2 s"
        assert causes["cache"] == "slow-1: 30 of 30"
    html = page(browser, path)
    assert "w: 3 of 4" in html
    links = dict(re.findall(r'<a href="([^"]*)">(slow-1[^<]*|w: [^<]*)</a>', html))
    leads = {text: link.replace("&amp;", "&") for link, text in links.items()}
    assert set(leads) == {"slow-1: 30 of 30 over 2 s", "slow-1: 30 of 30", "w: 3 of 4"}
    for text, wanted in (("over 2 s", "sort=slowest"), ("30 of 30", "cached=0"), ("w:", "runs?")):
        link = next(one for said, one in leads.items() if text in said and wanted in one)
        assert "since=" in link and "until=" in link
        page(browser, link)


def test_an_incident_is_acknowledged_and_ended_on_its_page(browser: Browser) -> None:
    rule = AlertRule.objects.create(
        slug="r", title="Too slow", kind="threshold", limit=2.0, scope="agent",
        metric="invocation_duration_seconds",
    )  # fmt: skip
    row = Incident.objects.create(cause=f"agent:{AGENT}", title="It is slow", severity="high")
    alert = Alert.objects.create(
        rule=rule, incident=row, scope="agent", key=AGENT, state="firing", severity="high",
        value=3.0, baseline=2.0, pending_since=timezone.now(), fired_at=timezone.now(),
    )  # fmt: skip
    assert "nobody has acknowledged It is slow" in page(browser, "/dashboard/incidents")
    assert "3" in page(browser, f"/dashboard/alerts/{alert.pk}")
    assert AGENT in page(browser, "/dashboard/_attention")
    path = f"/dashboard/incidents/{row.pk}"
    incidents.note(row, "opened", detail={"alerts": 1, "rule": "slow"})
    incidents.note(row, "opened", detail={"alerts": 18, "rule": "slow"})  # of an earlier release
    incidents.note(row, "took_over", detail={"incident": str(row.pk), "cause": "agent:x"})
    incidents.note(row, "action_failed", detail={"kind": "trip_breaker", "target": "one",
                                                 "said": "no such endpoint"})  # fmt: skip
    told = page(browser, path)
    for words in ("1 alert: slow", "18 alerts, the worst: slow",
                  "The incident of agent:x", "Trip breaker of one: no such endpoint"):  # fmt: skip
        assert words in told
    assert browser.post(path, {"action": "acknowledge"}).status_code == 302
    assert "takes care of it" in page(browser, path)
    incidents.ask(row, "pause_agent", AGENT, {})
    (taken,) = actions.take_actions(["pause_agent"])
    assert "Take back" not in page(browser, path)  # it is not done yet
    actions.report_action(taken.id, ok=True, result={"said": "it is paused"})
    told = page(browser, path)
    assert "it is paused" in told and "Take back" in told
    browser.post(path, {"action": "take_back", "response": str(taken.id)})
    assert "Take back" not in page(browser, path)
    assert [one.kind for one in actions.take_actions(["resume_agent"])] == ["resume_agent"]
    browser.post(path, {"action": "take_back", "response": "7"})
    assert "the id of a first response" in page(browser, path)
    browser.post(path, {"action": "resolve"})
    row.refresh_from_db()
    assert row.state == "resolved"


def test_a_board_of_ones_own_is_made_filled_and_unseen_by_others(
    browser: Browser, firm: Client
) -> None:
    called(firm)
    made = browser.post("/dashboard/boards", {"name": "Mine"})["Location"]
    for statistic in ("band", "p95", "mean"):
        browser.post(made, {"metric": "invocation_duration_seconds", "statistic": statistic,
                            "scope": "agent", "key": AGENT})  # fmt: skip
    browser.post(made, {"metric": "invocation_errors", "statistic": "ratio"})
    browser.post(made, {"metric": "nothing"})
    assert len(Board.objects.get().panels) == 4
    html = page(browser, made)
    assert html.count('<figure class="plot">') == 4
    assert "25 %" in html
    browser.post(made, {"action": "remove", "place": "0"})
    assert len(Board.objects.get().panels) == 3
    page(signed_in(firm, "partner", "eve"), made, 404)
    browser.post(made, {"action": "delete"})
    assert not Board.objects.exists()


def test_pages_of_the_overview_come_by_address_and_are_all_served(browser: Browser) -> None:
    html = page(browser, "/dashboard")
    pieces = re.findall(r'hx-get="([^"]+)"', html)
    assert len(pieces) >= 6
    for piece in pieces:
        page(browser, piece.replace("&amp;", "&"))


def test_who_may_not_see_agents_gets_no_piece_about_them(firm: Client) -> None:
    html = page(signed_in(firm, "external"), "/dashboard")
    assert "/dashboard/_fleet" not in html
    assert "/dashboard/_runs" in html


def test_the_root_leads_to_the_overview(browser: Browser) -> None:
    assert browser.get("/")["Location"] == "/dashboard"


@pytest.mark.parametrize(
    "path", ["/dashboard?range=1y", "/dashboard/_panel?scope=planet", "/dashboard/costs?by=mood",
             "/dashboard/export.csv?metric=x", "/dashboard/conversations?talks=x",
             "/dashboard/invocations?replays=maybe", "/dashboard/invocations.csv?cached=2",
             "/dashboard/runs?range=1y", "/dashboard/costs?client=7"],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused_with_its_reason(
    browser: Browser, path: str
) -> None:
    assert "Something in that is not right" in page(browser, path, 422)


def test_objectives_read_their_figures_at_once_however_many_there_are(
    browser: Browser, django_assert_max_num_queries: Any
) -> None:
    shipped.load()
    at = timezone.now()
    for back in (2, 40, 300, 3000):
        given = {"invocations": 10, "invocation_errors": 3, "invocation_duration_seconds": 1.0}
        record([Measurement(given, {"agent": AGENT}, at - timedelta(minutes=back))])
    rollups.roll_up()
    with django_assert_max_num_queries(20):
        text = page(browser, "/dashboard/objectives")
    assert text.count("burning") >= 2 and "Edge-case coverage rising" in text
