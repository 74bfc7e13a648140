"""Large payloads where something else comes in between: limits, forks, erasure, a lost disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client as Browser

from config.access.models import User
from config.errors import Unavailable
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from tests.workflows.test_payloads import DOC, READS, ROW, TEXT, heaviest
from workflows import artifacts, contexts, publishing, sweeps
from workflows.models import Artifact, Run, StepRun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "artifacts"
    return tmp_path / "artifacts"


def test_a_concurrency_key_is_read_from_large_inputs(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    keyed = READS.replace(
        "steps:", 'concurrency: {max: 1, key: "${ inputs.doc.text.size() }"}\nsteps:'
    )
    ids = [start(web, who, keyed, inputs={"client": "Acme", "doc": DOC})["id"] for _ in range(2)]
    states = [get(web, f"runs/{one}", who).json()["state"] for one in ids]
    assert states == ["running", "waiting"]
    broker.drain()
    ended = [get(web, f"runs/{one}", who).json()["outputs"]["size"] for one in ids]
    assert ended == [len(TEXT)] * 2
    assert heaviest() == {}


def test_a_run_keeps_its_large_inputs_when_only_the_name_of_who_gave_them_goes(
    web: Browser, key: Key, broker: Broker
) -> None:
    ada, boss, other = key(username="ada"), key("partner"), key("manager")
    closed = READS.replace("name: reads", "name: closed\naccess: {see: [partner]}")
    for inputs in ({"client": "first", "doc": DOC}, {"client": "Acme", "doc": DOC}):
        run = start(web, ada if inputs["client"] == "Acme" else boss, closed, inputs=inputs)
    broker.drain()
    call_command("erase_subject", str(User.objects.get(username="ada").pk), "--keep-records")
    seen = get(web, f"runs/{run['id']}", boss).json()
    assert (seen["inputs"]["doc"], seen["outputs"]["size"]) == (DOC, len(TEXT))
    fork = post(web, f"runs/{run['id']}/fork", {"from_step": "size"}, boss)
    assert fork.status_code == 201, fork.content[:300]
    for file in Artifact.objects.all():
        problem(get(web, f"artifacts/{file.pk}", other), 404, "not_found")


FANNED = """
name: fanned
inputs: {type: object, properties: {docs: {type: array}}}
steps:
  each: {for_each: "${ inputs.docs }", tool: core.echo, with: {value: "${ item }"}}
  after: {needs: [each], tool: core.echo,
          with: {value: "${ steps.each.output.map(one, size(one.value.text)) }"}}
outputs: {sizes: "${ steps.after.output.value }"}
"""


def test_a_fork_behind_a_fan_out_reads_its_large_outputs(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, FANNED, inputs={"docs": [DOC, {"text": "a"}]})
    broker.drain()
    fork = post(web, f"runs/{run['id']}/fork", {"from_step": "after"}, who).json()
    broker.drain()
    seen = get(web, f"runs/{fork['id']}", who).json()
    assert (seen["state"], seen["outputs"]) == ("succeeded", {"sizes": [len(TEXT), 1]}), seen[
        "error"
    ]


def test_what_a_tool_says_deep_in_a_list_is_no_reference(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    start(web, who, READS, inputs={"client": "Acme", "doc": DOC})
    forged = [[{"$artifact": str(Artifact.objects.get().pk), "size": 1}]]
    said = FANNED.replace("steps.each.output.map(one, size(one.value.text))", "steps.each.output")
    run = start(web, who, said, inputs={"docs": [forged]})
    broker.drain()
    seen = get(web, f"runs/{run['id']}", who).json()
    assert seen["outputs"] == {"sizes": [{"value": forged}]}, seen["error"]


def test_long_names_lie_in_a_file_with_their_values(web: Browser, key: Key) -> None:
    who = key()
    inputs = {"x" * (ROW + 1): 1, "\N{PILE OF POO}" * 20_000: "2"}
    run = start(web, who, inputs=inputs)
    assert heaviest() == {}
    assert get(web, f"runs/{run['id']}", who).json()["inputs"] == inputs


AROUND = """
name: around
inputs: {type: object, properties: {doc: {type: object}}}
steps:
  inside: {workflow: inside, with: {doc: "${ inputs.doc }"}}
