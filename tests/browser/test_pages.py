"""Every page: readable by everybody, in both themes, wide and on a phone, by keyboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from config.access import callers
from config.access.models import User
from learning import feedback
from monitoring import rollups, rotas, shipped
from monitoring.models import Alert, AlertRule, Board, Channel, Incident
from monitoring.services import Measurement, mark, record, security_event
from tests.agents.conftest import publish
from tests.browser.conftest import Watched, let_in, opened, sign_in
from tests.browser.test_run_page import FLOW
from tests.workflows.conftest import Broker
from workflows import controls, dispatch, publishing, starting
from workflows.models import Run

AGENT = "aud-fraud-009"
Rules = dict[str, Any]
Looks = tuple[tuple[int, str, Rules], ...]
RULES: Rules = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # What passes is most of a page: thousands of nodes that nobody reads.
    "resultTypes": ["violations"],
}
# What another theme alone may break: nothing but colours is changed by it.
_OF_COLOUR = ["color-contrast", "link-in-text-block"]
# What the width alone may break of a page that is whole when it is wide.
_OF_WIDTH = [
    "target-size", "scrollable-region-focusable", "aria-hidden-focus", "label", "button-name",
    "link-name", "region", "landmark-unique", "heading-order", "skip-link",
]  # fmt: skip
DARK = RULES | {"runOnly": {"type": "rule", "values": _OF_WIDTH + _OF_COLOUR}}  # and narrow
# Width, theme and rules; every page is loaded in the first and changed into the others.
LOOKS = ((1440, "light", RULES), (390, "dark", DARK))
# The same with every rule each time: in ``make chaos``.
AT_LENGTH = ((1440, "light", RULES), (1440, "dark", RULES), (390, "light", RULES),
             (390, "dark", RULES))  # fmt: skip
looks = pytest.mark.parametrize(
    "looks", [LOOKS, pytest.param(AT_LENGTH, marks=pytest.mark.slow)], ids=["quick", "at length"]
)


@pytest.fixture
def run(person: User, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that waits for an approval, and an agent of the catalogue."""
    publish(AGENT)
    broker = Broker()
    monkeypatch.setattr(dispatch, "_send", broker.send)
    monkeypatch.setattr(dispatch, "_send_wake", broker.wake)
    publishing.publish(FLOW.replace("2.5", "0").replace("8, 8", "0, 0"), user_id=person.pk)
    caller = callers.of_user(person)
    started, _ = starting.start_run(caller=caller, workflow="watched", inputs={"who": "Ada"})
    controls.send_signal(caller, started.pk, name="watched")
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


