"""A storm of hostile clients over a real web process and real workers: what is left adds up."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test import Client as Browser

from config.access.models import Client, User
from monitoring import rollups
from tests.agents.web import serve_web
from tests.chaos.conftest import Carrier
from tests.chaos.sizes import scaled
from tests.chaos.storm import WORKFLOWS, Storm, rage, spy
from tests.workflows import effects
from tests.workflows.conftest import Key
from tests.workflows.workers import sweeping, worker
from workflows import publishing
from workflows.models import Approval, Run, RunEvent, StepRun

pytestmark = [
    pytest.mark.chaos, pytest.mark.slow, pytest.mark.worker,
    pytest.mark.django_db(transaction=True),
]  # fmt: skip

STORM_SECONDS = scaled(60, least=10)
CALM_SECONDS = 240
LIMIT = 2  # of storm_limit
DONE = ["succeeded", "failed", "cancelled", "skipped", "unreachable"]


@pytest.fixture
def people(firm: Client, key: Key) -> dict[str, dict[str, str]]:
    """Headers of who meddles (manager, partner) and who spies (outsider, stranger)."""
    elsewhere = Client.objects.create(slug="elsewhere", name="Elsewhere")
    found = {
        "manager": key("manager"), "partner": key("partner"),
        "outsider": key("manager", username="outsider"),
        "stranger": key("manager", client=elsewhere, username="stranger"),
    }  # fmt: skip
    for name in ("outsider", "stranger"):
        browser = Browser()
        browser.force_login(User.objects.get(username=name))
        found[f"{name} signed in"] = {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}
    return found


def harass(
    stack: ExitStack, carrier: Carrier, workers: list[Any], folder: Path, over: threading.Event
) -> list[int]:
    """Kill a worker now and then and start another; how many runs held a place of the limit."""
    held, until = [0], time.monotonic() + STORM_SECONDS / 3
    busy = Run.objects.filter(workflow_name="storm_limit", ended_at=None).exclude(state="waiting")
    while not over.wait(0.2):
        held.append(busy.count())
        if time.monotonic() > until:
            place = random.randrange(len(workers))
            workers[place].kill()
            made = worker(carrier.environment, folder, name=f"w{time.monotonic_ns()}", ready=False)
            workers[place] = stack.enter_context(made)
            until += STORM_SECONDS / 3
    connection.close()
    return held


def calm(storm: Storm) -> None:
    """Let everything that is open come to its end, as well-meaning people would."""
    until = time.monotonic() + CALM_SECONDS
    with httpx.Client(timeout=120.0) as http:
        while time.monotonic() < until:
            left = Run.objects.filter(ended_at=None).values_list("pk", "state", "workflow_name")
            if not left:
                return
            for run, state, workflow in left:
                if state == "paused":
                    storm.ask(http, "partner", "POST", f"runs/{run}/resume", {})
                if workflow in ("storm_wait", "storm_loop"):
                    storm.ask(http, "partner", "POST", f"runs/{run}/signal", {"name": "go"})
            for row in StepRun.objects.filter(state="dead").values_list("pk", flat=True):
                storm.ask(http, "partner", "POST", f"dead-letters/{row}/requeue", {})
            rows = storm.ask(http, "partner", "GET", "approvals?page_size=100").json()["results"]
            for row in rows:
                for who in ("manager", "partner"):
                    storm.ask(http, who, "POST", f"approvals/{row['id']}",
                              {"decision": "approve"})  # fmt: skip
            time.sleep(1)


def test_what_a_storm_of_hostile_clients_leaves_behind_adds_up(
    carrier: Carrier, people: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    for name, (source, _) in WORKFLOWS.items():
        publishing.publish(f"name: {name}\n{source}")
    seed, ledger, over = random.randrange(10**6), tmp_path / "ledger", threading.Event()
    print(f"\nseed {seed}")
    with ExitStack() as stack:
        url = stack.enter_context(serve_web(carrier.environment, "tests.chaos.asgi:application"))
        storm = Storm(f"{url}/api/v1", str(ledger), people)
        workers = [
            stack.enter_context(worker(carrier.environment, tmp_path, name=f"w{n}"))
            for n in range(2)
        ]
        stack.enter_context(sweeping(copies=2))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        harassed = pool.submit(harass, stack, carrier, workers, tmp_path, over)
        rage(storm, STORM_SECONDS, seed)
        over.set()
        held = harassed.result()
        calm(storm)
        rollups.roll_up()
        rng = random.Random(seed)
        with httpx.Client(timeout=120.0) as http:
            for who in 30 * ["outsider", "stranger"]:
                spy(storm, rng, http, who)
            shown = {run: storm.ask(http, "partner", "GET", f"runs/{run}").json()["state"]
                     for run in storm.runs}  # fmt: skip
    print(dict(storm.answers), Counter(Run.objects.values_list("workflow_name", "state")))
    assert storm.faults == []
    assert max(held) <= LIMIT
    runs_add_up(storm, shown)
    steps_add_up()
    effects_add_up(ledger)


def runs_add_up(storm: Storm, shown: dict[str, str]) -> None:
    """Each run that somebody was told of is there, has ended, and says so everywhere."""
    assert len(storm.sealed) > 0
    outer = Run.objects.filter(parent_step_id=None)
    assert {str(pk) for pk in outer.values_list("pk", flat=True)} == set(storm.runs)
    left = Run.objects.filter(ended_at=None)
    assert list(left.values_list("pk", "state", "workflow_name")) == []
    assert shown == {str(pk): state for pk, state in outer.values_list("pk", "state")}
    for run in Run.objects.all():
        last = RunEvent.objects.filter(run_id=run.pk, name__in=[f"run.{s}" for s in DONE[:3]])
        assert last.latest("id").name == f"run.{run.state}"
    waiting = Approval.objects.filter(state="waiting")
    assert list(waiting.values_list("run_id", "step_id")) == []


def steps_add_up() -> None:
    """No step of an ended run is open, and none that succeeded lacks its event."""
    open_rows = StepRun.objects.exclude(state__in=DONE).exclude(kind__in=["end", "chunk"])
    told = open_rows.values_list("run__workflow_name", "run__state", "key", "item", "state", "run")
    assert list(told) == []
    succeeded = RunEvent.objects.filter(name="step.succeeded").values_list("step_id", flat=True)
    silent = StepRun.objects.filter(state="succeeded", kind__in=["tool", "compensate"])
    silent = silent.exclude(pk__in=list(succeeded)).filter(run__forked_from_id=None)
    assert list(silent.values_list("run__workflow_name", "key", "item", "run")) == []


def effects_add_up(ledger: Path) -> None:
    """What a step says it did is there under its own id, and nothing under an unknown one."""
    there = set(effects.calls(ledger))
    # A retry makes rows anew, also of what was compensated; the history keeps the ids of all.
    tried = RunEvent.objects.exclude(step_id=None).values_list("step_id", flat=True)
    known = {str(pk) for pk in (*tried, *StepRun.objects.values_list("pk", flat=True))}
    assert there <= known, "an effect under an id that no step has"
    acting = {(name, key) for name, (source, _) in WORKFLOWS.items()
              for key in keys_that_act(source)}  # fmt: skip
    workflow_of = dict(Run.objects.values_list("pk", "workflow_name"))
    fans = set(StepRun.objects.filter(item__gte=0).values_list("run_id", "key"))
    # Of items that were undone, a retry leaves their events alone.
    fans |= set(RunEvent.objects.filter(item__gte=0).values_list("run_id", "key"))
    said = RunEvent.objects.filter(name="step.succeeded")
    done = {
        str(step)
        for run, step, key, item in said.values_list("run_id", "step_id", "key", "item")
        if (workflow_of[run], key) in acting and (item >= 0 or (run, key) not in fans)
    }
    assert done <= there, "a step that says it is done and did nothing"


def keys_that_act(source: str) -> list[str]:
    """Steps of a definition that leave a line in the ledger, and their compensations."""
    found = []
    for line in source.splitlines():
        key, _, rest = line.strip().partition(":")
        if line.startswith("  ") and "drill." in rest.partition("compensate")[0]:
            found.append(key)
        if "drill." in rest.partition("compensate")[2]:
            found.append(f"{key}.compensate")
    return found
