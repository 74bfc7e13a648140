"""The lists of all experiments and all rollouts: what came of each, by pages, at a fixed price."""

from __future__ import annotations

import csv
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from config.access.models import Client, Membership, User
from learning import comparison_pages, experiments, improvements, rollouts
from learning.models import Experiment, Rollout
from monitoring import lists
from tests.learning.ground import SLUG, make_agent
from tests.statements import counted

pytestmark = pytest.mark.django_db
START = timezone.now() - timedelta(days=6)


@pytest.fixture
def site(person):
    browser = Browser()
    browser.force_login(person("reviewer"))
    return browser


def text_of(site, address):
    answer = site.get(address)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def an_experiment(firm, name="Shorter prompt", slug=SLUG, **changes):
    """One that was concluded after five days, of which it rested one."""
    given = {
        "agent_slug": slug, "state": "concluded", "state_by": "system:learning",
        "verdict": "ship", "headline": "Ship candidate: success +4 % on the control (1 to 7).",
        "started_at": START, "ended_at": START + timedelta(days=5), "paused_seconds": 86_400,
        "analysis": {"progress": {"units": {"control": 1200, "candidate": 1190}},
                     "path": ["long"] * 100}, **changes,
    }  # fmt: skip
    return Experiment.objects.create(client_id=firm.pk, name=name, seed=name, **given)


def a_draft(firm, name="Not begun"):
    return an_experiment(firm, name, state="draft", state_by="", verdict="", headline="",
                         started_at=None, ended_at=None, paused_seconds=0, analysis={})  # fmt: skip


def a_rollout(firm, old, new, slug=SLUG, **changes):
    given = {
        "agent_slug": slug, "from_version_id": old, "to_version_id": new, "seed": "s",
        "stages": [{"share": 0.1}, {"share": 1}], "stage": 1, "state": "rolled_back",
        "state_by": "ada", "state_reason": "partners complain", "ended_at": timezone.now(),
        "analysis": {"progress": {"units": {"control": 40, "treatment": 41}}}, **changes,
    }  # fmt: skip
    return Rollout.objects.create(client_id=firm.pk, **given)


def test_an_empty_list_says_what_would_be_here_and_where_to_begin(site):
    assert "will be a row here" in text_of(site, "/dashboard/experiments")
    assert "will be a row here" in text_of(site, "/dashboard/rollouts")
    text = text_of(site, "/dashboard/experiments?state=stopped")
    assert "No experiment matches these filters" in text and "will be a row here" not in text
    learning = text_of(site, "/dashboard/learning")
    assert 'href="/dashboard/experiments"' in learning and 'href="/dashboard/rollouts"' in learning


def test_an_experiment_says_what_came_of_it_and_leads_on(firm, site):
    _, _, new = make_agent()
    change, _ = improvements.propose(
        client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Say less", proposal={"a": 1},
        evidence={}, impact=8, confidence=0.5, candidate_version_id=new.pk,
    )  # fmt: skip
    row = an_experiment(firm, improvement=change)
    a_draft(firm)
    text = text_of(site, "/dashboard/experiments")
    assert "2 experiments; none of them under way." in text
    assert text.index("Not begun") < text.index("Shorter prompt"), "the newest first"
    cells = text[text.index(f'href="/dashboard/experiments/{row.pk}"') :]
    for said in ("Say less", f'href="/dashboard/agents/{SLUG}"', "Ship candidate: success +4 %",
                 "4 d", "2,390", "control 1200", "system:learning", "Concluded"):  # fmt: skip
        assert said in cells, said
    assert "Not started yet" in text


def test_what_held_only_while_it_was_open_is_not_said_of_one_that_ended(firm, site):
    an_experiment(
        firm, verdict="inconclusive", headline="An incident lasts. No difference was shown.",
        analysis={"frozen": "An incident lasts. ", "progress": {"units": {}}},
    )  # fmt: skip
    text = text_of(site, "/dashboard/experiments")
    assert ">No difference was shown.<" in text and "An incident lasts" not in text


