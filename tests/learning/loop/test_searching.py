"""The weekly cycle proposes by rules, by a search over prompts, and by how conversations went."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from agents.models import AgentVersion, Conversation
from learning import cycles, searching
from learning.domain import reflection
from learning.models import Cycle, Improvement, Study
from tests.learning.loop.conftest import days_ago, id_at

# Questions are asked on threads, which see only what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def weekly():
    return Cycle.objects.create(cadence="weekly", tick=date(2026, 11, 20))


def done(cycle, agent):
    assert cycles.do_step(cycle.pk, "patterns") or True
    assert cycles.do_step(cycle.pk, f"agent:{agent.slug}")
    step = cycle.steps.get(name=f"agent:{agent.slug}")
    assert step.error is None, step.error
    return step.result


def failures(call, agent):
    for n in range(9):
        call(agent, days_ago(1 + n / 10), state="failed", error_code="bad_answer",
             error={"code": "bad_answer", "message": f"no JSON at place {n}"})  # fmt: skip


def test_an_agent_that_failures_name_gets_a_rewritten_prompt_that_was_measured(
    agent, call, model, weekly
):
    learnt = {"when": {"prompt_contains": reflection.HEADING}, "accuracy_ratio": 1.0}
    model.behave({"accuracy_ratio": 0.0, "rules": [learnt]})
    failures(call, agent)
    found = done(weekly, agent)
    (made,) = [one for one in found["search"]["improvements"] if one.get("is_new")]
    row = Improvement.objects.get(pk=made["improvement"])
    assert row.proposed_by == "cycle weekly 2026-11-20" and row.state == "proposed"
    assert row.evidence["held_out"]["score_difference"] > 0.5
    assert reflection.HEADING in AgentVersion.objects.get(pk=row.candidate_version_id).prompt
    study = Study.objects.get()
    assert 0 < study.cost_usd <= searching.CAP_USD == Decimal("0.5")
    assert found["new"] >= 2  # the rule's and the search's


def test_a_cycle_searches_for_three_agents_at_most_and_not_where_nothing_is_wrong(
    agent, call, firm, weekly
):
    assert "search" not in done(weekly, agent)
    later = Cycle.objects.create(cadence="weekly", tick=date(2026, 11, 21))
    failures(call, agent)
    for _ in range(searching.MOST_SEARCHES):
        Study.objects.create(client_id=firm.pk, agent_slug="other", version_id=firm.pk, goals=[],
                             cap_usd=1, asked_by=f"cycle {later}")  # fmt: skip
    found = done(later, agent)
    assert found["new"] == 1 and "search" not in found


def test_conversations_that_end_badly_get_a_candidate_that_leads_them_otherwise(
    agent, firm, weekly
):
    for n in range(8):
        Conversation.objects.create(
            id=id_at(days_ago(2 + n / 10)), client_id=firm.pk, agent_id=agent.pk,
            agent_slug=agent.slug, quality_ratio=0.3 if n < 6 else 0.9, intent="vat",
        )  # fmt: skip
    assert done(weekly, agent)["new"] == 1
    row = Improvement.objects.get()
    assert (row.kind, row.evidence["went_poorly"]) == ("flow", 6)
    assert row.evidence["intents"] == {"vat": 6}
    assert (
        "never for what was said before"
        in AgentVersion.objects.get(pk=row.candidate_version_id).prompt
    )
