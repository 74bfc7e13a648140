"""Calls outside of runs take part in a comparison by run: each is a run of its own, over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.test import Client as Browser

from agents import versions
from agents.domain import traffic
from agents.models import Agent, Conversation, Invocation
from config.access import callers
from learning import experiments
from learning.models import Experiment
from tests.agents.conftest import SLUG, ground, model, offline, publish

__all__ = ["ground", "model", "offline"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def running(api, ground, firm):
    """An experiment on an agent, by run."""
    publish(SLUG)
    agent = Agent.objects.get(slug=SLUG)
    content = versions.content_of(agent.labels.get(name="production").version)
    new, _ = versions.publish(agent=agent, content=replace(content, prompt=f"{content.prompt} Ok."))
    made = api("post", "experiments", {
        "agent": SLUG, "name": "direct", "unit": "run",
        "metrics": [{"key": "success", "role": "primary"}],
        "variants": [{"version": "production"}, {"version": str(new.number)}],
    })  # fmt: skip
    assert made.status_code == 201, made.content
    uid = made.json()["id"]
    assert api("post", f"experiments/{uid}/start", {}).status_code == 200
    return Experiment.objects.get(pk=uid)


def test_a_direct_call_is_a_unit_of_its_own(api, running):
    for number in range(12):
        told = api("post", f"agents/{SLUG}/invocations", {"inputs": {"n": number}})
        assert told.status_code == 200, told.content
    rows = list(Invocation.objects.all())
    assert all((row.unit, row.split_epoch) == (str(row.pk), 1) for row in rows)
    arms = {str(v.version_id): v.ranges for v in running.variants.all()}
    for row in rows:
        assert row.bucket == traffic.bucket_of(running.seed, row.unit)
        assert any(a <= row.bucket < b for a, b in arms[str(row.version_id)])
    assert len({row.version_id for row in rows}) == 2
    experiments.sweep()
    found = api("get", f"experiments/{running.pk}/analysis").json()
    assert sum(found["progress"]["units"].values()) == 12


def test_all_turns_of_a_chat_are_one_unit_and_meet_one_version(running, person, firm):
    _, key = callers.create_key(
        user=person("professional"), client=firm, name="chat", scopes=["agents:invoke"]
    )
    for text in ("Hello", "And now?", "Thank you"):
        body = {"model": f"agent:{SLUG}", "messages": [{"role": "user", "content": text}],
                "metadata": {"conversation": "one"}}  # fmt: skip
        told = Browser().post("/v1/chat/completions", json.dumps(body), headers={
            "Authorization": f"Bearer {key}"}, content_type="application/json")  # fmt: skip
        assert told.status_code == 200, told.content
    talk = Conversation.objects.get()
    assert set(Invocation.objects.values_list("unit", flat=True)) == {str(talk.pk)}
    assert Invocation.objects.values("version_id").distinct().count() == 1
