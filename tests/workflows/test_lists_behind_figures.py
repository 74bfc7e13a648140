"""Lists that figures of steps and answers lead to: what they hold, and page by page."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.callers import Caller
from config.access.models import User
from monitoring import queries, rollups
from tests.monitoring.figures_of import read
from tests.workflows.conftest import Begin, Broker, Key
from tests.workflows.http import start
from tests.workflows.test_again import FLAKY
from workflows import again, decisions
from workflows.models import Approval, StepRun
from workflows.pages import answered, steps

pytestmark = pytest.mark.django_db(transaction=True)

LOOP = """
name: loop
steps:
  turn: {tool: core.echo, with: {value: 1}, repeat: {until: "iteration >= 4", max: 5}}
"""
ASKS = "name: asks\nsteps:\n  ask: {approval: {role: partner, forbid_self: false, timeout: 1d}}\n"


@pytest.fixture
def browser(caller: Caller) -> Browser:
    seen = Browser()
    seen.force_login(User.objects.get(pk=caller.user_id))
    return seen


def listed(browser: Browser, address: str) -> list[dict[str, str]]:
    """The rows of a list, from its file."""
    path, _, query = address.partition("?")
    answer = browser.get(f"{path}.csv?{query}")
    assert answer.status_code == 200, address
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def paged(browser: Browser, address: str) -> list[str]:
    """The addresses of the rows of all pages, by their links to the next."""
    found: list[str] = []
    while address:
        html = browser.get(address).content.decode()
        links = read(html).links
        found += [one for one in links if one.startswith(("/dashboard/runs/", "/dashboard/appr"))
                  and one.count("/") == 3 and "answered" not in one]  # fmt: skip
        older = [one for one in links if "before=" in one]
        path = address.partition("?")[0]
        address = older[0] if older else ""
        address = path + address if address.startswith("?") else address
    return found


def test_what_a_retried_run_did_again_is_listed_and_its_steps_are_counted_once(
    finished: Begin, broker: Broker, caller: Caller, browser: Browser
) -> None:
    run = finished(f"name: redone\nsteps:\n  a: {{tool: core.echo}}\n  b: {{{FLAKY}}}\n")
    assert run.state == "failed"
    again.retry_run(caller, run.pk)
    broker.drain()
    finished(LOOP)
    rollups.roll_up()
    rows = listed(browser, "/dashboard/again?range=24h")
    assert sorted((row["kind"], row["times"]) for row in rows) == [
        ("retried", "1"), ("turn", "1"), ("turn", "1"), ("turn", "1"),
    ]  # fmt: skip
    now = timezone.now()
    whole = queries.total("rework", since=now - queries.HOUR, until=now + queries.MINUTE)
    assert whole.total == sum(int(row["times"]) for row in rows)
    assert len(listed(browser, "/dashboard/again?range=24h&workflow=redone")) == 1
    assert len(listed(browser, "/dashboard/again?range=24h&workflow=loop&step=turn")) == 3
    kept = queries.totals(["steps"], scope="step", since=now - queries.HOUR, until=now)
    assert kept["redone|a"]["steps"].total == 1, "it was kept, and is not done twice"
    assert kept["redone|b"]["steps"].total == 2


def test_what_a_run_under_way_does_again_is_not_listed_yet(
    begin: Begin, broker: Broker, browser: Browser
) -> None:
    begin(LOOP.replace(
        "steps:\n", "steps:\n  ask: {approval: {role: partner}}\n"))  # fmt: skip
    broker.drain()
    assert StepRun.objects.filter(iteration__gt=1, ended_at__isnull=False).exists()
    assert listed(browser, "/dashboard/again") == []
    assert browser.get("/dashboard/again").status_code == 200


def test_lists_of_steps_answers_and_what_was_done_again_go_on_page_by_page(
    finished: Begin, begin: Begin, broker: Broker, caller: Caller, browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for _ in range(2):
        finished(LOOP)
        run = begin(ASKS)
        broker.drain()
        decisions.answer_approval(caller, Approval.objects.get(run=run).pk, approve=True)
        broker.drain()
    monkeypatch.setattr(steps, "SHOWN", 3)
    monkeypatch.setattr(answered, "SHOWN", 1)
    monkeypatch.setattr("learning.again_pages.SHOWN", 2)
    wanted = {"/dashboard/steps": 8 + 2, "/dashboard/approvals/answered": 2 * 2,
              "/dashboard/again": 6}  # fmt: skip
    for address, count in wanted.items():
        found = paged(browser, f"{address}?range=24h")
        assert len(found) == count, (address, found)
        assert len(set(found)) > 1 or count == 1
    assert len(set(paged(browser, "/dashboard/again?range=24h"))) == 6


def test_a_list_hides_what_its_reader_may_not_see(
    web: Browser, key: Key, finished: Begin, broker: Broker
) -> None:
    finished("name: closed\naccess: {see: [partner]}\nsteps:\n  a: {tool: core.echo}\n")
    start(web, key("manager"), LOOP)
    broker.drain()
    theirs = Browser()
    theirs.force_login(User.objects.latest("date_joined"))
    rows = listed(theirs, "/dashboard/steps?range=24h")
    assert {row["workflow"] for row in rows} == {"loop"}


@pytest.mark.parametrize("address", [
    "steps?range=1y", "steps?sort=x", "steps?tried=x", "steps?client=x", "steps?before=x",
    "approvals/answered?state=waiting", "approvals/answered?before=x", "again?before=x",
    "again?client=x", "again?agent=a&version=x", "feedback?subject=x", "scores?version=x",
])  # fmt: skip
def test_an_address_that_is_none_says_what_it_should_be(browser: Browser, address: str) -> None:
    answer = browser.get(f"/dashboard/{address}", headers={"accept": "application/json"})
    assert answer.status_code == 422, address
