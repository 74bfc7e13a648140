"""Megabytes given to a run, said to it or made by it lie in files, and their rows stay small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser

from config.access.models import User
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post, problem, start
from workflows import publishing
from workflows.models import Artifact, Run, Signal

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "A ledger of many lines. " * 131_072  # 3 MiB
DOC = {"text": TEXT}
ROW = 80_000  # the largest row, in bytes: what is kept in it is at most 64 KiB of text
TABLES = ("run", "steprun", "signal", "approval", "runevent")

READS = """
name: reads
inputs: {type: object, required: [doc], properties: {client: {type: string}, doc: {type: object},
         lines: {type: array, items: {type: string}}}}
steps:
  size: {tool: core.echo, with: {value: {size: "${ size(inputs.doc.text) }",
                                  who: "${ inputs.client }"}}}
  copy: {needs: [size], tool: core.echo, with: {value: "${ inputs.doc.text }"}}
outputs: {size: "${ steps.size.output.value.size }", who: "${ steps.size.output.value.who }",
          text: "${ steps.copy.output.value }"}
"""
AROUND = """
name: around
inputs: {type: object, properties: {doc: {type: object}}}
steps:
  inside: {workflow: reads, with: {client: Acme, doc: "${ inputs.doc }"}}
outputs: {size: "${ steps.inside.output.size }", text: "${ steps.inside.output.text }"}
"""
ASKS = """
name: asks
access: {start: [partner]}
inputs: {type: object, properties: {doc: {type: object}}}
steps:
  made: {tool: core.echo, with: {value: "${ inputs.doc.text }"}}
  heard: {needs: [made], wait: {signal: filed}}
  look: {needs: [heard, made], approval: {role: manager, levels: 2, roles: [manager, manager],
         form: {type: object, properties: {note: {type: string}}}}}
outputs: {heard: "${ size(steps.heard.output.text) }",
          note: "${ size(steps.look.output.form.note) }"}