def test_a_rollout_says_what_came_of_it_and_leads_on(firm, site):
    _, old, new = make_agent()
    tried = an_experiment(firm)
    row = a_rollout(firm, old.pk, new.pk, experiment=tried)
    text = text_of(site, "/dashboard/rollouts")
    assert "1 rollout; none of them under way." in text
    cells = text[text.index(f'href="/dashboard/rollouts/{row.pk}"') :]
    for said in ("Gradual v1 → v2", f'href="/dashboard/experiments/{tried.pk}"', "2 of 2", "ada",
                 f'href="/dashboard/agents/{SLUG}"', "Partners complain", ">81<"):  # fmt: skip
        assert said in cells, said


def test_lists_are_narrowed_by_the_address(firm, site):
    _, old, new = make_agent()
    an_experiment(firm, "Shipped")
    an_experiment(firm, "Worse", verdict="rollback")
    an_experiment(firm, "Elsewhere", slug="aud-fraud-009")
    an_experiment(firm, "Still on", state="running", ended_at=None)
    a_draft(firm)

    def named(query):
        found = re.findall(r'class="main-link" href="/dashboard/experiments/[^"]+">([^<]+)',
                           text_of(site, f"/dashboard/experiments?{query}"))  # fmt: skip
        return found

    assert named("state=open") == ["Still on"]
    assert named("state=draft") == ["Not begun"]
    assert named("state=concluded&verdict=rollback") == ["Worse"]
    assert named("agent=aud-fraud-009") == ["Elsewhere"]
    assert len(named(f"client={firm.pk}")) == 5
    a_rollout(firm, old.pk, new.pk)
    assert "1 rollout;" in text_of(site, f"/dashboard/rollouts?agent={SLUG}&state=rolled_back")
    assert "No rollout matches" in text_of(site, "/dashboard/rollouts?state=open")
    for wrong in ("experiments?state=gone", "experiments?verdict=great", "experiments?client=x",
                  "rollouts?state=draft", "rollouts?before=x"):  # fmt: skip
        assert site.get(f"/dashboard/{wrong}").status_code == 422, wrong


def test_the_single_pages_lead_back_to_their_list(firm, engineer, site):
    _, old, new = make_agent()
    row = experiments.create(
        caller=engineer, agent_slug=SLUG, name="Shorter prompt",
        variants=[{"key": "control", "version": str(old.pk), "is_control": True},
                  {"key": "candidate", "version": str(new.pk)}],
    )  # fmt: skip
    text = text_of(site, f"/dashboard/experiments/{row.pk}")
    assert '<a href="/dashboard/experiments">Experiments</a>' in text
    begun = rollouts.begin(
        client_id=firm.pk, agent_slug=SLUG, to_version=str(new.pk), by=engineer.name
    )
    text = text_of(site, f"/dashboard/rollouts/{begun.pk}")
    assert '<a href="/dashboard/rollouts">Rollouts</a>' in text


@pytest.mark.parametrize("kind", ["experiments", "rollouts"])
def test_a_page_leads_to_the_next_and_no_row_comes_twice(firm, site, monkeypatch, kind):
    _, old, new = make_agent()
    monkeypatch.setattr(lists, "SHOWN", 3)
    for number in range(7):
        if kind == "experiments":
            an_experiment(firm, f"No {number}")
        else:
            a_rollout(firm, old.pk, new.pk)
    seen, address = (
        [],
        f"/dashboard/{kind}?state={'concluded' if kind[0] == 'e' else 'rolled_back'}",
    )
    for shown in (3, 3, 1):
        text = text_of(site, address)
        found = re.findall(rf'class="main-link" href="/dashboard/{kind}/([^"]+)"', text)
        assert len(found) == shown
        seen += found
        older = re.search(r'class="button" href="(\?[^"]+)">Older', text)
        address = f"/dashboard/{kind}{older[1].replace('&amp;', '&')}" if older else ""
    assert not address and len(set(seen)) == 7 and seen == sorted(seen, reverse=True)
    answer = b"".join(site.get(f"/dashboard/{kind}.csv").streaming_content).decode()
    told = list(csv.DictReader(answer.splitlines()))
    assert [one["id"] for one in told] == seen
    assert told[0]["units"] == ("2390" if kind == "experiments" else "81")


