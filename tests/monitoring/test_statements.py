"""What the watch and the dashboards ask of the database: so many statements, and not more.

A figure here is the most that it costs today. Less is progress: lower it. More needs a reason.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Invocation
from config.access.models import Client, Membership, User
from monitoring import alerts, history, rollups
from monitoring.models import Alert, AlertRule
from monitoring.services import Measurement, record
from tests.agents.conftest import publish
from tests.benchmarks.dashboards import AGENT, PAGES, PIECE
from tests.monitoring.alarming import load_shipped
from tests.rows import insert
from tests.statements import counted

pytestmark = pytest.mark.django_db
# What a process keeps for seconds is read again on a slow machine: so many more are no growth.
SLACK = 5
# Statements of a page's frame and of all its pieces; a quarter more is refused.
MOST = {
    "overview": 72, "agents": 28, "agent": 46, "domains": 23, "domain": 41, "workflows": 26,
    "costs": 41, "conversations": 32, "objectives": 36, "incidents": 29, "security": 28,
    "invocations": 22, "runs": 30, "steps": 24, "steps_by_wait": 24, "steps_again": 24,
    "answered": 24, "again": 28, "traces": 22, "traces_of_one": 22,
    "on_call": 23, "boards": 22, "feedback": 24, "scores": 25, "events": 31,
}  # fmt: skip
# Of each rule in a pass in which none has anything to say; those of anomalies look at two series.
MOST_OF_A_RULE = 5


@pytest.fixture
def firm() -> Client:
    return Client.objects.get_or_create(
        is_firm=True, defaults={"slug": "firm", "name": "The firm"}
    )[0]


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Which windows are open depends on the hour: pages and the watch see yesterday's noon."""
    at = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: at)
    return at


@pytest.fixture
def browser(firm: Client) -> Browser:
    user = User.objects.create_user("boss", password="x")
    Membership.objects.create(user=user, client=firm, role="administrator")
    signed_in = Browser()
    signed_in.force_login(user)
    return signed_in


def called(firm: Client, *, a_day: int, days: int, until: datetime) -> None:
    """So many calls of one agent a day, one in ten failed, with their rollups and rows."""
    rows, taken = [], []
    for number in range(days * a_day):
        at = until - timedelta(days=number % days, minutes=number)
        failed = number % 10 == 0
        taken.append(
            Measurement(
                {"invocations": 1.0, "invocation_errors": float(failed), "cost_usd": 0.01,
                 "invocation_duration_seconds": 0.5, "runs": 1.0, "run_errors": 0.0,
                 "run_duration_seconds": 3.0, "conversations": 1.0, "conversation_turns": 2.0},
                {"agent": AGENT, "version": "1", "domain": "audit", "client": str(firm.pk),
                 "workflow": "annual_audit", "endpoint": "one", "intent": "ask",
                 "code": "timeout" if failed else ""}, at,
            )
        )  # fmt: skip
        rows.append(
            Invocation(client_id=firm.pk, agent_id=firm.pk, agent_slug=AGENT, version_id=firm.pk,
                       version_number=1, started_at=at, state="failed" if failed else "succeeded")
        )  # fmt: skip
    record(taken)
    insert(rows)
    rollups.roll_up()


def asked_by_page(browser: Browser) -> dict[str, int]:
    found = {}
    for name, path in PAGES.items():
        with counted() as told:
            frame = browser.get(path)
            assert frame.status_code == 200, path
            for piece in PIECE.findall(frame.content.decode()):
                assert browser.get(unescape(piece)).status_code == 200, piece
        found[name] = len(told)
    return found


def test_a_page_asks_no_more_over_a_longer_record(
    noon: datetime, browser: Browser, firm: Client
) -> None:
    load_shipped()
    publish(AGENT)
    counts = []
    for a_day in (20, 60):
        called(firm, a_day=a_day, days=3, until=noon)
        if not counts:  # warms what a process keeps
            asked_by_page(browser)
        counts.append(asked_by_page(browser))
    short, long = counts
    grown = {name: (short[name], long[name]) for name in PAGES if long[name] > short[name] + SLACK}
    assert not grown, f"more statements over a longer record: {grown}"
    dearer = {name: (MOST[name], short[name]) for name in PAGES if short[name] > 1.25 * MOST[name]}
    assert not dearer, f"more statements than before: {dearer}"


def test_rules_with_nothing_to_say_cost_a_read_each_however_much_is_measured(
    noon: datetime, firm: Client
) -> None:
    load_shipped()
    counts = []
    for a_day in (2, 20):
        called(firm, a_day=a_day, days=2, until=noon)
        Alert.objects.all().delete()
        history.forget()
        AlertRule.objects.update(evaluated_at=None, min_count=10**6)
        alerts.evaluate(now=noon)
        AlertRule.objects.update(evaluated_at=None)
        with counted() as told:
            assert alerts.evaluate(now=noon) == []
        counts.append(len(told))
        with counted() as told:
            assert alerts.evaluate(now=noon) == []
        assert len(told) == 1, "none is due: one look at the rules"
    assert counts[1] <= counts[0] <= MOST_OF_A_RULE * AlertRule.objects.count(), counts
