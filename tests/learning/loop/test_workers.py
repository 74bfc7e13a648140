"""What learning sends is known to a worker of the queue that it is sent to."""

from __future__ import annotations

from uuid import uuid4

import pytest
from celery import current_app

from agents import versions
from agents.versions import Content
from config.schedules import SCHEDULE
from learning.finetuning import asking
from tests.processes import known_tasks

LANES = {"high", "default", "low"}


@pytest.mark.django_db(transaction=True)
def test_what_people_ask_of_learning_is_sent_where_a_worker_knows_it(agent, api, monkeypatch):
    sent = {}
    monkeypatch.setattr(current_app, "send_task", lambda name, *_, queue, **__: sent.update(
        {name: queue}
    ))  # fmt: skip
    other, _ = versions.publish(agent=agent, content=Content(prompt="State it."))
    body = {"agent": agent.slug, "candidate": str(other.pk)}
    assert api("post", "/api/v1/replays", body).status_code == 202
    answer = api("post", f"/api/v1/agents/{agent.slug}/invocations",
                 {"inputs": agent.cases[0]["input"]}).json()  # fmt: skip
    api("post", "/api/v1/scores", {"subject_kind": "invocation", "subject_id": answer["id"],
                                   "name": "good", "value": 1, "source": "human"})  # fmt: skip
    judge = {"name": "good", "criterion": "It states every figure."}
    assert api("post", "/api/v1/judges", judge).status_code == 202
    asking.send(uuid4())
    assert set(sent) == {"learning.replay", "learning.ask_judge", "learning.fine_tune"}
    assert set(sent.values()) <= LANES and set(sent) - known_tasks("ratchet-io1") == set()


def test_what_beat_sends_to_learning_is_known_where_it_goes():
    sent = {str(one["task"]): one.get("options", {}).get("queue") for one in SCHEDULE.values()
            if str(one["task"]).startswith("learning.")}  # fmt: skip
    assert set(sent.values()) == {"control", "analysis", "low"}
    beside = {name for name, queue in sent.items() if queue == "low"}
    assert beside <= known_tasks("ratchet-io1")
    assert (
        set(sent) - beside - (known_tasks("ratchet-control") & known_tasks("ratchet-analysis"))
        == set()
    )
