"""The learning pages: words first, numbers behind them, decisions as forms."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents import versions
from config.access.models import Client, Membership, User
from config.templatetags.ratchet import STATES
from learning import experiments, feedback, improvements, pages, plots, rollouts
from learning.models import Experiment, Feedback, Rollout, Subject
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


@pytest.mark.parametrize(
    ("spending", "said"), [("pocock", "Pocock, 5 %"), (None, "O’Brien-Fleming, 5 %")]
)
def test_a_group_sequential_experiment_says_how_it_spends_its_error(
    engineer, ground, site, spending, said
):
    _, _, old, new = ground
    test = {"kind": "group_sequential", **({"spending": spending} if spending else {})}
    row = an_experiment(engineer, old, new, test=test,
                        plan={"minimum_days": 0, "planned_units": 500})  # fmt: skip
    experiments.start(caller=engineer, experiment_id=row.pk)
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert said in text.replace("\xa0", " ").replace("\u202f", " ")


def test_the_admin_is_offered_to_those_alone_who_may_enter_it(engineer, ground, person, site):
    firm, _, old, new = ground
    change, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Say less", proposal={"a": 1},
        evidence={}, impact=8, confidence=0.5, candidate_version_id=new.pk,
    )  # fmt: skip
    row = an_experiment(engineer, old, new, improvement_id=change.pk)
    reader = Browser()
    staff = person("reviewer")
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    reader.force_login(staff)
    for address in ("/dashboard/learning", f"/dashboard/experiments/{row.pk}"):
        link = f"/admin/learning/improvement/{change.pk}/change/"
        assert "Say less" in text_of(site.get(address)) and link not in text_of(site.get(address))
        assert link in text_of(reader.get(address))


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


def ran(engineer, ground, days=4, arms=(), **changes):
    """An experiment that began ``days`` ago on the agent, with one or two candidates."""
    _, _, old, new = ground
    variants = [{"key": "control", "version": str(old.pk), "is_control": True},
                {"key": "candidate", "version": str(new.pk)}]  # fmt: skip
    variants += [{"key": key, "version": str(version.pk)} for key, version in arms]
    row = experiments.create(
        caller=engineer, agent_slug=SLUG, name="Shorter prompt", variants=variants,
        **{"plan": {"minimum_units": 50, "minimum_days": 0}, **changes},
    )  # fmt: skip
    start = timezone.now() - timedelta(days=days)
    return experiments.start(caller=engineer, experiment_id=row.pk, now=start), start


def test_figures_have_their_units_and_say_against_what(engineer, ground, site):
    firm, agent, old, new = ground
    row, start = ran(
        engineer, ground,
        metrics=[{"key": "success", "role": "primary"},
                 {"key": "seconds_per_call", "role": "guardrail", "margin": 0.5,
                  "margin_type": "absolute"},
                 {"key": "score:accuracy", "role": "secondary"}],
    )  # fmt: skip
    meet(agent, firm, units=1200, success={old.pk: 0.7, new.pk: 0.7}, days=4, started=start)
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert re.search(r">(6|7)\d(\.\d)? %</span>", text)
    assert "Effect on the control" in text and "Effect on success, points" in text
    strip = text[text.index('class="strips"') :]
    assert "Seconds per call" in strip and "margin +0.5 s" in strip and 'class="margin"' in strip
    assert "Accuracy" not in strip[: strip.index("</figure>")], "without a margin there is no line"
    assert "margin 0.5 s" in text and "margin 50 %" not in text
    assert ">1.05 s</span>" in text
    rated = text[text.index("Accuracy score") :]
    assert "Not measured yet" in rated and "denominator" not in rated
    assert rated[: rated.index("</tr>")].count(">–</td>") == 5  # no data is a gap, never a zero


def test_the_plot_draws_what_the_verdict_reads_and_the_table_what_was_asked(engineer, ground, site):
    """Of few events the relative interval may hold zero where the one that is read does not."""
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=METRICS)
    meet(agent, firm, units=900, success={old.pk: 0.03, new.pk: 0.11}, days=4, started=start)
    experiments.sweep()
    row.refresh_from_db()
    found = row.analysis["metrics"][0]["comparisons"][0]
    assert found["difference_type"] == "relative" and found["read"]["difference_type"] == "absolute"
    last = row.analysis["path"][-1]
    assert last["read"] == found["read"] and last["effect"]["lower"] == found["lower"]
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert "Effect on success, points" in text and "the interval that the verdict reads, 95" in text
    top = float(re.search(r'class="y small quiet"><span>\+([\d.]+)<', text)[1])
    ends = [abs(found["read"][end]) * 100 for end in ("lower", "upper")]
    assert max(ends) <= top < 3 * max(ends), "the axis is in points, not in per cent of control"
    said = [f"{found['read'][end] * 100:+.3g}".replace("-", "−") for end in ("lower", "upper")]
    assert f"read: {said[0]} to {said[1]} points" in text


def test_an_analysis_of_before_is_drawn_as_it_was_shown(engineer, ground, site):
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=METRICS)
    meet(agent, firm, units=900, success={old.pk: 0.5, new.pk: 0.6}, days=4, started=start)
    experiments.sweep()
    row.refresh_from_db()
    for point in row.analysis["path"]:
        del point["read"]
    for one in row.analysis["metrics"][0]["comparisons"]:
        del one["read"]
    row.save(update_fields=["analysis"])
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert "% on the control" in text and "the verdict reads" not in text


def test_a_plot_whose_metric_has_its_unit_in_its_name_says_it_once(engineer, ground, site):
    row, _ = ran(engineer, ground, metrics=[{"key": "cost_usd", "role": "primary"}])
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert "Effect on cost USD" in text and "USD, USD" not in text


def test_an_absolute_effect_on_a_share_is_said_in_points(engineer, ground, site):
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=METRICS,
                     test={"kind": "sequential", "difference_type": "absolute"})  # fmt: skip
    meet(agent, firm, units=1200, success={old.pk: 0.6, new.pk: 0.9}, days=4, started=start)
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert "Effect on success, points" in text and "on the control" not in text
    shown = text[text.index('data-label="Effect"') :]
    assert " points</span>" in shown[: shown.index("</td>")]


def test_an_arm_that_was_taken_out_is_told_first_and_its_line_ends_at_a_day(engineer, ground, site):
    firm, agent, old, new = ground
    third, _ = versions.publish(agent=agent, content=versions.Content("Answer worse."))
    row, start = ran(engineer, ground, metrics=METRICS, arms=[("worse", third)])
    good = {old.pk: 0.8, new.pk: 0.8, third.pk: 0.3}
    meet(agent, firm, units=1500, success=good, days=4, started=start)
    experiments.sweep()
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert text.index("worse was taken out: success got worse.") < text.index("<svg viewBox")
    drawn = text[text.index("<svg viewBox") : text.index("</figure>")]
    assert "<span>none</span>" not in drawn and drawn.count('class="arm-') == 2
    units = text[text.index("Units, smallest arm") :]
    assert re.search(r"control \d+, candidate \d+, worse \d+<", units)
    assert "worse, v3" in text and "until a person lifts it" in text


def test_what_was_concluded_for_harm_went_back_and_advises_nothing_more(engineer, ground, site):
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=METRICS)
    meet(agent, firm, units=900, success={old.pk: 0.9, new.pk: 0.4}, days=4, started=start)
    experiments.sweep()
    for address in (f"/dashboard/experiments/{row.pk}", "/dashboard/learning"):
        text = text_of(site.get(address))
        assert "candidate is worse: success" in text and "Went back" in text
        assert "Roll back." not in text and "Concluded" not in text


def test_a_draft_claims_nothing_and_can_be_discarded_from_its_page(engineer, ground, site):
    _, _, old, new = ground
    row = an_experiment(engineer, old, new)
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert "Not measured yet" in text and "Can't be read" not in text and "Sound" not in text
    assert 'data-dialog="discard"' in text and "Drafted by" in text
    answer = site.post(f"/dashboard/experiments/{row.pk}", {"action": "discard"})
    assert answer.status_code == 302 and answer["Location"] == "/dashboard/learning"
    assert site.get(f"/dashboard/experiments/{row.pk}").status_code == 404


def test_stopping_asks_first_and_enter_in_the_reason_stops_nothing(engineer, ground, site):
    row, _ = ran(engineer, ground)
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    form = text[text.index('id="reason"') :]
    assert 'value="stop"' not in form[: form.index("</form>")]
    asked = text[text.index('<dialog id="stop"') :]
    assert "Stop <b>Shorter prompt</b>?" in asked and 'value="stop"' in asked


def test_every_reason_that_is_given_is_kept(engineer, ground, site):
    firm, _, _, new = ground
    row = rollouts.begin(client_id=firm.pk, agent_slug=SLUG, to_version=new.pk, strategy="custom",
                         stages=STAGES, metrics=METRICS)  # fmt: skip
    address = f"/dashboard/rollouts/{row.pk}"
    for action in ("pause", "resume", "advance"):
        assert site.post(address, {"action": action, "reason": f"to {action}"}).status_code == 302
        assert f"to {action}" in text_of(site.get(address))


def test_a_stage_for_an_audience_does_not_claim_all_units(ground, site):
    firm, _, _, new = ground
    row = rollouts.begin(client_id=firm.pk, agent_slug=SLUG, to_version=new.pk,
                         strategy="canary", audience=["group:internal"])  # fmt: skip
    text = text_of(site.get(f"/dashboard/rollouts/{row.pk}"))
    assert "stage 1 of 6, 5 % of group:internal" in text and "version 1 → 2" in text


def test_all_that_is_open_is_listed_before_what_has_ended(engineer, ground, site):
    firm = ground[0]
    row, _ = ran(engineer, ground)
    for number in range(15):
        Experiment.objects.create(
            client_id=firm.pk, agent_slug=f"other-{number}", name=f"ended {number}", seed="s",
            state="stopped", started_at=timezone.now(), ended_at=timezone.now(),
        )  # fmt: skip
    experiments.pause(caller=engineer, experiment_id=row.pk)
    text = text_of(site.get("/dashboard/learning"))
    assert "1 experiment is open, 1 of them paused" in text
    assert f"/dashboard/experiments/{row.pk}" in text
    assert text.index("Shorter prompt") < text.index("ended 14")


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
    assert text.count("Not measured yet") == 3 and "Can't be read" not in text  # nobody came
    assert site.post(address, {"action": "rollback", "reason": " "}).status_code == 422
    meet(agent, firm, units=300, success={old.pk: 0.8, new.pk: 0.8},
         started=timezone.now() + timedelta(seconds=2))  # fmt: skip
    site.post(address, {"action": "rollback", "reason": "complaints"})
    rollouts.sweep()
    text = text_of(site.get(address))
    assert "Taken back at stage 1" in text and "complaints" in text
    assert "counted from the decision" in text and "harm first showed" not in text
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
    drawn = plots.effect_path(document)
    assert drawn["arms"][0]["band"].startswith("M0.0 0.0L") and drawn["zero"] == 100.0
    assert plots.effect_path({"path": document["path"][:1]}) is None


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    def point(day, arm, estimate):
        effect = {"estimate": estimate, "lower": estimate - 1, "upper": estimate + 1}
        return {"stage": "all", "period": day, "arm": arm, "effect": effect}

    arms = {"a": -1.9, "b": -1.9, "c": -1.8, "d": 0.5}
    path = [point(day, arm, at) for day in ("1", "2") for arm, at in arms.items()]
    drawn = plots.effect_path({"path": [*path, {**path[0], "period": "none"}]}, 100, " points")
    tops = sorted(float(arm["top"]) for arm in drawn["arms"])
    assert all(b - a >= 8.9 for a, b in pairwise(tops)) and 0 <= tops[0] and tops[-1] <= 91
    assert drawn["last"] == "2" and drawn["top"] == "+333" and drawn["is_many"]


def guarded_path(*reads):
    """A path of as many days, with one guardrail metric."""
    keys = ("estimate", "lower", "upper", "margin")
    read = [dict(zip(keys, one, strict=True)) for one in reads]
    return {"path": [{"stage": "all", "period": str(day), "arm": "b", "effect": None,
                      "guardrails": [{"metric": "g", "read": one}]}
                     for day, one in enumerate(read)]}  # fmt: skip


def test_a_guardrail_metrics_plot_holds_its_margin_and_says_it_first():
    drawn = plots.guard_path(guarded_path((0.1, -2, 2, 0.3), (0.1, 0, 0.2, 0.3)), "g", 100, " %")
    labels = [(one["said"], one["kind"]) for one in drawn["labels"]]
    assert labels == [("+30 %", "margin"), ("0", ""), ("−34.5 %", "")], "no label over another"
    assert 0 < drawn["margin"] < drawn["zero"] and drawn["looks"] == 2
    wide = plots.guard_path(guarded_path((0.1, -9, 9, -0.3), (0.1, -9, 9, -0.3)), "g")
    assert wide["zero"] < wide["margin"] <= 140


def test_a_guardrail_metric_that_may_get_no_worse_at_all_is_drawn_at_zero():
    """A margin of 0, also beside an effect of exactly 0."""
    drawn = plots.guard_path(guarded_path((0.1, -0.2, 0.4, 0), (0, -0.1, 0.1, 0)), "g")
    assert drawn["margin"] == drawn["zero"] == 100
    assert [one["said"] for one in drawn["labels"]] == ["0", "+0.23", "−0.23"]


def test_a_guardrail_metric_of_one_look_or_of_an_older_analysis_is_not_drawn():
    assert plots.guard_path(guarded_path((0.1, 0, 0.2, 0.3)), "g") is None
    document = guarded_path((0.1, 0, 0.2, 0.3), (0.1, 0, 0.2, 0.3))
    assert plots.guard_path(document, "other") is None
    for point in document["path"]:
        del point["guardrails"]
    assert plots.guard_path(document, "g") is None and plots.guard_looks(document, ["g"]) == []


GUARDED = [{"key": "success", "role": "primary"},
           {"key": "seconds_per_call", "role": "guardrail", "margin": 0.5,
            "margin_type": "absolute"},
           {"key": "cost_usd", "role": "guardrail", "margin": 0}]  # fmt: skip


def test_guardrail_metrics_are_drawn_over_time_beside_their_margins(engineer, ground, site, api):
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=GUARDED)
    meet(agent, firm, units=1200, success={old.pk: 0.7, new.pk: 0.7}, days=4, started=start,
         each=lambda call: setattr(call, "cost_usd", call.duration_seconds / 100))  # fmt: skip
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    drawn = text[text.index('class="multiples"') : text.index('class="looks')]
    assert drawn.count("<svg") == drawn.count('class="margin"') == 2
    assert "margin +0.5 s; above it is worse" in drawn and "% on the control" in drawn
    assert "margin +0 %; above it is worse" in drawn
    assert 'aria-label="Seconds per call over 4 looks, margin +0.5 s; at the last' in drawn
    table = text[text.index('class="looks') :]
    assert table[: table.index("</table>")].count("<tr>") == 5  # a head, and four days
    told = api("get", f"experiments/{row.pk}/analysis").json()
    (last, *_) = [m for m in told["metrics"] if m["key"] == "seconds_per_call"]
    guards = {one["metric"]: one for one in told["path"][-1]["guardrails"]}
    assert guards["seconds_per_call"]["read"] == last["comparisons"][0]["read"]
    assert guards["seconds_per_call"]["read"]["margin"] == 0.5
    assert set(guards["cost_usd"]["effect"]) == {"estimate", "standard_error", "lower", "upper"}


def test_of_one_look_guardrail_metrics_say_from_when_on_they_are_drawn(engineer, ground, site):
    firm, agent, old, new = ground
    row, start = ran(engineer, ground, metrics=GUARDED)
    meet(agent, firm, units=300, success={old.pk: 0.7, new.pk: 0.7}, days=1, started=start)
    experiments.sweep()
    text = text_of(site.get(f"/dashboard/experiments/{row.pk}"))
    assert 'class="strips"' in text and 'class="multiples"' not in text
    assert "One look so far" in text


def test_stages_of_one_day_are_told_apart_on_the_axis():
    effect = {"estimate": 0.1, "lower": 0.0, "upper": 0.2}
    path = [{"stage": stage, "period": "2026-11-30", "arm": "b", "effect": effect}
            for stage in ("0: 10 %", "1: 25 %")]  # fmt: skip
    drawn = plots.effect_path({"path": path})
    assert drawn["first"] == "2026-11-30, stage 1, 10 %"
    assert drawn["last"] == "2026-11-30, stage 2, 25 %"
    assert drawn["marks"][0]["stage"] == "stage 2, 25 %"


def test_feedback_is_counted_with_what_people_said(ground, site, engineer):
    firm, agent, old, _ = ground
    calls = meet(agent, firm, units=1, success={old.pk: 1.0})
    feedback.give(caller=engineer, subject_kind="invocation", subject_id=calls[0].pk,
                  kind="rating", rating=2)  # fmt: skip
    text = text_of(site.get("/dashboard/learning"))
    assert "1 complaint" in text and "2.00" in text