"""


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "artifacts"


def heaviest() -> dict[str, int]:
    """The bytes of the heaviest row of each table, before it is compressed."""
    with connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"SELECT coalesce(max(length(t::text)), 0) FROM workflows_{table} t")
            found[table] = cursor.fetchone()[0]
    return {table: size for table, size in found.items() if size > ROW}


def page_of(username: str, path: str) -> str:
    browser = Browser()
    browser.force_login(User.objects.get(username=username))
    return browser.get(f"/dashboard/{path}").content.decode()


def test_large_inputs_and_outputs_lie_in_files_and_are_read_whole(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    run = start(web, who, READS, inputs={"client": "Acme", "doc": DOC, "lines": ["a" * 9] * 8_000})
    assert run["inputs"]["doc"] == DOC
    broker.drain()
    assert heaviest() == {}
    seen = get(web, f"runs/{run['id']}", who).json()
    assert (seen["state"], seen["inputs"]["doc"]) == ("succeeded", DOC), seen["error"]
    assert seen["inputs"]["lines"] == ["a" * 9] * 8_000
    assert seen["outputs"] == {"size": len(TEXT), "who": "Acme", "text": TEXT}
    # What tells runs apart in lists stays in the row.
    assert Run.objects.get().inputs["client"] == "Acme"


def test_many_small_inputs_are_one_file(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    many = {f"key_{n}": "v" * 20 for n in range(20_000)}
    run = start(web, who, inputs=many)
    broker.drain()
    assert heaviest() == {}
    assert Artifact.objects.count() == 1
    assert get(web, f"runs/{run['id']}", who).json()["inputs"] == many


def test_a_fork_and_a_retry_read_large_inputs(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    run = start(web, who, READS, inputs={"client": "Acme", "doc": DOC})
    broker.drain()
    other = {"doc": {"text": TEXT + "!"}}
    for given, size in ((None, len(TEXT)), (other, len(TEXT) + 1)):
        body = {"from_step": "size", **({"inputs": given} if given else {})}
        fork = post(web, f"runs/{run['id']}/fork", body, who)
        broker.drain()
        assert heaviest() == {}
        seen = get(web, f"runs/{fork.json()['id']}", who).json()
        assert (seen["state"], seen["outputs"]["size"]) == ("succeeded", size), seen["error"]
    fails = READS.replace("name: reads", "name: fails").replace(
        "steps:\n",
        "steps:\n  flaky: {tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}}\n",
    )
    fails = fails.replace("  size: {tool", "  size: {needs: [flaky], tool")
    run = start(web, who, fails, inputs={"client": "Acme", "doc": DOC})
    broker.drain()
    assert get(web, f"runs/{run['id']}", who).json()["state"] == "failed"
    post(web, f"runs/{run['id']}/retry", {}, who)
    broker.drain()
    again = get(web, f"runs/{run['id']}", who).json()
    assert (again["state"], again["outputs"]["size"]) == ("succeeded", len(TEXT)), again["error"]


def test_a_run_inside_is_given_megabytes_and_gives_them_back(
    web: Browser, key: Key, broker: Broker
) -> None:
    who = key()
    publishing.publish(READS)
    run = start(web, who, AROUND, inputs={"doc": DOC})
    broker.drain()
    assert heaviest() == {}
    seen = get(web, f"runs/{run['id']}", who).json()
    assert (seen["state"], seen["outputs"]) == ("succeeded", {"size": len(TEXT), "text": TEXT})


def test_a_large_signal_and_a_large_answer_lie_in_files(
    web: Browser, key: Key, broker: Broker
) -> None:
    who, first, second = key(), key("manager", username="first"), key("manager")
    run = start(web, who, ASKS, inputs={"doc": DOC})
    broker.drain()
    sent = post(web, f"runs/{run['id']}/signal", {"name": "filed", "payload": DOC}, who)
    assert sent.status_code == 202
    broker.drain()
    [one, _] = get(web, f"runs/{run['id']}", who).json()["approvals"]
    assert one["shown"]["made"]["value"] == TEXT
    assert TEXT[:2000] in page_of("first", f"approvals/{one['id']}")
    answer = {"decision": "approve", "answer": {"note": TEXT}}
    for person, level in ((first, 0), (second, 1)):
        asked = get(web, f"runs/{run['id']}", who).json()["approvals"][level]
        said = post(web, f"approvals/{asked['id']}", answer, person)
        assert said.json()["answer"] == {"note": TEXT}, said.content[:300]
    broker.drain()
    assert heaviest() == {}
    seen = get(web, f"runs/{run['id']}", who).json()
    assert seen["outputs"] == {"heard": len(TEXT), "note": len(TEXT)}, seen["error"]


def test_the_page_of_a_run_leads_to_its_large_inputs(web: Browser, key: Key) -> None:
    who = key(username="ada")
    run = start(web, who, READS, inputs={"client": "Acme", "doc": DOC})
    page = page_of("ada", f"runs/{run['id']}")
    assert len(page) < 500_000
    file = Run.objects.get().inputs["doc"]["$artifact"]
    assert f'<a href="/api/v1/artifacts/{file}">doc</a>' in page
    assert json.loads(get(web, f"artifacts/{file}", who).content) == DOC


def test_the_file_of_a_hidden_run_is_hidden(web: Browser, key: Key, broker: Broker) -> None:
    partner, manager = key("partner"), key("manager")
    hides = READS.replace("name: reads", "name: hides\naccess: {see: [partner]}")
    start(web, partner, hides, inputs={"client": "Acme", "doc": DOC})
    broker.drain()
    for file in Artifact.objects.all():
        assert get(web, f"artifacts/{file.pk}", partner).status_code == 200
        problem(get(web, f"artifacts/{file.pk}", manager), 404, "not_found")
    assert Artifact.objects.count() >= 2


def test_an_input_that_looks_like_a_reference_opens_nothing(
    web: Browser, key: Key, broker: Broker
) -> None:
    partner, manager = key("partner"), key("manager")
    hides = READS.replace("name: reads", "name: hides\naccess: {see: [partner]}")
    start(web, partner, hides, inputs={"client": "Acme", "doc": DOC})
    forged = {"$artifact": Run.objects.get().inputs["doc"]["$artifact"], "size": 1}
    loose = 'name: loose\nsteps: {a: {tool: core.echo, with: {value: "${ inputs }"}}}\n'
    loose += 'outputs: {got: "${ steps.a.output.value }"}\n'
    for inputs in ({"doc": forged}, forged):
        run = start(web, manager, loose, inputs=inputs)
        broker.drain()
        seen = get(web, f"runs/{run['id']}", manager).json()
        assert (seen["inputs"], seen["outputs"]) == (inputs, {"got": inputs}), seen["error"]


def test_large_inputs_and_signals_are_erased_with_who_gave_them(
    web: Browser, key: Key, broker: Broker, tmp_path: Path
) -> None:
    ada, bea = key(username="ada"), key(username="bea")
    secret, shared = {"text": TEXT + "zyxomatic"}, {"text": TEXT + "both"}
    start(web, ada, READS, inputs={"client": "Acme", "doc": secret})
    for who in (ada, bea):
        start(web, who, READS, inputs={"client": "Acme", "doc": shared})
    broker.drain()
    run = start(web, ada, ASKS, inputs={"doc": secret})
    broker.drain()
    post(web, f"runs/{run['id']}/signal", {"name": "later", "payload": secret}, ada)
    post(web, f"runs/{run['id']}/cancel", {}, ada)
    broker.drain()

    def holding(word: bytes) -> int:
        return sum(word in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert Signal.objects.get().payload["text"].keys() == {"$artifact", "size"}
    assert holding(b"zyxomatic") >= 3
    call_command("erase_subject", str(User.objects.get(username="ada").pk))
    assert holding(b"zyxomatic") == 0
    # What somebody else gave, too, is still theirs.
    mine = get(web, "runs?state=succeeded", bea).json()["results"]
    inputs = [get(web, f"runs/{one['id']}", bea).json()["inputs"] for one in mine]
    assert {"client": "Acme", "doc": shared} in inputs


FANS = """
name: fans
inputs: {type: object, required: [docs], properties: {docs: {type: array}}}
steps:
  each:
    for_each: "${ inputs.docs }"
    as: doc
    max_parallel: 70
    tool: core.echo
    with: {value: {size: "${ size(doc.text) }", at: "${ index }"}}
    compensate: {tool: core.echo, with: {value: "${ size(doc.text) }"}}
  last: {needs: [each], tool: core.fail, with: {times: 1}, retry: {max_attempts: 1}}
