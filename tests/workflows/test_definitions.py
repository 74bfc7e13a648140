"""Publishing definitions over HTTP: versions, comparisons, faults."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client as Browser

from agents.tools import registry
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import ECHO, get, post, problem, start
from workflows import publishing
from workflows.models import WorkflowVersion

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_definition_is_published_once_and_its_versions_are_compared(
    web: Browser, key: Key
) -> None:
    who = key("platform_engineer")
    first = post(web, "workflows", {"definition": ECHO}, who)
    again = post(web, "workflows", {"definition": ECHO}, who)
    assert (first.status_code, again.status_code) == (201, 200)
    second = post(web, "workflows", {"definition": ECHO.replace("value: 1", "value: 2")}, who)
    assert (second.json()["number"], second.json()["is_current"]) == (2, True)
    diff = get(web, "workflows/echo/versions?diff=1..2", who).json()["diff"]
    assert "-  a: {tool: core.echo, with: {value: 1}}" in diff
    label = post(web, "workflows/echo/versions", {"number": 1}, who)
    assert label.json()["is_current"] is True
    gone = post(web, "workflows/echo/versions", {"number": 2, "action": "deprecate"}, who).json()
    assert gone["deprecated_at"] is not None
    only = problem(
        post(web, "workflows/echo/versions", {"number": 1, "action": "deprecate"}, who),
        409, "conflict",
    )  # fmt: skip
    assert "echo v1 is current" in only["detail"]
    assert "publish one first" in only["detail"]
    assert post(web, "runs", {"workflow": "echo"}, who).status_code == 201, "nothing has changed"
    post(web, "workflows", {"definition": ECHO.replace("value: 1", "value: 3")}, who)
    chosen = problem(
        post(web, "workflows/echo/versions", {"number": 3, "action": "deprecate"}, who),
        409, "conflict",
    )  # fmt: skip
    assert "make one current first, v1" in chosen["detail"]
    post(web, "workflows/echo/versions", {"number": 1, "action": "current"}, who)
    assert post(
        web, "workflows/echo/versions", {"number": 3, "action": "deprecate"}, who
    ).json()["deprecated_at"]  # fmt: skip
    problem(get(web, "workflows/echo/versions?diff=1..9", who), 404, "not_found")
    problem(get(web, "workflows/nope/versions", who), 404, "not_found")


def test_a_run_keeps_the_version_it_started_on(web: Browser, key: Key, broker: Broker) -> None:
    who = key()
    run = start(web, who, ECHO)
    publishing.publish(ECHO.replace("value: 1", "value: 2"))
    broker.drain()
    told = get(web, f"runs/{run['id']}", who).json()
    assert (told["version"], told["steps"][0]["output"]) == (1, {"value": 1})


def test_of_all_tools_only_those_that_a_definition_names_are_looked_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred are declared: to read what each takes costs more than all the rest."""
    looked_into, parameters = [], registry.Tool.parameters.fget

    def told(tool: registry.Tool) -> Any:
        looked_into.append(tool.name)
        return parameters(tool)

    monkeypatch.setattr(registry.Tool, "parameters", property(told))
    publishing.publish("name: two\nsteps:\n  a: {tool: core.echo}\n  b: {tool: core.echo}\n")
    assert set(looked_into) == {"core.echo"}


def test_what_a_version_says_cannot_be_rewritten(web: Browser, key: Key) -> None:
    version, _ = publishing.publish(ECHO)
    rows = WorkflowVersion.objects.filter(pk=version.pk)
    for change in ({"source": "x"}, {"definition": {}}, {"number": 7}):
        with pytest.raises(DatabaseError, match="immutable: publish another one"):
            rows.update(**change)
    rows.update(deprecated_at=None, is_current=True)


def test_every_fault_is_named_with_its_line_and_nothing_is_stored(web: Browser, key: Key) -> None:
    who = key("platform_engineer")
    bad = "name: bad\nsteps:\n  a: {tool: core.ecoh}\n  b: {needs: [c], tool: core.echo}\n"
    told = post(web, "workflows/validate", {"definition": bad}, who).json()
    assert told["valid"] is False
    assert [f["line"] for f in told["faults"]] == [3, 4]
    assert "did you mean 'core.echo'?" in told["faults"][0]["message"]
    refused = problem(post(web, "workflows", {"definition": bad}, who), 422, "invalid_document")
    assert refused["faults"] == told["faults"]
    problem(get(web, "workflows/bad/versions", who), 404, "not_found")


