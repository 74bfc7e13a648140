"""What trying gained: who is held out beside everybody else, over HTTP and on the page."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.domain import traffic
from agents.models import Invocation
from config.access import callers
from config.access.models import Client
from learning import tasks
from learning.held_out import read
from learning.models import Holdout, Rollout
from tests.learning.ground import SLUG, id_at, make_agent
from tests.rows import insert

pytestmark = pytest.mark.django_db
RNG = random.Random(5)


def held_out(api, *, share=0.3):
    agent, old, _ = make_agent()
    row = Holdout.objects.get(pk=api("post", "holdouts", {"share_ratio": share}).json()["id"])
    made = api("post", "rollouts", {"agent": SLUG, "version": "2", "unit": "user"})
    assert made.status_code == 201, made.content
    began = timezone.now() - timedelta(days=2)
    Holdout.objects.update(opened_at=began, seed="5eed")
    Rollout.objects.update(created_at=began + timedelta(hours=1))
    return agent, old, Holdout.objects.get(pk=row.pk)


def calls(firm, agent, old, row, *, fails, users=600):
    """Each user calls twice; ``fails`` says of a user in or out of the holdout how often."""
    edge = 10_000 * row.share_ratio
    insert(
        Invocation(
            id=id_at(at, RNG), client_id=firm.pk, agent_id=agent.pk, agent_slug=SLUG,
            version_id=old.pk,
            version_number=1, user_id=who, cost_usd="0.01", duration_seconds=1 + number % 7 / 10,
            state="failed" if number % 100 < fails[held] else "succeeded",
            started_at=at,
        )
        for number in range(users)
        for who in [UUID(int=(7 << 100) + number * 7919)]
        for held in [traffic.bucket_of(row.seed, str(who)) < edge]
        for turn in range(2)
        for at in [row.opened_at + timedelta(hours=2 + turn, seconds=number)]
    )  # fmt: skip


def test_the_readout_says_in_words_what_trying_did(api, firm, person):
    agent, old, row = held_out(api)
    calls(firm, agent, old, row, fails={True: 40, False: 10})
    path = f"holdouts/{row.pk}/analysis"
    found = api("get", path).json()
    assert found["reading"] == "better" and found["compared"] == [f"{SLUG} by user"]
    assert found["headline"].startswith("What was tried did good while it ran: success +")
    assert sum(found["units"].values()) == 600 and 140 < found["units"]["held_out"] < 220
    assert not found["sample_ratio"]["mismatch"]
    assert "production for those held out too" in found["notes"][0]

    browser = Browser()
    browser.force_login(person("reviewer"))
    page = "/dashboard/learning"
    Holdout.objects.update(analysis={}, analysed_at=None)
    assert "Read for the first time within the hour" in browser.get(page).content.decode()
    tasks.freshen()
    text = browser.get(page).content.decode()
    assert found["headline"] in text and "Everybody else" in text
    told = text[text.index("Everybody else</th>") :].partition("</tbody>")[0]
    assert "$0.01<" in told and " s<" in told and " to +" in told  # in units, with the interval
    # One that was closed is read once more, and then stands.
    assert api("post", f"holdouts/{row.pk}/close").status_code == 200
    for _ in range(2):
        tasks.freshen()
    kept = Holdout.objects.get()
    assert kept.analysed_at > kept.closed_at
    calls(firm, agent, old, row, fails={True: 0, False: 90}, users=50)
    tasks.freshen()
    assert Holdout.objects.get().analysed_at == kept.analysed_at


def test_without_a_difference_calls_or_comparisons_it_says_so(api, firm):
    agent, old, row = held_out(api)
    path = f"holdouts/{row.pk}/analysis"
    assert "Nobody who is held out has called" in api("get", path).json()["headline"]
    calls(firm, agent, old, row, fails={True: 20, False: 20})
    tasks.freshen()
    told = api("get", path).json()
    assert told["headline"].startswith("No difference to those held out is shown yet: success ")
    Rollout.objects.all().delete()
    tasks.freshen()
    assert "Nothing has been compared" in api("get", path).json()["headline"]


def test_figures_that_are_the_same_for_all_are_told_in_their_units(api, firm):
    agent, old, row = held_out(api)
    calls(firm, agent, old, row, fails={True: 0, False: 0})
    Invocation.objects.update(cost_usd="0.25")
    said = api("get", f"holdouts/{row.pk}/analysis").json()["headline"]
    assert "success 100 % in both, cost per call $0.25 in both" in said


def test_what_costs_more_is_told_though_all_calls_succeeded(api, firm):
    """It said that no difference was shown, and that success was unknown."""
    agent, old, row = held_out(api)
    calls(firm, agent, old, row, fails={True: 0, False: 0})
    for call in Invocation.objects.all():
        is_held = traffic.bucket_of(row.seed, str(call.user_id)) < 10_000 * row.share_ratio
        Invocation.objects.filter(pk=call.pk).update(
            cost_usd=(1 if is_held else 2) * (1 + call.started_at.second / 100)
        )
    said = api("get", f"holdouts/{row.pk}/analysis").json()["headline"]
    start = (
        "No difference in success is shown yet, but cost per call is worse: success 100 % in both"
    )
    assert said.startswith(start)


def test_a_comparison_that_begins_is_read_at_once_where_there_was_none(api, firm):
    """Whoever had looked before read for up to an hour that nothing was compared."""
    make_agent()
    path = api("post", "holdouts", {"share_ratio": 0.3}).json()["id"]
    told = api("get", f"holdouts/{path}/analysis").json()["headline"]
    assert told.startswith("Nothing has been compared since it was opened")
    assert api("post", "rollouts", {"agent": SLUG, "version": "2"}).status_code == 201
    assert api("get", f"holdouts/{path}/analysis").json()["compared"] == [f"{SLUG} by run"]


@pytest.mark.parametrize(("path", "body"), [("holdouts", {"share_ratio": 0.1}),
                                            ("layers", {"name": "prompts"}),
                                            ("rollouts/drills", {})])  # fmt: skip
def test_a_field_that_is_not_known_is_refused(api, path, body):
    """What is misspelt would silently count for nothing."""
    refused = api("post", path, {**body, "shrae": 1})
    assert (refused.status_code, refused.json()["field"]) == (422, "shrae")


def test_who_sees_a_few_clients_reads_no_holdout_of_all(api, firm, person):
    _, _, row = held_out(api)
    assert api("get", f"holdouts/{UUID(int=1)}/analysis").status_code == 404
    other = Client.objects.create(slug="acme", name="Acme")
    user = person("reviewer", other)
    _, key = callers.create_key(user=user, client=other, name="p", scopes=["learning:read"])
    browser = Browser(headers={"Authorization": f"Bearer {key}"})
    told = browser.get(f"/api/v1/holdouts/{row.pk}/analysis")
    assert told.status_code == 403 and "access to every client" in told.json()["detail"]


def test_only_calls_of_the_time_of_its_comparisons_count_and_named_units_do_not(api, firm):
    agent, old, row = held_out(api)
    calls(firm, agent, old, row, fails={True: 20, False: 20}, users=100)
    now = timezone.now()
    Rollout.objects.update(state="done", ended_at=row.opened_at + timedelta(hours=3))
    told = read(row, now)
    assert told["metrics"][0]["arms"][1]["n"] + told["metrics"][0]["arms"][0]["n"] == 100
    assert told["compared"] == [f"{SLUG} by user"]
    Rollout.objects.update(ended_at=row.opened_at + timedelta(hours=1, minutes=30))
    assert "Nobody" in read(row, now)["headline"]
    Rollout.objects.update(ended_at=None, state="running")
    Invocation.objects.filter(pk=Invocation.objects.first().pk).update(
        unit="customer-17", split_epoch=1, bucket=5
    )
    told = read(row, now)
    assert told["compared"] == [] and "name each user themselves" in told["notes"][0]
    Rollout.objects.update(agent_slug="gone-001")
    assert "the agent is gone" in read(row, now)["notes"][0]
