"""A bandit on live traffic: drafted over HTTP, moved by the task that beat sends."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.test import Client as Browser

from agents.domain.traffic import shares
from agents.models import TrafficSplit
from config.readable import percent
from config.schedules import SCHEDULE
from learning import tasks
from learning.models import ArmDay, Experiment
from tests.learning.ground import SLUG, make_agent, meet

pytestmark = pytest.mark.django_db
METRICS = [{"key": "success", "role": "primary"}]


def look():
    """What beat does each minute."""
    assert SCHEDULE["learning-comparisons"]["task"] == tasks.sweep_comparisons.name
    tasks.sweep_comparisons()


def started(api, **changes):
    body = {
        "agent": SLUG, "name": "which is best", "metrics": METRICS, "test": {"kind": "bandit"},
        "plan": {"minimum_days": 0, "minimum_units": 10, "planned_days": 30}, "batch_hours": 6,
        "variants": [{"key": "old", "version": "1", "is_control": True},
                     {"key": "new", "version": "2"}], **changes,
    }  # fmt: skip
    made = api("post", "experiments", body)
    assert made.status_code == 201, made.content
    assert api("post", f"experiments/{made.json()['id']}/start", {}).status_code == 200
    return made.json()["id"]


def buckets(split, version):
    return {b for start, end in split.arms[str(version.pk)] for b in range(start, end)}


def older(hours):
    """The experiment is older by ``hours``, with all that it met."""
    row = Experiment.objects.get()
    before = timedelta(hours=hours)
    batches = [
        {**one, "began_at": (datetime.fromisoformat(one["began_at"]) - before).isoformat()}
        for one in row.batches
    ]
    Experiment.objects.update(started_at=row.started_at - before, batches=batches)


def test_shares_follow_the_better_arm_at_each_look_and_only_what_is_lost_moves(api, firm, person):
    agent, old, new = make_agent()
    uid = started(api)
    first = TrafficSplit.objects.get(closed_at=None)
    good = {old.pk: 0.7, new.pk: 0.9}
    meet(agent, firm, units=400, success=good)
    look()
    assert TrafficSplit.objects.get(closed_at=None) == first  # the look is not due
    older(7)
    look()
    second = TrafficSplit.objects.get(closed_at=None)
    assert second.epoch == first.epoch + 1 and second.seed == first.seed
    assert shares(second.arms)[str(new.pk)] > 0.8 and shares(second.arms)[str(old.pk)] >= 0.04
    assert buckets(first, new) < buckets(second, new)
    assert buckets(second, old) < buckets(first, old)

    meet(agent, firm, units=300, success=good, seed=2)
    meet(agent, firm, units=50, success=good)  # under way at the look: met an arm before
    older(7)
    look()
    found = api("get", f"experiments/{uid}").json()
    assert [round(sum(one["shares"].values()), 6) for one in found["batches"]] == [1.0, 1.0]
    told = api("get", f"experiments/{uid}/analysis").json()
    assert sum(told["progress"]["units"].values()) == 700  # each unit once, in its first batch
    assert {row.stage for row in ArmDay.objects.all()} == {"batch 1", "batch 2"}
    assert told["metrics"][0]["comparisons"][0]["estimate"] > 0
    browser = Browser()
    browser.force_login(person("reviewer"))
    text = browser.get(f"/dashboard/experiments/{uid}").content.decode()
    assert "Shares at each look" in text and "the next look is due" in text
    chances = told["bandit"]["chance_to_be_best"]
    assert "Chance to be best" in text and chances["new"] > 0.99
    cells = re.findall(r'<td class="n">([^<]*)</td></tr>', text.partition("<h2>Arms</h2>")[2])
    assert [unescape(one) for one in cells[:2]] == [percent(chances[key]) for key in ("old", "new")]


def test_a_paused_bandit_resumes_with_the_shares_it_had(api, firm):
    agent, old, new = make_agent()
    uid = started(api)
    meet(agent, firm, units=300, success={old.pk: 0.6, new.pk: 0.9})
    older(7)
    look()
    moved = TrafficSplit.objects.get(closed_at=None).arms
    api("post", f"experiments/{uid}/pause", {})
    older(7)
    look()
    assert not TrafficSplit.objects.filter(closed_at=None).exists()
    api("post", f"experiments/{uid}/resume", {})
    assert TrafficSplit.objects.get(closed_at=None).arms == moved


def test_an_arm_that_can_not_be_read_yet_puts_the_look_off(api, firm):
    make_agent()
    started(api)
    older(7)
    look()
    assert Experiment.objects.get().batches == []
    assert TrafficSplit.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"unit": "user"}, "unit"), ({"batch_hours": 0.5}, "batch_hours"),
     ({"test": {"kind": "sequential"}}, "batch_hours")],
)  # fmt: skip
def test_a_bandit_that_would_move_people_between_arms_is_refused(api, changes, field):
    make_agent()
    body = {"agent": SLUG, "name": "x", "test": {"kind": "bandit"}, "batch_hours": 6,
            "variants": [{"version": "1"}, {"version": "2"}], **changes}  # fmt: skip
    refused = api("post", "experiments", body)
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert not Experiment.objects.exists()
