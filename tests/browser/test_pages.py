"""Every page: readable by everybody, in both themes, wide and on a phone, by keyboard."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from agents import loading
from agents.domain.catalogue import load_catalogue
from agents.tools import registry
from config.access import callers
from config.access.models import User
from tests.browser.conftest import Watched, opened, sign_in
from tests.browser.test_run_page import FLOW
from tests.workflows.conftest import Broker
from workflows import dispatch, publishing, starting
from workflows.models import Run

AGENT = "aud-fraud-009"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def run(person: User, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that waits for an approval, and an agent of the catalogue."""
    entries = load_catalogue(loading.CATALOGUE, registry.names()).entries
    loading._load_entry(entries[AGENT])
    broker = Broker()
    monkeypatch.setattr(dispatch, "_send", broker.send)
    monkeypatch.setattr(dispatch, "_send_wake", broker.wake)
    publishing.publish(FLOW.replace("2.5", "0.01").replace("0.6", "0.01"), user_id=person.pk)
    started, _ = starting.start_run(
        caller=callers.of_user(person), workflow="watched", inputs={"who": "Ada"}
    )
    broker.drain()
    return started


def addresses(run: Run) -> list[str]:
    return [
        "/dashboard", "/dashboard/runs", "/dashboard/runs?state=failed",
        f"/dashboard/runs/{run.pk}?step=slow", f"/dashboard/runs/{run.pk}",
        "/dashboard/approvals", f"/dashboard/approvals/{run.approvals.get().pk}",
        "/dashboard/workflows", "/dashboard/workflows/watched", "/dashboard/agents",
        f"/dashboard/agents/{AGENT}",
    ]  # fmt: skip


def faults_of(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, as lines to read."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{page.url}: {one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def settled(watched: Watched, address: str) -> Page:
    page = watched.page
    page.goto(address)
    expect(page.locator(".loading")).to_have_count(0)
    return page


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False)])
def test_every_page_is_accessible_and_asks_nobody_else(
    browser: Browser, site: str, run: Run, width: int, dark: bool
) -> None:
    with opened(browser, site, width=width, dark=dark) as watched:
        watched.page.goto("/login")
        faults = faults_of(watched.page)
        sign_in(watched.page)
        for address in addresses(run):
            page = settled(watched, address)
            faults += faults_of(page)
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > width:
                faults.append(f"{address}: {wide} px wide on a screen of {width}")
        faults += watched.faults
    assert not faults, "\n".join(faults)


def test_tables_go_by_keyboard(browser: Browser, site: str, run: Run) -> None:
    with opened(browser, site) as watched:
        sign_in(watched.page)
        page = settled(watched, "/dashboard/runs")
        page.keyboard.press("j")
        expect(page.locator("tr.here")).to_have_count(1)
        page.keyboard.press("/")
        expect(page.get_by_label("Workflow or id")).to_be_focused()
        page.keyboard.press("Escape")
        page.locator("body").press("j")
        page.get_by_label("Workflow or id").blur()
        page.keyboard.press("k")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/dashboard/runs/{run.pk}")


def test_a_chosen_theme_stays(browser: Browser, site: str, run: Run) -> None:
    with opened(browser, site) as watched:
        sign_in(watched.page)
        page = settled(watched, "/dashboard/runs")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Switch between light and dark").click()
        page.goto("/dashboard/agents")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_on_a_phone_the_navigation_is_a_drawer(browser: Browser, site: str, run: Run) -> None:
    with opened(browser, site, width=390) as watched:
        sign_in(watched.page)
        page = settled(watched, "/dashboard/runs")
        expect(page.get_by_role("link", name="Agents")).to_be_hidden()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Agents").click()
        page.wait_for_url("**/dashboard/agents")