def faults_of(page: Page, within: str = ":root", rules: Rules = RULES) -> list[str]:
    """What axe finds against WCAG 2.2 AA, as lines to read."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate(
        "([within, rules]) => axe.run(within, rules).then(found => found.violations)",
        [within, rules],
    )
    return [
        f"{page.url}: {one['id']}: {node['target']} {node.get('failureSummary', '')[:300]}"
        for one in found
        for node in one["nodes"][:3]
    ]


def faults_in_every_look(page: Page, looks: Looks = LOOKS) -> list[str]:
    """What axe finds in each look, and what is wider than the screen."""
    faults = []
    for width, theme, rules in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        faults += faults_of(page, rules=rules)
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{page.url}: {wide} px wide on a screen of {width}")
    page.set_viewport_size({"width": looks[0][0], "height": 900})
    page.emulate_media(color_scheme=looks[0][1])
    return faults


def settled(watched: Watched, address: str) -> Page:
    page = watched.page
    page.goto(address)
    expect(page.locator(".loading")).to_have_count(0)
    return page


@looks
def test_every_page_is_accessible_and_asks_nobody_else(
    browser: Browser, site: str, run: Run, looks: Looks
) -> None:
    with opened(browser, site) as watched:
        watched.page.goto("/login")
        faults = faults_in_every_look(watched.page, looks)
        sign_in(watched.page)
        for address in addresses(run):
            # What is around every page is seen once with every rule in every look.
            taken = AT_LENGTH if address == "/dashboard/agents" else looks
            faults += faults_in_every_look(settled(watched, address), taken)
        faults += watched.faults
    assert not faults, "\n".join(faults)


# What the first line of each says once there are forty calls, an incident and an attack.
DASHBOARDS = {
    "/dashboard": "0 of 1 agent is healthy", f"/dashboard/agents/{AGENT}": "",
    "/dashboard/domains": "", "/dashboard/domains/audit": "",
    "/dashboard/costs": "went to 40 calls in 30 days", "/dashboard/costs?by=client": "",
    "/dashboard/objectives": "measured objectives", "/dashboard/sla": "",
    "/dashboard/incidents": "1 incident is open", "/dashboard/on-call": "ada is on call",
    "/dashboard/security": "1 event stopped", "/dashboard/conversations": "Nobody talked",
    "/dashboard/boards": "1 of your own", "/dashboard/invocations": "No call matches",
    "/dashboard/feedback": "No piece of feedback matches", "/dashboard/scores": "1 score matches",
}  # fmt: skip
PLOTTED = ("/dashboard", f"/dashboard/agents/{AGENT}", "/dashboard/domains/audit")


@pytest.fixture
def measured(run: Run, person: User) -> dict[str, str]:
    """Forty calls of an agent, an alert, a rota and an attack: addresses, and what they say."""
    shipped.load()
    labels = {"agent": AGENT, "domain": "audit", "version": "1", "client": str(run.client_id)}
    numbers = {"invocations": 1.0, "invocation_errors": 0.0, "cost_usd": 0.01, "cache_hits": 0.0}
    record([
        Measurement({**numbers, "invocation_duration_seconds": 0.1 * n}, labels)
        for n in range(1, 41)
    ])  # fmt: skip
    mark(kind="deployment", scope="agent", key=AGENT, text="v2 deployed")
    security_event(kind="injection", actor="user:1", severity="high")
    feedback.score(
        caller=callers.of_user(person), subject_kind="run", subject_id=run.pk, name="accuracy",
        value=0.9, source="human", reason="Compared with the ledger.",
    )  # fmt: skip
    incident = Incident.objects.create(cause="all", title="Provider down", severity="high")
    alert = Alert.objects.create(
        rule=AlertRule.objects.get(slug="error-rate"), scope="agent", key=AGENT, severity="high",
        state="firing", value=0.4, baseline=0.05, incident=incident, why="40 % of calls failed",
        pending_since=timezone.now(), fired_at=timezone.now(),
    )  # fmt: skip
    ada = Channel.objects.create(
        name="ada", kind="email", address="ada@example.org", is_personal=True
    )
    rotas.create_rota(
        name="Everybody", people=[ada.pk], actor="user:1",
        first_day=timezone.now().date() - timedelta(days=1),
    )  # fmt: skip
    board = Board.objects.create(
        user=person, name="Mine",
        panels=[{"metric": "invocations", "statistic": "total", "scope": "all", "key": ""}],
    )  # fmt: skip
    rollups.roll_up()
    return DASHBOARDS | {
        f"/dashboard/incidents/{incident.pk}": "Nobody has acknowledged it",
        f"/dashboard/alerts/{alert.pk}": "", f"/dashboard/boards/{board.pk}": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "narrow", [DARK, pytest.param(RULES, marks=pytest.mark.slow)], ids=["quick", "at length"]
)
def test_dashboards_draw_their_plots_wide_and_light_narrow_and_dark(
    browser: Browser, site: str, measured: dict[str, str], narrow: Rules
) -> None:
    with opened(browser, site) as watched:
        let_in(watched)
        faults: list[str] = []
        for address, words in measured.items():
            watched.page.set_viewport_size({"width": 1440, "height": 900})
            watched.page.emulate_media(color_scheme="light")
            page = settled(watched, address)
            if words:
                expect(page.locator(".verdict").first).to_contain_text(words)
            if address in PLOTTED:
                expect(page.locator("figure.plot[data-drawn] .main-svg").first).to_be_visible()
                expect(page.locator(".heard.on").first).to_be_visible()
            faults += faults_of(page)
            page.set_viewport_size({"width": 390, "height": 844})
            page.emulate_media(color_scheme="dark")
            faults += faults_of(page, rules=narrow)
            wide = page.evaluate("document.documentElement.scrollWidth")
            if wide > 390:
                faults.append(f"{address}: {wide} px wide on a screen of 390")
        faults += watched.faults
    assert not faults, "\n".join(faults)


@pytest.mark.slow
def test_incidents_that_overlap_shade_a_plot_once(
    browser: Browser, site: str, measured: dict[str, str]
) -> None:
    for n in range(8):
        Incident.objects.create(
            cause=f"agent:a{n}", title="It fails", severity="critical",
            opened_at=timezone.now() - timedelta(hours=n + 1),
        )  # fmt: skip
    with opened(browser, site) as watched:
        let_in(watched)
        page = settled(watched, "/dashboard")
        plot = page.locator("figure.plot[data-drawn]").first
        expect(plot.locator(".main-svg").first).to_be_visible()
        shades = plot.evaluate(
            "figure => figure.querySelector('.plot-area').layout.shapes"
            ".filter(shape => shape.type === 'rect').length"
        )
        assert shades == 1


@pytest.mark.slow
def test_a_plot_is_as_wide_as_its_place_also_when_only_the_place_changes(
    browser: Browser, site: str, measured: dict[str, str]
) -> None:
    with opened(browser, site) as watched:
        let_in(watched)
        page = settled(watched, "/dashboard")
        plot = page.locator("figure.plot[data-drawn]").first
        expect(plot.locator(".main-svg").first).to_be_visible()
        plot.evaluate("figure => { figure.style.width = '317px'; }")
        expect(plot.locator(".main-svg").first).to_have_attribute("width", "317")
        assert not watched.faults


def test_tables_go_by_keyboard(browser: Browser, site: str, run: Run) -> None:
    with opened(browser, site) as watched:
        let_in(watched)
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
        let_in(watched)
        page = settled(watched, "/dashboard/runs")
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Switch between light and dark").click()
        page.goto("/dashboard/agents")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_on_a_phone_the_navigation_is_a_drawer(browser: Browser, site: str, run: Run) -> None:
    with opened(browser, site, width=390) as watched:
        let_in(watched)
        page = settled(watched, "/dashboard/runs")
        expect(page.get_by_role("link", name="Agents")).to_be_hidden()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Agents").click()
        page.wait_for_url("**/dashboard/agents")


@pytest.mark.slow
def test_on_a_phone_the_way_back_from_a_run_can_be_read(
    browser: Browser, site: str, run: Run
) -> None:
    """Beside the chips there is no room for it: they go below."""
    with opened(browser, site, width=390) as watched:
        let_in(watched)
        page = settled(watched, f"/dashboard/runs/{run.pk}")
        cut = page.evaluate(
            "[...document.querySelectorAll('.crumbs, .crumbs > *')]"
            ".filter(one => one.scrollWidth > one.clientWidth && one.clientWidth > 0).length"
        )
        assert cut == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