outputs: {text: "${ steps.inside.output.text }"}
"""
INSIDE = """
name: inside
inputs: {type: object, properties: {doc: {type: object}}}
steps:
  one: {wait: {signal: go}}
outputs: {text: "${ inputs.doc.text }"}
"""


def test_a_run_whose_files_are_lost_is_still_told(
    web: Browser, key: Key, broker: Broker, folder: Path
) -> None:
    who = key()
    publishing.publish(INSIDE)
    run = start(web, who, AROUND, inputs={"doc": DOC})
    broker.drain()
    for file in folder.rglob("*.bin"):
        file.unlink()
    seen = get(web, f"runs/{run['id']}", who)
    assert (seen.status_code, seen.json()["inputs"]) == (200, None)


READS_NOTHING = """
name: reads_nothing
inputs: {type: object, properties: {doc: {type: object}}}
steps:
  book:
    tool: core.echo
    with: {value: "room 4"}
    compensate: {tool: core.echo, with: {value: "free ${ output.value }"}}
  go: {needs: [book], wait: {signal: go}}
  plain: {needs: [go], tool: core.echo, with: {value: "after ${ steps.book.output.value }"}}
  reads: {needs: [plain], tool: core.echo, with: {value: "${ inputs.doc.text }"}}
"""


def test_only_what_reads_a_lost_input_fails_and_the_rest_is_done_and_undone(
    web: Browser, key: Key, broker: Broker, folder: Path
) -> None:
    who = key()
    run = start(web, who, READS_NOTHING, inputs={"doc": DOC})
    broker.drain()
    for file in folder.rglob("*.bin"):
        file.unlink()
    contexts._whole.clear()  # a worker that has not read them
    post(web, f"runs/{run['id']}/signal", {"name": "go"}, who)
    broker.drain()
    seen = get(web, f"runs/{run['id']}", who).json()
    done = {step["key"]: (step["state"], step["output"]) for step in seen["steps"]}
    assert done["plain"] == ("succeeded", {"value": "after room 4"})
    assert (done["reads"][0], seen["error"]["step"]) == ("failed", "reads")
    assert done["book.compensate"] == ("succeeded", {"value": "free room 4"})


@pytest.mark.parametrize("body", [[1], "x", 5])
def test_a_body_that_is_no_object_is_refused(web: Browser, key: Key, body: Any) -> None:
    who = key()
    run = start(web, who, INSIDE, inputs={})
    answer = web.post(
        f"/api/v1/runs/{run['id']}/pause", json.dumps(body), "application/json", headers=who
    )
    problem(answer, 422, "invalid_input")


def test_a_run_ends_once_its_storage_is_back_and_does_nothing_twice(
    web: Browser, key: Key, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = key()
    opened = artifacts._open

    def away(file: Artifact) -> bytes:
        if file.name.startswith("copy.output"):
            raise Unavailable("artifact storage", "it cannot be read")
        return opened(file)

    monkeypatch.setattr(artifacts, "_open", away)
    run = start(web, who, READS, inputs={"client": "Acme", "doc": DOC})
    broker.drain()
    assert Run.objects.get().state == "running"
    assert set(StepRun.objects.exclude(kind="end").values_list("state", "attempt")) == {
        ("succeeded", 1)
    }
    monkeypatch.setattr(artifacts, "_open", opened)
    StepRun.objects.filter(kind="end").update(wake_at=Now())
    sweeps.sweep()
    broker.drain()
    seen = get(web, f"runs/{run['id']}", who).json()
    assert (seen["state"], seen["outputs"]["text"]) == ("succeeded", TEXT)
