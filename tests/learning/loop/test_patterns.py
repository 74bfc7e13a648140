from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from config.access import callers
from config.access.models import Client, Membership, User
from learning import cycles, patterns
from learning.models import Feedback, Pattern, PatternCount
from tests.learning.loop.conftest import NOW, days_ago, id_at

pytestmark = pytest.mark.django_db


def fail(call, agent, at, message, **fields):
    return call(agent, at, state="failed", error_code="timeout",
                error={"code": "timeout", "message": message}, **fields)  # fmt: skip


def complain(client, agent, at, text, **fields):
    return Feedback.objects.create(
        id=id_at(at), client_id=client.pk, subject_kind="invocation", subject_id=uuid4(),
        agent_slug=agent.slug, kind="complaint", author_key=str(uuid4()), text=text,
        created_at=at, **fields,
    )  # fmt: skip


def test_failures_are_clustered_with_their_impact(bare, call):
    for n in range(6):
        fail(call, bare, days_ago(n / 10 + 0.1), f"tool bank.fetch took longer than {n} s",
             run_id=uuid4(), user_id=uuid4())  # fmt: skip
    fail(call, bare, days_ago(1), "endpoint default is unavailable: refused")
    assert patterns.find_patterns(NOW)["failure_patterns"] == 2
    found = patterns.listed(callers.any_reader(), until=NOW.date())
    assert "took longer than" in found[0]["title"]
    assert found[0]["impact"] == {
        "count": 6, "users": 6, "runs": 6, "clients": 1, "cost_usd": "0.060000000",
        "currency": "USD",
    }  # fmt: skip
    assert found[0]["agents"] == [{"slug": bare.slug, "count": 6}]
    assert found[0]["trend"] == "new"
    assert len(found[0]["invocations"]) <= 5


def test_a_cycle_of_a_day_before_leaves_todays_trends_as_they_are(bare, firm, api, monkeypatch):
    monkeypatch.setattr(cycles, "_send", lambda pk: None)
    now = timezone.now()
    for n in range(4):
        complain(firm, bare, now, f"the rate of year {n} is missing")
    for tick in (now, now - timedelta(days=2)):
        made = api("post", "/api/v1/cycles", {"cadence": "daily", "tick": f"{tick:%Y-%m-%d}"})
        assert cycles.do_step(made.json()["id"], "patterns")
        (found,) = api("get", "/api/v1/patterns").json()["results"]
        assert (found["trend"], found["impact"]["count"]) == ("new", 4)


def test_a_pattern_keeps_its_key_and_its_past_from_week_to_week(bare, call):
    for n in range(4):
        fail(call, bare, days_ago(8 + n / 10), f"tool bank.fetch took longer than {n} s")
    patterns.find_patterns(NOW - timedelta(days=7))
    first = Pattern.objects.get()
    for n in range(4):
        fail(call, bare, days_ago(1 + n / 10), f"tool tax.fetch took longer than {n} s")
        fail(call, bare, days_ago(1 + n / 10), f"tool bank.fetch took longer than {n} s")
    patterns.find_patterns(NOW)
    again = Pattern.objects.get(key=first.key)
    assert again.pk == first.pk
    assert again.first_seen_at == first.first_seen_at < again.last_seen_at
    assert sum(c.count for c in PatternCount.objects.filter(pattern=again)) >= 8


def test_counting_twice_changes_nothing(bare, call):
    for n in range(5):
        fail(call, bare, days_ago(1), f"took longer than {n} s")
    patterns.find_patterns(NOW)
    before = sorted(PatternCount.objects.values_list("count", "day"))
    patterns.find_patterns(NOW)
    assert sorted(PatternCount.objects.values_list("count", "day")) == before


