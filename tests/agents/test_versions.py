from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from agents import queries, resolving, versions
from agents.invoke import invoke
from agents.models import AgentVersion, Invocation, TrafficSplit
from config.errors import Conflict, InvalidInput, NotFound

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(agent):
    content = versions.content_of(agent.versions.get())
    return versions.publish(
        agent=agent,
        content=replace(content, prompt=content.prompt + "\nBe brief."),
        label="candidate",
    )[0]


def test_the_same_content_is_the_same_version(agent):
    content = versions.content_of(agent.versions.get())
    version, created = versions.publish(agent=agent, content=content)
    assert (version.number, created) == (1, False)


def test_a_version_can_not_be_changed_by_the_code_or_around_it(agent):
    version = agent.versions.get()
    with pytest.raises(Conflict):
        version.save()
    with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
        AgentVersion.objects.filter(pk=version.pk).update(prompt="other")


def test_a_diff_names_what_changed_and_nothing_else(agent, second):
    changed = versions.diff(agent.versions.get(number=1), second)
    assert set(changed) == {"prompt"}
    assert "+Be brief." in changed["prompt"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": "{{ unknown }}"}, "prompt"),
        ({"tools": ["no.such_tool"]}, "tools"),
        ({"model": {"tier": "huge"}}, "model.tier"),
        ({"model": {"tier": "light", "temperature": 9}}, "model.temperature"),
        ({"guardrails": {"pii": "maybe"}}, "guardrails.pii"),
        ({"examples": [{"input": "x"}]}, r"examples\[0\]"),
    ],
)
def test_content_that_could_not_answer_is_refused(agent, change, field):
    content = versions.content_of(agent.versions.get())
    with pytest.raises(InvalidInput, match=field):
        versions.publish(agent=agent, content=replace(content, **change))


def test_a_split_decides_by_unit_sticks_and_is_recorded(agent, second, call_of):
    split = versions.open_split(agent=agent, arms={str(second.pk): [[0, 5000]]}, unit="run")
    met = {}
    for _ in range(12):
        run = uuid4()
        chosen = {invoke(call_of(run_id=run)).version_id for _ in range(2)}
        assert len(chosen) == 1
        met[run] = chosen.pop()
        row = Invocation.objects.filter(run_id=run).first()
        assert (row.split_epoch, row.unit) == (split.epoch, str(run))
        expected = versions.preview(split, str(run)) or str(agent.versions.get(number=1).pk)
        assert str(met[run]) == expected
    assert len(set(met.values())) == 2


def test_closing_a_split_reaches_the_next_call(agent, second, call_of):
    versions.open_split(agent=agent, arms={str(second.pk): [[0, 10_000]]}, unit="client")
    assert invoke(call_of()).version_id == second.pk
    assert versions.close_split(agent=agent)
    assert invoke(call_of()).version_id != second.pk


def test_only_one_split_is_open_and_its_seed_goes_on(agent, second):
    first = versions.open_split(agent=agent, arms={str(second.pk): [[0, 500]]})
    wider = versions.open_split(agent=agent, arms={str(second.pk): [[0, 2500]]})
    assert (wider.epoch, wider.seed) == (first.epoch + 1, first.seed)
    assert TrafficSplit.objects.filter(agent=agent, closed_at=None).count() == 1
    with pytest.raises(IntegrityError, match="trafficsplit_one_open"), transaction.atomic():
        TrafficSplit.objects.create(agent=agent, epoch=99, seed="x", arms={})


def test_a_version_in_use_is_not_retired(agent, second):
    with pytest.raises(Conflict, match="labelled"):
        versions.retire(version=second)
    second.labels.all().delete()
    versions.open_split(agent=agent, arms={str(second.pk): [[0, 100]]})
    with pytest.raises(Conflict, match="split"):
        versions.retire(version=second)
    versions.close_split(agent=agent)
    versions.retire(version=second)
    with pytest.raises(InvalidInput, match="live versions"):
        versions.open_split(agent=agent, arms={str(second.pk): [[0, 100]]})
    with pytest.raises(Conflict, match="retired"):
        versions.move_label(
            agent=agent, name="production", version=AgentVersion.objects.get(pk=second.pk)
        )


def test_a_version_is_found_by_number_label_or_id(agent, second):
    for reference in ("2", "candidate", str(second.pk)):
        assert versions.version_of(agent, reference) == second
    with pytest.raises(NotFound):
        versions.version_of(agent, "nine")


def test_an_agents_lane_is_that_of_its_heaviest_tool(agent):
    assert queries.agent_lane(agent.slug) == "io"
    assert agent.slug in queries.known_agents()
    heavy = replace(versions.content_of(agent.versions.get()), tools=["ledger.benford"])
    from agents.tools import registry

    analysis = [tool.name for tool in registry.all_tools() if tool.lane == "analysis"]
    heavy = replace(heavy, tools=analysis[:1])
    versions.publish(agent=agent, content=heavy, label="production")
    queries._lanes.clear()
    assert queries.agent_lane(agent.slug) == "analysis"


def test_a_canary_is_one_per_version_and_can_not_be_guessed():
    assert resolving.canary_of(uuid4()) != resolving.canary_of(uuid4())
