"""What expressions give that JSON has not, from HTTP to the run's outputs."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from tests.workflows.conftest import Broker, Key
from tests.workflows.http import get, start

pytestmark = pytest.mark.django_db(transaction=True)

FORMS = [
    ('timestamp("2012-12-31T02:00:00+02:00")', "2012-12-31T00:00:00Z"),
    ('timestamp(inputs.at) + duration("1500ms")', "2012-01-01T00:00:01.500000Z"),
    ('duration("3.5s")', "3.5s"),
    ('duration("-90m")', "-5400s"),
    ('timestamp("2012-01-02T00:00:00Z") - timestamp(inputs.at)', "86400s"),
    ('b"\\xff\\x00abc"', "/wBhYmM="),
    ("18446744073709551615u", 18446744073709551615),
    ("9223372036854775807", 9223372036854775807),
    ('{1: duration("1s"), 2: [timestamp(inputs.at)]}', {"1": "1s", "2": ["2012-01-01T00:00:00Z"]}),
    ("type(1)", "int"),
]


def run_of(web: Browser, who: dict[str, str], broker: Broker, source: str) -> Any:
    run = start(web, who, source, inputs={"at": "2012-01-01T00:00:00Z", "zero": 0.0})
    broker.drain()
    return get(web, f"runs/{run['id']}", who).json()


@pytest.mark.parametrize(("expression", "form"), FORMS)
def test_a_result_has_its_documented_form_as_argument_item_and_output(
    web: Browser, key: Key, broker: Broker, expression: str, form: Any
) -> None:
    source = (
        "name: forms\ninputs: {type: object}\nsteps:\n"
        f"  given: {{tool: core.echo, with: {{value: '${{ {expression} }}'}}}}\n"
        f"  each: {{for_each: '${{ [{expression}] }}', tool: core.echo, "
        'with: {value: "${ item }"}}\n'
        f"outputs: {{out: '${{ {expression} }}', given: '${{ steps.given.output.value }}',\n"
        "          each: '${ steps.each.output[0].value }'}\n"
    )
    shown = run_of(web, key(), broker, source)
    assert shown["state"] == "succeeded", shown["error"]
    assert shown["outputs"] == {"out": form, "given": form, "each": form}


@pytest.mark.parametrize("place", ["argument", "list", "output"])
@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("inputs.zero / 0.0", "gives NaN"),
        ("1.0 / 0.0", "gives infinity"),
        ("[-1.0 / 0.0]", "gives infinity"),
        ("9223372036854775807 + 1", "overflow"),
    ],
)
def test_what_is_no_json_is_a_fault_of_its_expression(
    web: Browser, key: Key, broker: Broker, place: str, expression: str, why: str
) -> None:
    steps, outputs = "  a: {tool: core.echo}\n", ""
    if place == "argument":
        steps = f"  a: {{tool: core.echo, with: {{value: '${{ {expression} }}'}}}}\n"
    elif place == "list":
        steps = f"  a: {{for_each: '${{ [{expression}] }}', tool: core.echo}}\n"
    else:
        outputs = f"outputs: {{out: '${{ {expression} }}'}}\n"
    source = "name: faults\ninputs: {type: object}\nsteps:\n" + steps + outputs
    shown = run_of(web, key(), broker, source)
    assert (shown["state"], shown["error"]["code"]) == ("failed", "expression_failed")
    assert why in shown["error"]["message"]
