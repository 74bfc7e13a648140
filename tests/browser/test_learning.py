"""A reviewer approves a change; it is tried, ships, and is taken back, all in the browser."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from agents.models import Label
from config.access import callers
from config.access.models import Client, User
from learning import improvements, rollouts, tasks
from learning.models import Experiment, Improvement, Replay, Rollout, Tombstone, TrialPolicy
from tests.browser.conftest import let_in, opened
from tests.browser.test_pages import faults_in_every_look, faults_of
from tests.learning.ground import SLUG, make_agent, meet, replayed

STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.1, 1)]


@pytest.fixture
def proposed(person: User) -> Improvement:
    """A proposal with a candidate, and a policy under which an approved one is tried."""
    User.objects.filter(pk=person.pk).update(is_staff=True, is_superuser=True)
    firm = Client.objects.get(is_firm=True)
    _, _, new = make_agent()
    TrialPolicy.objects.create(
        metrics=[{"key": "success", "role": "primary"}], effect=0.3, baseline=0.6,
        minimum_units=50, minimum_days=0, coverage_ratio=0.5, strategy="custom", stages=STAGES,
    )  # fmt: skip
    row, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Name the rate first",
        proposal={"prompt": "b"}, evidence={}, impact=8, confidence=0.5, risk="low",
        candidate_version_id=new.pk,
    )  # fmt: skip
    return row


def test_an_approved_improvement_ships_and_goes_back(
    browser: Browser, site: str, proposed: Improvement
) -> None:
    firm = Client.objects.get(is_firm=True)
    label = Label.objects.select_related("agent", "version").get(name="production")
    agent, old, new = label.agent, label.version.pk, proposed.candidate_version_id
    success = {old: 0.6, new: 0.95}
    with opened(browser, site) as watched:
        page = let_in(watched)
        page.goto("/dashboard/learning")
        expect(page.get_by_text("1 change waits for a decision")).to_be_visible()
        page.goto("/admin/learning/improvement/")
        page.keyboard.press("j")  # the first of the list, and Enter opens it
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/admin/learning/improvement/{proposed.pk}/change/")
        expect(page.get_by_text("Waits for your decision")).to_be_visible()
        # The frame around it is the admin theme's.
        assert not faults_of(page, ".review")
        page.keyboard.press("r")
        page.keyboard.press("Enter")  # without a reason nothing is rejected
        page.keyboard.press("Escape")
        expect(page.get_by_text("It may not go live yet").first).to_be_visible()
        page.locator("textarea[name=reason]").fill("the rate first is what they ask for")
        page.get_by_role("heading", name="Name the rate first").click()
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Not live yet: its replay has not ended").first).to_be_visible()
        tasks.sweep_comparisons()
        assert not Experiment.objects.exists()
        Replay.objects.get().delete()  # which a worker would have ended so
        replayed(proposed, "better")
        page.reload()
        expect(page.get_by_text("It may go live").first).to_be_visible()
        assert not faults_of(page, ".review")
        tasks.sweep_comparisons()
        experiment = Experiment.objects.get()
        meet(agent, firm, units=600, success=success)
        tasks.sweep_comparisons()
        page.goto(f"/dashboard/experiments/{experiment.pk}")
        expect(page.get_by_text("Ship candidate").first).to_be_visible()
        assert not faults_of(page)
        for seed in range(2, 10):  # who is treated is drawn anew each time, so stages may last
            if Label.objects.get(name="production").version_id == new:
                break
            meet(agent, firm, units=900, success=success, seed=seed)
            tasks.sweep_comparisons()
        assert Label.objects.get(name="production").version_id == new
        rollout = Rollout.objects.get()
        page.goto("/dashboard/learning")
        page.locator(f'a[href="/dashboard/rollouts/{rollout.pk}"]').click()
        expect(page.get_by_text("Everybody has it.").first).to_be_visible()
        assert not faults_of(page)
        page.get_by_label("Reason").fill("partners complain about the tone")
        page.get_by_role("button", name="Take it back").click()
        expect(page.get_by_text("Taken back at stage 2").first).to_be_visible()
    assert Label.objects.get(name="production").version_id == old
    proposed.refresh_from_db()
    assert proposed.state == "rolled_back" and Tombstone.objects.count() == 1


def test_the_learning_page_can_be_read_in_the_dark_and_on_a_phone(
    browser: Browser, site: str, proposed: Improvement
) -> None:
    with opened(browser, site) as watched:
        let_in(watched)
        watched.page.goto("/dashboard/learning")
        expect(watched.page.get_by_text(proposed.title).first).to_be_visible()
        faults = faults_in_every_look(watched.page)
    assert not faults, "\n".join(faults)


def test_the_lists_of_comparisons_can_be_read_narrowed_and_opened(
    browser: Browser, site: str, proposed: Improvement
) -> None:
    firm = Client.objects.get(is_firm=True)
    tried = Experiment.objects.create(
        client_id=firm.pk, agent_slug=SLUG, name="The rate first", seed="s", state="concluded",
        state_by="system:learning", verdict="ship", improvement=proposed,
        headline="Ship candidate: success +31.2 % on the control (12.1 to 50.3).",
        started_at=timezone.now(), ended_at=timezone.now(),
        analysis={"progress": {"units": {"control": 1200, "candidate": 1190}}},
    )  # fmt: skip
    begun = rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=str(proposed.candidate_version_id),
        by="ada", strategy="custom", stages=STAGES,
    )  # fmt: skip
    Rollout.objects.filter(pk=begun.pk).update(experiment=tried, improvement=proposed)
    rollouts.rollback(
        caller=callers.of_user(User.objects.get(is_superuser=True)), rollout_id=begun.pk,
        reason="partners complain about the tone",
    )  # fmt: skip
    with opened(browser, site) as watched:
        page = let_in(watched)
        page.goto("/dashboard/learning")
        page.get_by_role("link", name="All experiments").click()
        expect(page.get_by_text("Ship candidate: success +31.2 %")).to_be_visible()
        faults = faults_in_every_look(page)
        page.get_by_label("State").select_option("open")
        expect(page.get_by_text("No experiment matches these filters")).to_be_visible()
        faults += faults_in_every_look(page)
        page.goto("/dashboard/rollouts")
        expect(page.get_by_text("Partners complain about the tone")).to_be_visible()
        faults += faults_in_every_look(page)
        page.get_by_label("Agent", exact=True).select_option(SLUG)
        page.wait_for_url("**agent=*")
        page.get_by_role("link", name="Custom v1 → v2").click()
        page.locator(".crumbs a", has_text="Rollouts").click()
        page.wait_for_url("**/dashboard/rollouts")
    assert not faults, "\n".join(faults)
