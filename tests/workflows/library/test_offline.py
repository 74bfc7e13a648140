"""A shipped template with its real agents and the real offline model; all in ``make chaos``."""

from __future__ import annotations

import pytest
from django.test import Client as Browser

from tests.agents.conftest import ground, model, offline, publish  # noqa: F401
from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, post
from tests.workflows.library.test_templates import FILES, example, source
from workflows import publishing

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "multi_jurisdiction_tax"


def test_a_template_goes_through_its_agents_by_the_offline_model(
    web: Browser,
    key: Key,
    broker: Broker,
    ground: None,  # noqa: F811
) -> None:
    for step in source(NAME)["steps"].values():
        if "agent" in step:
            publish(step["agent"])
    for name in ("entity_tax_estimates", NAME):
        publishing.publish(FILES[name].read_text("utf-8"), shipped=True)
    who, manager = key("professional"), key("manager")
    body = {"workflow": NAME, "inputs": example(NAME)}
    run = post(web, "runs", body, who).json()["id"]
    broker.drain()
    [asked] = get(web, "approvals", manager).json()["results"]
    answer = {"decision": "approve", "answer": {"comment": "Agreed."}}
    assert post(web, f"approvals/{asked['id']}", answer, manager).status_code == 200
    broker.drain()
    found = get(web, f"runs/{run}", who).json()
    assert (found["state"], found["error"]) == ("succeeded", None)
    steps = [step for step in found["steps"] if step["index"] is None]
    assert {step["state"] for step in steps} == {"succeeded"}
    said = [step for step in steps if step["kind"] == "agent"]
    assert len(said) == 2
    for step in said:
        assert step["invocation_id"] and step["output"]["text"] and step["output"]["facts"]
    assert len(found["outputs"]["by_jurisdiction"]) == 9
