"""What a run's tools may open: its own files, its family's, and what its starter may see."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client as Browser

from tests.agents.tools.ledger.planting import SAMPLE
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, start
from workflows import publishing
from workflows.models import Artifact, Run

pytestmark = pytest.mark.django_db(transaction=True)

LEDGER = "\n".join(SAMPLE.read_text("utf-8").splitlines()[:300])
HIDES = """
name: hides
access: {see: [partner]}
inputs: {type: object, properties: {ledger: {type: string, format: artifact}}}
steps:
  load: {tool: ledger.load, with: {ledger: "${ inputs.ledger }", year: 2012}}
outputs: {made: "${ steps.load.output.ledger }"}
"""
# The id comes as plain text: nothing says that it is a file.
PLAIN = """
name: plain
inputs: {type: object, properties: {text: {type: string}}}
steps:
  load: {tool: ledger.load, with: {ledger: "${ inputs.text }", year: 2012},
         retry: {max_attempts: 1}}
outputs: {made: "${ steps.load.output.ledger }"}
"""
LOADS = """
name: loads
inputs: {type: object, properties: {ledger: {type: string, format: artifact}}}
steps:
  load: {tool: ledger.load, with: {ledger: "${ inputs.ledger }", year: 2012},
         retry: {max_attempts: 1}}
outputs: {made: "${ steps.load.output.ledger }"}
"""


def upload(web: Browser, who: dict[str, str], text: str = LEDGER) -> str:
    file = SimpleUploadedFile("ledger.csv", text.encode())
    found: str = web.post("/api/v1/artifacts", {"file": file}, headers=who).json()["id"]
    return found


def ended(web: Browser, who: dict[str, str], broker: Broker, source: str, **more: Any) -> Any:
    run = start(web, who, source, **more)["id"]
    broker.drain()
    return get(web, f"runs/{run}", who).json()


def test_a_tool_opens_no_file_by_its_id_that_the_starter_may_not_see(
    web: Browser, key: Key, broker: Broker
) -> None:
    partner, manager = key("partner"), key("manager")
    given = upload(web, partner)
    hidden = ended(web, partner, broker, HIDES, inputs={"ledger": given})
    assert hidden["state"] == "succeeded", hidden
    files = (given, hidden["outputs"]["made"])
    for file in files:
        refused = ended(web, manager, broker, PLAIN, inputs={"text": file})
        assert (refused["state"], (refused["error"] or {}).get("code")) == ("failed", "not_found")
    for file in files:
        seen = ended(web, partner, broker, PLAIN, inputs={"text": file})
        assert seen["state"] == "succeeded", seen["error"]


def test_a_run_inside_is_given_no_file_that_its_parent_may_not_open(
    web: Browser, key: Key, broker: Broker
) -> None:
    """A file handed on as one is no way round: the parent had it as plain text."""
    partner, manager = key("partner"), key("manager")
    given = upload(web, partner)
    ended(web, partner, broker, HIDES, inputs={"ledger": given})
    publishing.publish(LOADS)
    around = (
        "name: around\ninputs: {type: object, properties: {text: {type: string}}}\n"
        'steps:\n  sub: {workflow: loads, with: {ledger: "${ inputs.text }"}}\n'
    )
    refused = ended(web, manager, broker, around, inputs={"text": given})
    assert (refused["state"], refused["error"]["code"]) == ("failed", "invalid_input")
    assert "artifact" in refused["error"]["message"]
    assert not Run.objects.filter(workflow_name="loads").exists()
    assert ended(web, partner, broker, around, inputs={"text": given})["state"] == "succeeded"


def test_runs_inside_around_and_forked_open_what_one_of_them_made(
    web: Browser, key: Key, broker: Broker
) -> None:
    """What a run inside made is opened around it and by its neighbour, though nobody gave it."""
    partner, colleague = key("partner"), key("partner")
    publishing.publish(LOADS)
    publishing.publish(PLAIN)
    source = (
        "name: family\naccess: {see: [partner]}\n"
        "inputs: {type: object, properties: {ledger: {type: string, format: artifact}}}\n"
        'steps:\n  one: {workflow: loads, with: {ledger: "${ inputs.ledger }"}}\n'
        "  mine: {needs: [one], tool: ledger.load,\n"
        '         with: {ledger: "${ steps.one.output.made }", year: 2012}}\n'
        '  two: {needs: [one], workflow: plain, with: {text: "${ steps.one.output.made }"}}\n'
    )
    run = ended(web, partner, broker, source, inputs={"ledger": upload(web, partner)})
    assert run["state"] == "succeeded", run["error"]
    fork = post(web, f"runs/{run['id']}/fork", {"from_step": "mine"}, colleague).json()["id"]
    broker.drain()
    assert get(web, f"runs/{fork}", colleague).json()["state"] == "succeeded"
    family = set(Run.objects.values_list("family_id", flat=True)) - {None}
    assert [str(one) for one in family] == [run["id"]]


def test_a_signal_that_looks_like_a_stored_output_opens_nothing(
    web: Browser, key: Key, broker: Broker
) -> None:
    partner, manager = key("partner"), key("manager")
    secret = upload(web, partner, '{"secret": 1}')
    ended(web, partner, broker, "name: hides\naccess: {see: [partner]}\ninputs: {type: object, "
          "properties: {f: {type: string, format: artifact}}}\nsteps:\n  a: {tool: core.echo}\n",
          inputs={"f": secret})  # fmt: skip
    source = (
        "name: asks\nsteps:\n  w: {wait: {signal: go}}\n"
        '  say: {needs: [w], tool: core.echo, with: {value: "${ steps.w.output }"}}\n'
        'outputs: {said: "${ steps.say.output.value }"}\n'
    )
    run = start(web, manager, source)["id"]
    payload = {"$artifact": secret, "size": 13}
    post(web, f"runs/{run}/signal", {"name": "go", "payload": payload}, manager)
    broker.drain()
    told = get(web, f"runs/{run}", manager).json()
    assert (told["state"], told["outputs"]) == ("succeeded", {"said": payload})
    assert Artifact.objects.filter(pk=secret).exists()