outputs: {sizes: "${ steps.each.output.map(one, one.value.size) }"}
"""
NESTED = """
name: nested
inputs: {type: object, required: [docs], properties: {docs: {type: array}}}
steps:
  each:
    for_each: "${ inputs.docs }"
    as: doc
    each: {for_each: "${ doc.parts }", as: part}
    tool: core.echo
    with: {value: {size: "${ size(part.text) }", of: "${ size(doc.text) }", at: "${ outer_index }"}}
outputs: {all: "${ steps.each.output.map(one, one.map(two, two.value)) }"}
"""


@pytest.mark.parametrize(
    "docs",
    [
        [{"text": TEXT + "x" * n} for n in range(3)],  # each too large for its row
        [{"text": "y" * 20_000} for _ in range(150)],  # all of them too large for one
        [{"$artifact": "0", "size": 3, "text": ""}] * 2,
    ],
)
def test_large_items_lie_in_files_and_are_done_undone_and_done_again(
    web: Browser, key: Key, broker: Broker, docs: list[Any]
) -> None:
    who = key()
    run = start(web, who, FANS, inputs={"docs": docs})
    broker.drain()
    assert heaviest() == {}
    seen = get(web, f"runs/{run['id']}?items=all", who).json()
    assert seen["state"] == "failed"
    sizes = [len(doc["text"]) for doc in docs]
    undone = [s["output"]["value"] for s in seen["steps"]
              if s["key"] == "each.compensate" and s["index"] is not None]  # fmt: skip
    assert undone == sizes
    [fan] = [s for s in seen["steps"] if s["key"] == "each" and s["index"] is None]
    assert fan["items"]["total"] == fan["items"]["succeeded"] == len(docs)
    post(web, f"runs/{run['id']}/retry", {}, who)
    broker.drain()
    again = get(web, f"runs/{run['id']}", who).json()
    assert (again["state"], again["outputs"]) == ("succeeded", {"sizes": sizes}), again["error"]


def test_large_items_of_nested_lists_lie_in_files(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    docs = [{"text": TEXT, "parts": [{"text": TEXT}, {"text": "b"}]},
            {"text": "c" * 70_000, "parts": [{"text": "d" * 7}]}]  # fmt: skip
    run = start(web, who, NESTED, inputs={"docs": docs})
    broker.drain()
    assert heaviest() == {}
    seen = get(web, f"runs/{run['id']}", who).json()
    first = [{"size": len(TEXT), "of": len(TEXT), "at": 0}, {"size": 1, "of": len(TEXT), "at": 0}]
    assert seen["outputs"] == {"all": [first, [{"size": 7, "of": 70_000, "at": 1}]]}, seen["error"]


def test_an_error_quotes_no_megabytes(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    strict = READS.replace("doc: {type: object}", "doc: {type: integer}")
    publishing.publish(strict.replace("inputs.doc.text", "inputs.doc"))
    refused = post(web, "runs", {"workflow": "reads", "inputs": {"doc": TEXT}}, who)
    problem(refused, 422, "invalid_input")
    assert len(refused.content) < 20_000
    assert "is not of type 'integer'" in refused.json()["detail"]
    loose = "name: loose\ninputs: {type: object, properties: {doc: {}}}\nsteps:\n"
    loose += '  a: {workflow: reads, with: {doc: "${ inputs.doc }"}}\n'
    run = start(web, who, loose, inputs={"doc": TEXT})
    broker.drain()
    assert get(web, f"runs/{run['id']}", who).json()["error"]["code"] == "invalid_input"
    assert heaviest() == {}


@pytest.mark.parametrize("kind", ["schedules", "watches"])
def test_what_is_given_again_and_again_is_no_place_for_megabytes(
    web: Browser, key: Key, kind: str
) -> None:
    who = key("administrator")
    publishing.publish(READS)
    bodies = {
        "schedules": {"name": "s", "workflow": "reads", "cron": "0 6 * * 1"},
        "watches": {"slug": "w", "title": "W", "workflow": "reads",
                    "condition": {"kind": "overdue", "after": "7d"}},
    }  # fmt: skip
    refused = problem(post(web, kind, {**bodies[kind], "inputs": {"doc": DOC}}, who), 422,
                      "invalid_input")  # fmt: skip
    assert (refused["field"], "65536" in refused["limit"]) == ("inputs", True)
    small = post(web, kind, {**bodies[kind], "inputs": {"doc": {"text": "a"}}}, who)
    assert small.status_code == 201, small.content