def test_a_pattern_that_grows_beyond_its_traffic_is_rising(bare, call):
    for n in range(300):
        call(bare, days_ago(8 + n / 20))
    fail(call, bare, days_ago(9), "took longer than 3 s")
    patterns.find_patterns(NOW - timedelta(days=7))
    for n in range(12):
        fail(call, bare, days_ago(1 + n / 10), f"took longer than {n} s")
    patterns.find_patterns(NOW)
    (found,) = patterns.listed(callers.any_reader(), until=NOW.date())
    assert found["trend"] == "rising"
    assert found["trend_ratio"] > 1


def test_demonstrations_and_replays_are_left_out(bare, call):
    fail(call, bare, days_ago(1), "took longer than 3 s", is_demo=True)
    assert patterns.find_patterns(NOW)["failures"] == 0


def test_complaints_are_clustered_and_redacted(bare, firm):
    for text in ("The VAT rate is wrong, write to anna@web.de", "wrong VAT rate again",
                 "the VAT rate was wrong"):  # fmt: skip
        complain(firm, bare, days_ago(1), text)
    patterns.find_patterns(NOW)
    (found,) = patterns.listed(callers.any_reader(), until=NOW.date(), kind="complaint")
    assert found["impact"]["count"] == 3
    assert "anna@web.de" not in str(found)


def test_the_title_of_a_topic_reads_as_people_said_it(bare, firm, api):
    for hours in (1, 2):
        complain(firm, bare, timezone.now() - timedelta(hours=hours), "It did not say the period")
    patterns.find_patterns(timezone.now())
    (row,) = api("get", "/api/v1/patterns?kind=complaint").json()["results"]
    assert row["title"] == "not, say, period"


def test_others_clients_failures_are_not_shown(bare, call, firm):
    other = Client.objects.create(slug="other", name="Other")
    fail(call, bare, days_ago(1), "took longer than 3 s", client_id=other.pk)
    patterns.find_patterns(NOW)
    user = User.objects.create_user("eve", password="x")
    mine = Client.objects.create(slug="mine", name="Mine")
    Membership.objects.create(user=user, client=mine, role="professional")
    assert patterns.listed(callers.of_user(user), until=NOW.date()) == []
    assert len(patterns.listed(callers.any_reader(), until=NOW.date())) == 1


def test_patterns_are_listed_over_http(bare, call, api):
    now = timezone.now()
    fail(call, bare, now - timedelta(hours=2), "took longer than 3 s")
    patterns.find_patterns(now)
    (row,) = api("get", "/api/v1/patterns?kind=failure").json()["results"]
    assert row["impact"]["count"] == 1
    assert row["example"].startswith("timeout: took")
    assert api("get", "/api/v1/patterns?kind=odd").status_code == 422
    assert api("get", "/api/v1/patterns?days=0").status_code == 422


def test_the_learning_page_leads_to_the_rows_behind_a_pattern(bare, call, firm):
    now = timezone.now()
    failed = [fail(call, bare, now - timedelta(hours=n), "took longer than 3 s")
              for n in range(1, 13)]  # fmt: skip
    spoken = complain(firm, bare, now - timedelta(hours=1), "The VAT rate is wrong again")
    patterns.find_patterns(now)
    user = User.objects.create_user("rita", password="x")
    Membership.objects.create(user=user, client=firm, role="reviewer")
    browser = Browser()
    browser.force_login(user)
    page = browser.get("/dashboard/learning").content.decode()
    links = sorted(set(re.findall(r"/dashboard/learning/patterns/[0-9a-f-]{36}", page)))
    assert len(links) == 2
    behind = {link: browser.get(link).content.decode() for link in links}
    (calls,) = (text for text in behind.values() if "12 failures in 28 days" in text)
    for row in failed:
        assert f"/dashboard/invocations/{row.pk}" in calls
    (words,) = (text for text in behind.values() if "1 complaint in 28 days" in text)
    assert "The VAT rate is wrong again" in words
    assert f"/dashboard/invocations/{spoken.subject_id}" in words
    assert browser.get(f"/dashboard/learning/patterns/{uuid4()}").status_code == 404