def test_who_sees_one_client_sees_no_comparison_of_others(firm, site):
    other = Client.objects.create(slug="other", name="Other")
    _, old, new = make_agent()
    an_experiment(firm)
    a_rollout(firm, old.pk, new.pk)
    an_experiment(other, "Theirs")
    guest = User.objects.create_user("guest", password="x")
    Membership.objects.create(user=guest, client=other, role="reviewer")
    browser = Browser()
    browser.force_login(guest)
    text = text_of(browser, "/dashboard/experiments")
    assert "Theirs" in text and "Shorter prompt" not in text
    assert "will be a row here" in text_of(browser, "/dashboard/rollouts")
    assert "Theirs" in text_of(site, "/dashboard/experiments")


@pytest.mark.parametrize("kind", ["experiments", "rollouts"])
def test_a_longer_list_asks_no_more_of_the_database(firm, site, kind):
    _, old, new = make_agent()
    asked = []
    for _ in range(3):
        for number in range(8):
            change, _ = improvements.propose(
                client_id=firm.pk, agent_slug=SLUG, kind="prompt", title="Say less",
                proposal={"a": len(asked) * 8 + number}, evidence={}, impact=8, confidence=0.5,
                candidate_version_id=new.pk,
            )  # fmt: skip
            tried = an_experiment(firm, improvement=change)
            a_rollout(firm, old.pk, new.pk, experiment=tried, improvement=change)
        text_of(site, f"/dashboard/{kind}")  # warms what a process keeps
        with counted() as told:
            text_of(site, f"/dashboard/{kind}")
        asked.append(len(told))
        assert not any("analysis," in one.partition(" FROM ")[0] for one in told)
    assert len(set(asked)) == 1, asked
    assert asked[0] <= 20


MIDDLE = "80000000-0000-7000-8000-000000000000"
QUERIES = {
    "experiments": ["", "state=concluded", "verdict=review", f"agent={SLUG}", "client={}",
                    "state=concluded&verdict=review", f"before={MIDDLE}"],
    "rollouts": ["", "state=rolled_back", f"agent={SLUG}", "client={}", f"before={MIDDLE}"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "query"), [(kind, one) for kind, many in QUERIES.items() for one in many]
)
def test_a_page_reads_no_more_rows_than_it_shows_by_an_index(firm, rf, engineer, kind, query):
    table = f"learning_{kind[:-1]}"
    common = f"'tax-other-' || n % 40, '', '', 's', 'run', '{firm.pk}', '[]', '{{}}', now()"
    with connection.cursor() as cursor:
        if kind == "experiments":
            cursor.execute(
                "INSERT INTO learning_experiment (id, agent_slug, workflow_name, hypothesis, seed,"
                " unit, client_id, metrics, test, created_at, name, state, verdict, coverage_ratio,"
                " gates, is_aa, plan, maturity_hours, autoconclude, batch_hours, batches,"
                " rollout_plan, state_by, state_reason, headline, analysis, created_by, started_at)"
                f" SELECT gen_random_uuid(), {common}, 'x', 'stopped',"
                " 'inconclusive', 1, '[]', false, '{}', 0, false, 24, '[]', '{}', '', '', '', '{}',"
                " '', now() FROM generate_series(1, 4000) n"
            )  # fmt: skip
        else:
            cursor.execute(
                "INSERT INTO learning_rollout (id, agent_slug, headline, verdict, seed, unit,"
                " client_id, metrics, test, created_at, from_version_id, to_version_id, strategy,"
                " stages, stage, state, state_by, state_reason, analysis, stage_started_at,"
                " is_drill, postcheck, created_by, ended_at)"
                f" SELECT gen_random_uuid(), {common}, gen_random_uuid(), gen_random_uuid(),"
                " 'gradual', '[{}]', 0, 'done', '', '', '{}', now(), false, '{}', '', now()"
                " FROM generate_series(1, 4000) n"
            )  # fmt: skip
        cursor.execute(f"ANALYZE {table}")
    request = rf.get(f"/dashboard/{kind}?{query.format(firm.pk)}")
    names = comparison_pages.NAMES if kind == "experiments" else comparison_pages.OF_ROLLOUTS
    model = Experiment if kind == "experiments" else Rollout
    rows = comparison_pages._chosen(
        request, engineer, model, names, request.GET.get("before", "")
    )[:51]  # fmt: skip
    plan = rows.explain()
    assert "Index Scan" in plan and "Seq Scan" not in plan and "Sort" not in plan, plan
