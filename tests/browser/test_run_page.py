"""The run page in a real browser, over the real engine with a real worker."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from config.access import callers
from config.access.models import User
from tests.browser.conftest import let_in, opened, sign_in
from workflows import controls, publishing
from workflows.models import Run

FLOW = """
name: watched
title: A run to watch
inputs: {type: object, required: [who], properties: {who: {type: string}}}
steps:
  gate: {title: Until it is watched, wait: {signal: watched}}
  slow: {needs: [gate], tool: core.sleep, title: A slow step, with: {seconds: 5}}
  never: {needs: [slow], when: "false", tool: core.echo, title: Left out}
  each:
    title: Every item
    needs: [slow]
    # Two are done at once, two take long enough that the page is seen between.
    for_each: "${ [0, 0, 8, 8] }"
    max_parallel: 4
    tool: core.sleep
    with: {seconds: "${ item }"}
  ask:
    title: A person agrees
    needs: [each, never]
    approval: {role: manager, forbid_self: false, show: {who: "${ inputs.who }"}}
  say: {needs: [ask], tool: core.echo, title: The end, with: {value: "${ inputs.who }"}}
outputs: {said: "${ steps.say.output.value }"}
"""


@pytest.mark.worker
def test_a_run_is_started_watched_and_approved_in_the_browser(
    browser: Browser, site: str, workers: None, person: User
) -> None:
    publishing.publish(FLOW, user_id=person.pk)
    with opened(browser, site) as watched:
        page = watched.page
        sign_in(page)
        page.goto("/dashboard/workflows/watched")
        page.get_by_label("Who").fill("Ada")
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url("**/dashboard/runs/*")
        page.evaluate("window.notReloaded = true")

        _moves_by_itself(page, person)
        _panel_opens_and_closes(page)
        assert page.evaluate("window.notReloaded"), "the page moved by a reload, not by itself"

        page.get_by_role("link", name="Answer").click()
        page.get_by_label("Reason").fill("It reads well.")
        page.get_by_role("button", name="Approve").click()
        page.wait_for_url("**/dashboard/runs/*")
        expect(page.locator(".verdict")).to_contain_text("Succeeded in")
        expect(page.locator("#findings")).to_contain_text("Ada")
        expect(page.locator("#heard")).to_have_text("Ended")
        assert watched.faults == []
    run = Run.objects.get()
    assert run.state == "succeeded"
    assert run.approvals.get().reason == "It reads well."


def _moves_by_itself(page: Page, person: User) -> None:
    expect(page.locator("#heard")).to_contain_text("Live")
    expect(page.locator("#n-say")).to_have_attribute("aria-label", "The end: Not started")
    controls.send_signal(callers.of_user(person), Run.objects.get().pk, name="watched")
    expect(page.locator("#n-slow.busy")).to_be_visible()
    expect(page.locator("#n-slow")).to_have_attribute("data-state", "succeeded")
    expect(page.locator("#n-each")).to_contain_text("2/4")
    expect(page.locator(".verdict")).to_contain_text("Waiting for the manager’s approval")
    expect(page.locator("#n-never")).to_have_attribute("aria-label", "Left out: Skipped")
    expect(page.locator(".gantt-row")).not_to_have_count(0)


def _panel_opens_and_closes(page: Page) -> None:
    page.locator("#n-slow").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_contain_text("core.sleep")
    expect(page.locator("#panel")).to_contain_text('"seconds": 5')
    assert "?step=" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    assert "?step=" not in page.url


@pytest.mark.worker
def test_the_page_says_when_the_server_is_no_longer_heard(
    browser: Browser, site: str, person: User
) -> None:
    publishing.publish(FLOW, user_id=person.pk)
    with opened(browser, site) as watched:
        page = let_in(watched)
        page.goto("/dashboard/workflows/watched")
        page.get_by_label("Who").fill("Ada")
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator("#heard")).to_contain_text("Live")
        page.clock.install()
        page.context.set_offline(True)
        page.clock.run_for(40_000)
        expect(page.locator("#heard")).to_contain_text("No word from the server")
