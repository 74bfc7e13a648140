"""What learning sends is known to a worker of the queue that it is sent to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings

from agents import versions
from agents.versions import Content
from config.schedules import SCHEDULE
from learning.finetuning import asking

LANES = {"high", "default", "low"}
LOOK = """
import json, django
django.setup()
from config.celery import app
app.loader.import_default_modules()
print(json.dumps(sorted(app.tasks)))
"""


@cache
def known(process):
    """Every task that a process of this name knows: one that starts takes seconds to tell."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOOK], check=True, capture_output=True, text=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "RATCHET_PROCESS": process, "CELERY_SKIP_CHECKS": "1",
             "DJANGO_SETTINGS_MODULE": "config.settings"},
    )  # fmt: skip
    return set(json.loads(told.stdout))


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
    assert set(sent.values()) <= LANES and set(sent) - known("ratchet-io1") == set()


def test_what_beat_sends_to_learning_is_known_where_it_goes():
    sent = {str(one["task"]): one.get("options", {}).get("queue") for one in SCHEDULE.values()
            if str(one["task"]).startswith("learning.")}  # fmt: skip
    assert set(sent.values()) == {"control", "analysis", "low"}
    beside = {name for name, queue in sent.items() if queue == "low"}
    assert beside <= known("ratchet-io1")
    assert set(sent) - beside - (known("ratchet-control") & known("ratchet-analysis")) == set()
