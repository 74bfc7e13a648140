"""Lists that figures of steps and answers lead to: what they hold, and page by page."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.access.callers import Caller
from config.access.models import User
from monitoring import lists, queries, rollups
from tests.monitoring.figures_of import read
from tests.workflows.conftest import Begin, Broker, Key
from tests.workflows.http import start
from tests.workflows.test_again import FLAKY
from workflows import again, decisions, work
from workflows.models import Approval, RunEvent, StepRun
from workflows.pages import runs

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
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode())))


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


def test_a_retried_run_is_listed_by_each_of_its_ends_with_what_it_had_cost_by_then(
    finished: Begin, broker: Broker, caller: Caller, browser: Browser, monkeypatch: Any
) -> None:
    prices = iter(Decimal(one) for one in ("0.5", "0.25", "0.125"))
    own = work._perform

    def priced(*given: Any) -> Any:
        result, _, call = own(*given)
        return result, next(prices), call

    monkeypatch.setattr(work, "_perform", priced)
    run = finished(
        f"name: redone\nsteps:\n  a: {{tool: core.echo}}\n  b: {{{FLAKY}, needs: [a]}}\n"
    )
    assert run.state == "failed"
    StepRun.objects.filter(run=run, key="b").update(cost_usd="0.1")  # what its failure cost
    again.retry_run(caller, run.pk)
    broker.drain()
    finished("name: redone\nsteps:\n  a: {tool: core.echo}\n")
    rollups.roll_up()
    rows = listed(browser, "/dashboard/runs?range=24h&nested=1")
    assert [row["state"] for row in rows] == ["succeeded", "succeeded", "failed"]
    now = timezone.now()
    hour = {"since": now - queries.HOUR, "until": now + queries.MINUTE}
    names = ["runs", "run_errors", "run_cost_usd"]
    told = queries.totals(names, scope="workflow", **hour)["redone"]
    failed = listed(browser, "/dashboard/runs?range=24h&nested=1&state=failed")
    assert (told["runs"].total, told["run_errors"].total) == (3, len(failed)) == (3, 1)
    costs = [Decimal(row["cost_usd"]) for row in rows]
    assert costs == [Decimal("0.125"), Decimal("0.25"), Decimal("0.6")]
    # The failure's own cost was put into its row after the run's end was told.
    assert told["run_cost_usd"].total == pytest.approx(float(sum(costs)) - 0.1)
    assert [one["cost_usd"] for one in listed(browser, "/dashboard/runs")][1] == "0.850000000"
    html = browser.get("/dashboard/runs?range=24h&state=failed").content.decode()
    assert "retried since" in html
    (kept,) = RunEvent.objects.filter(name="run.retried").values_list("detail", flat=True)
    assert Decimal(kept["spent_usd"]) == Decimal("0.6")  # what sums of experiments take off


def test_pages_of_runs_are_whole_though_some_ended_before_a_retry(
    finished: Begin, broker: Broker, caller: Caller, browser: Browser, monkeypatch: Any
) -> None:
    plain = "name: redone\nsteps:\n  a: {tool: core.echo}\n"
    wanted = []
    for _ in range(2):
        run = finished(f"name: redone\nsteps:\n  b: {{{FLAKY}}}\n")
        again.retry_run(caller, run.pk)
        broker.drain()
        wanted.append(str(run.pk))
        finished(plain)
    monkeypatch.setattr(runs, "PAGE", 1)
    monkeypatch.setattr(runs, "AT_ONCE", 1)
    failed = paged(browser, "/dashboard/runs?range=24h&state=failed")
    assert [one.rpartition("/")[2] for one in failed] == wanted[::-1]
    every = paged(browser, "/dashboard/runs?range=24h")
    assert len(set(every)) == 4
    assert every == sorted(every, reverse=True)


def test_the_page_of_a_workflow_reads_steps_of_no_other(finished: Begin, browser: Browser) -> None:
    finished(LOOP)
    finished("name: other\nsteps:\n  a: {tool: core.echo}\n")
    rollups.roll_up()
    with CaptureQueriesContext(
        connection,
    ) as seen:
        html = browser.get("/dashboard/workflows/loop?range=24h").content.decode()
    assert "Most time goes into turn" in html
    of_steps = [one["sql"] for one in seen if "scope = 'step'" in one["sql"]]
    assert of_steps
    assert all("'loop|'" in one for one in of_steps)


def test_a_list_of_steps_reads_nothing_of_what_its_runs_were_given(
    finished: Begin, browser: Browser
) -> None:
    finished(LOOP)
    for address in ("steps", "steps?sort=waited", "steps.csv", "approvals/answered", "runs.csv"):
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(f"/dashboard/{address}").getvalue()
        read = [one["sql"].partition(" FROM ")[0] for one in asked]
        assert not [sql for sql in read if '"inputs"' in sql or '"outputs"' in sql], address


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
    monkeypatch.setattr(lists, "SHOWN", 1)
    monkeypatch.setattr(lists, "AT_ONCE", 2)
    wanted = {"/dashboard/steps": 8 + 2, "/dashboard/approvals/answered": 2 * 2,
              "/dashboard/again": 6}  # fmt: skip
    for address, count in wanted.items():
        found = paged(browser, f"{address}?range=24h")
        rows = [tuple(one.values()) for one in listed(browser, f"{address}?range=24h")]
        assert len(rows) == len(set(rows)) == count // (2 if "answered" in address else 1)
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
