"""The learning pages: words first, numbers behind them, decisions as forms."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client, Membership, User
from config.templatetags.ratchet import STATES
from learning import experiments, feedback, improvements, pages, plots, rollouts
from learning.models import Feedback, Rollout, Subject
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]
STAGES = [{"share": s, "minimum_hours": 0, "minimum_units": 20} for s in (0.1, 0.5, 1)]


@pytest.fixture
def ground(firm):
    return (firm, *make_agent())


@pytest.fixture
def site(person):
    browser = Browser()
    browser.force_login(person("reviewer"))
    return browser


def an_experiment(engineer, old, new, **changes):
    given = {"metrics": METRICS, "plan": {"minimum_units": 50, "minimum_days": 0}, **changes}
    made = experiments.create(
        caller=engineer, agent_slug=SLUG, name="Shorter prompt",
        variants=[{"key": "control", "version": str(old.pk), "is_control": True},
                  {"key": "candidate", "version": str(new.pk)}], **given,
    )  # fmt: skip
    return made


def text_of(answer):
    return answer.content.decode()


def test_an_empty_installation_says_what_would_be_here(site):
    text = text_of(site.get("/dashboard/learning"))
    assert "Nothing is on its way" in text and "once the weekly cycle has found" in text


def test_the_overview_counts_ranks_and_leads_on(engineer, ground, site):
    firm, _, old, new = ground
    improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Say less", proposal={"a": 1},
        evidence={}, impact=8, confidence=0.5, effort=2, candidate_version_id=new.pk,
    )  # fmt: skip
    row = an_experiment(engineer, old, new)
    for number, who in enumerate(("a", "b", "b")):
        Feedback.objects.create(
            client_id=firm.pk, subject_kind=Subject.RUN, subject_id=new.pk, kind="suggestion",
            text="Export to  Excel" if number else "export to excel", agent_slug=SLUG,
            author_key=f"user:{who}{number}",
        )  # fmt: skip
    text = text_of(site.get("/dashboard/learning"))
    assert "1 change waits for a decision" in text
    assert "Say less" in text and f"/dashboard/experiments/{row.pk}" in text
    assert "xport to" in text and "½ per 60 days" in text


def test_an_experiment_says_its_verdict_before_its_numbers(engineer, ground, site):
    firm, agent, old, new = ground
    row = an_experiment(engineer, old, new)
    address = f"/dashboard/experiments/{row.pk}"
    assert "Not started yet" in text_of(site.get(address))
    assert site.post(address, {"action": "start"}).status_code == 302
    start = timezone.now() - timedelta(days=4)
    type(row).objects.filter(pk=row.pk).update(started_at=start)
    meet(agent, firm, units=1200, success={old.pk: 0.7, new.pk: 0.9}, days=4, started=start)
    row.refresh_from_db()
    experiments.refresh(row)
    text = text_of(site.get(address))
    assert text.index("Ship candidate") < text.index("<svg viewBox") < text.index("Interval")
    assert 'class="zero"' in text and 'class="band' in text
    assert "<html" not in text_of(site.get(address, headers={"HX-Request": "true"}))


@pytest.mark.parametrize(
    ("test", "plan", "words"),
    [
        ("sequential", {}, "confidence sequence, which holds at every look"),
        ("fixed", {"planned_units": 600}, "it holds at the declared end only"),
        ("group_sequential", {"planned_units": 600}, "which holds at the planned looks"),
        ("bayesian", {"planned_units": 600}, "not protected against repeated looks"),
    ],
)
def test_an_interval_promises_what_its_test_does(engineer, ground, site, test, plan, words):
    firm, agent, old, new = ground
    row = an_experiment(engineer, old, new, test={"kind": test},
                        plan={"minimum_units": 50, "minimum_days": 0, **plan})  # fmt: skip
    experiments.start(caller=engineer, experiment_id=row.pk)
    meet(agent, firm, units=300, success={old.pk: 0.5, new.pk: 0.9})
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert words in text
    assert ("which holds at every look" in text) == (test == "sequential")
    assert ("Chance to win" in text) == (test == "bayesian")
    assert ("99.9 %</td>" in text) == (test == "bayesian")


def test_a_rollout_without_a_forecast_raises_no_alarm(ground, site):
    firm, agent, old, new = ground
    row = rollouts.begin(client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, metrics=METRICS,
                         strategy="custom", stages=STAGES[2:])  # fmt: skip
    meet(agent, firm, units=900, success={old.pk: 0.8, new.pk: 0.8})
    rollouts.sweep()
    text = text_of(site.get(f"/dashboard/rollouts/{row.pk}"))
    assert "There is no forecast to check it against" in text
    assert "is-attention" not in text[text.index("Post-deployment") - 200 :][:200]
    listed = text_of(site.get("/dashboard/learning"))
    assert "Everybody has it. There is no forecast" in listed and "Keep waiting" not in listed


def test_a_refusal_is_said_on_the_page(engineer, ground, site):
    _, _, old, new = ground
    row = an_experiment(engineer, old, new)
    answer = site.post(f"/dashboard/experiments/{row.pk}", {"action": "resume"})
    assert answer.status_code == 409 and "draft" in text_of(answer)
    assert site.post(f"/dashboard/experiments/{row.pk}", {"action": "fly"}).status_code == 422


def test_a_rollout_shows_its_stages_and_how_fast_it_went_back(engineer, ground, site):
    firm, agent, old, new = ground
    row = rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, strategy="custom", stages=STAGES,
        metrics=METRICS,
    )  # fmt: skip
    address = f"/dashboard/rollouts/{row.pk}"
    text = text_of(site.get(address))
    assert "stage 1 of 3" in text and text.count('class="stage ') == 3
    assert site.post(address, {"action": "rollback", "reason": " "}).status_code == 422
    meet(agent, firm, units=300, success={old.pk: 0.8, new.pk: 0.8},
         started=timezone.now() + timedelta(seconds=2))  # fmt: skip
    site.post(address, {"action": "rollback", "reason": "complaints"})
    rollouts.sweep()
    text = text_of(site.get(address))
    assert "Taken back at stage 1" in text and "complaints" in text
    assert Rollout.objects.get().last_exposure_at is not None
    assert "Breach to last exposure" in text and "none seen" not in text
    assert "1 went back in 30 days" in text_of(site.get("/dashboard/learning"))


def test_another_clients_experiment_is_not_there(engineer, ground):
    _, _, old, new = ground
    row = an_experiment(engineer, old, new)
    stranger = User.objects.create_user("stranger", password="x")
    other = Client.objects.create(slug="other", name="Other")
    Membership.objects.create(user=stranger, client=other, role="reviewer")
    browser = Browser()
    browser.force_login(stranger)
    assert browser.get(f"/dashboard/experiments/{row.pk}").status_code == 404


def test_those_who_may_only_read_can_decide_nothing(engineer, ground, person):
    _, _, old, new = ground
    row = an_experiment(engineer, old, new)
    browser = Browser()
    browser.force_login(person("professional"))
    address = f"/dashboard/experiments/{row.pk}"
    assert "Decide" not in text_of(browser.get(address))
    assert browser.post(address, {"action": "start"}).status_code == 403


def test_every_state_has_a_word_an_icon_and_a_tone():
    assert pages.shown_states() <= STATES.keys()


def test_an_unbounded_interval_stays_inside_the_plot():
    def point(day, low, high):
        effect = {"estimate": 0.1, "lower": low, "upper": high}
        return {"stage": "all", "period": day, "arm": "b", "effect": effect}

    document = {"path": [point("1", None, None), point("2", -0.1, 0.3)]}
    drawn = plots.effect_path(document, "relative")
    assert drawn["arms"][0]["band"].startswith("M0.0 0.0L") and drawn["zero"] == 100.0
    assert plots.effect_path({"path": document["path"][:1]}, "relative") is None


def test_feedback_is_counted_with_what_people_said(ground, site, engineer):
    firm, agent, old, _ = ground
    calls = meet(agent, firm, units=1, success={old.pk: 1.0})
    feedback.give(caller=engineer, subject_kind="invocation", subject_id=calls[0].pk,
                  kind="rating", rating=2)  # fmt: skip
    text = text_of(site.get("/dashboard/learning"))
    assert "1 complaint" in text and "2.00" in text