@pytest.mark.parametrize(
    "text", ['name: n\nsteps: {a: {tool: core.echo, with: {value: "\\0"}}}', "", "[", "a: &a [*a]"]
)
def test_a_definition_that_cannot_be_stored_is_refused(web: Browser, key: Key, text: str) -> None:
    answer = post(web, "workflows", {"definition": text}, key("platform_engineer"))
    assert answer.status_code == 422


def test_inputs_that_refer_elsewhere_or_never_end_harm_nobody(web: Browser, key: Key) -> None:
    who = key("platform_engineer")
    elsewhere = (
        "name: asked\ninputs: {properties: {a: {$ref: 'file:///etc/hostname'}}}\n"
        "steps: {s: {tool: core.echo, with: {value: 1}}}\n"
    )
    refused = problem(
        post(web, "workflows", {"definition": elsewhere}, who), 422, "invalid_document"
    )
    assert refused["faults"][0]["path"] == "inputs.properties.a.$ref"
    slow = elsewhere.replace("{$ref: 'file:///etc/hostname'}", "{pattern: '(.*a){25}$'}")
    post(web, "workflows", {"definition": slow}, who)
    body = {"workflow": "asked", "inputs": {"a": "a" * 60 + "b"}}
    assert "too long" in problem(post(web, "runs", body, who), 422, "invalid_input")["detail"]
    assert post(web, "runs", {**body, "inputs": {"a": "a" * 25}}, who).status_code == 201


@pytest.mark.parametrize("opening", ["{a: ", "- ", "? ", "["])
def test_a_definition_that_nests_without_end_is_refused_and_ends_no_process(
    web: Browser, key: Key, opening: str
) -> None:
    asked = {"definition": opening * (200_000 // len(opening))}
    told = problem(post(web, "workflows/validate", asked, key()), 422, "invalid_document")
    assert "nests more than 60 deep" in told["faults"][0]["message"]


def test_keys_are_text_and_a_name_ends_where_its_letters_end(web: Browser, key: Key) -> None:
    who = key()
    text = 'name: "x\\n"\nsteps:\n  "a\\n": {tool: core.echo, for_each: [1], as: "b\\n"}\n'
    told = post(web, "workflows/validate", {"definition": text}, who).json()
    assert [f["path"] for f in told["faults"]] == ["name", "steps.a\n", "steps.a\n.as"]
    key_of_lists = "{? " + "[" * 9 + "x" + ", x]" * 9 + " : 1}"
    told = post(web, "workflows/validate", {"definition": key_of_lists}, who).json()
    assert "keys are text" in told["faults"][0]["message"]


@pytest.mark.parametrize("name", ["index", "outer_index", "output"])
def test_an_item_is_not_called_what_means_something_else(web: Browser, key: Key, name: str) -> None:
    text = f"name: x\nsteps: {{a: {{tool: core.echo, for_each: [1], as: {name}}}}}"
    told = post(web, "workflows/validate", {"definition": text}, key()).json()
    assert [fault["path"] for fault in told["faults"]] == ["steps.a.as"]


def test_the_schema_of_definitions_is_served(web: Browser, key: Key) -> None:
    served = get(web, "workflows/schema", key())
    assert served["Content-Type"] == "application/schema+json"
    assert served.json()["properties"]["steps"]["maxProperties"] == 10_000


def test_what_there_is_not_is_not_found(web: Browser, key: Key) -> None:
    who = key("administrator")
    post(web, "workflows", {"definition": ECHO}, who)
    nobody = {"workflow": "echo", "client_id": "01a22767-b293-7648-b75a-000000000000"}
    when = {"name": "n", "cron": "0 0 * * *", "time_zone": "UTC"}
    problem(post(web, "runs", nobody, who), 404, "not_found")
    problem(post(web, "schedules", {**nobody, **when}, who), 404, "not_found")
    problem(post(web, "runs", {"workflow": "echo", "version": "²"}, who), 404, "not_found")
    problem(get(web, "workflows/echo/versions?diff=²..1", who), 404, "not_found")
    assert post(web, "schedules/" + "-" * 36 + "/pause", {}, who).status_code == 404
