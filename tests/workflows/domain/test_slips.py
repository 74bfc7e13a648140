"""Definitions as people write them who begin: each slip is named with its line and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from config.errors import InvalidDocument
from workflows.domain.cel_engine import compile_source
from workflows.domain.documents import parse
from workflows.domain.expressions import compile_expression
from workflows.domain.slips import FUNCTIONS
from workflows.domain.validation import MOST_FAULTS, Known, faults_of

VALUE: Mapping[str, Any] = {"type": "object", "properties": {"value": {}}}
SLEEP: Mapping[str, Any] = {
    "type": "object", "required": ["seconds"], "properties": {"seconds": {"type": "number"}},
}  # fmt: skip
KNOWN = Known(
    tools={"core.echo": VALUE, "core.sleep": SLEEP},
    workflows=frozenset({"other"}),
    roles=frozenset({"manager", "partner"}),
)
X = "name: x\nsteps:\n"
A = "  a: {tool: core.echo}\n"
E = "  a: {tool: core.echo, "
B = "  b: {needs: [a], tool: core.echo, with: {value: "


def told(text: str) -> list[str]:
    """``path:line message`` of every fault."""
    try:
        faults = faults_of(parse(text), KNOWN)
    except InvalidDocument as error:
        faults = error.faults
    return [f"{fault['path']}:{fault['line']} {fault['message']}" for fault in faults]


@pytest.mark.parametrize(("written", "expected"), [
    # YAML
    (X + "\ta: {tool: core.echo}\n",
     ":3 has a character that YAML keeps for itself (a tab"),
    ("name: x\ntitle: Audit: 2012\nsteps:\n" + A, ":2 has a ': ' where none can be"),
    (X + "  a: {tool: core.echo\n  b: {}\n", ":4 has a { that is not closed"),
    (X + "  a:\n    tool: core.echo\n   with: {}\n",
     ":5 is indented unlike the lines"),
    ("name: 'x\nsteps:\n" + A, "has a quote that is never closed"),
    (X + "  a: *b\n", ":3 names an alias (*) that no anchor"),
    (X + A + "---\nname: y\n", ":4 holds more than one document"),
    (X + "  a: &s {tool: core.echo}\n  b: {<<: *s}\n",
     "steps.b.<<:4 merge keys (<<) are not read"),
    (X + E + "with: {value: .nan}}\n",
     ":3 holds .nan, which is no number"),
    (X + E + "with: {value: " + "9" * 5000 + "}}\n",
     ":3 has a number of more than"),
    # keys and types
    ("name: My Flow\nsteps:\n" + A,
     "name:1 'My Flow' is no name: small letters, digits and _"),
    ("name: x\nstep:\n" + A, "step:2 unknown key 'step'; did you mean 'steps'?"),
    (X + "", "steps:2 is empty; it must be a mapping"),
    (X + "  - tool: core.echo\n", "steps:2 must be a mapping of keys and values"),
    (X + "  a:\n    tool: core.echo\n    need: []\n",
     "steps.a.need:5 unknown key 'need'; did you mean 'needs'?"),
    (X + "  load-it: {tool: core.echo}\n",
     "at most 64, a letter first; load_it would be"),
    (X + "  a: {title: hi}\n",
     "agent, workflow, approval, wait; it has none of them"),
    (X + E + "agent: b}\n", "; it has tool and agent"),
    (X + A + "  b: {tool: core.echo, needs: a}\n",
     "steps.b.needs:4 needs are steps in a list: [a, b], {any:"),
    (X + "  a: {approval: manager}\n",
     "steps.a.approval:3 must be a mapping of keys and values, not 'manager'; write approval: {"),
    (X + "  a: {wait: {}}\n",
     "steps.a.wait:3 waits for exactly one of signal, for, until"),
    (X + E + "retry: 3}\n",
     "write retry: {max_attempts: 3, backoff: 2s}"),
    (X + E + "on_error: ignore}\n",
     "is fail, continue or {go_to: step}, not 'ignore'"),
    ("name: x\npriority: urgent\nsteps:\n" + A,
     "priority:2 is one of high, default, low, not 'urgent'"),
    ("name: x\nbudget_usd: 25\nsteps:\n" + A,
     'budget_usd:2 must be text, not 25; write budget_usd: "25.00", in quotes'),
    (X + E + "repeat: {until: 'true'}}\n",
     "steps.a.repeat:3 needs the key 'max'"),
    # times
    ("name: x\ntimeout: two days\nsteps:\n" + A,
     "timeout:2 'two days' is no duration; write 250ms"),
    ("name: x\ntimeout: 99999999d\nsteps:\n" + A,
     "timeout:2 '99999999d' is no duration that can be kept"),
    (X + E + "timeout: 0s}\n",
     "steps.a.timeout:3 '0s' is no duration that can be kept"),
    (X + "  a: {wait: {for: 0s}}\n",
     "steps.a.wait.for:3 '0s' is no duration that can be kept"),
    (X + "  a: {wait: {until: tomorrow}}\n",
     "steps.a.wait.until:3 'tomorrow' is no time"),
    # expressions
    (X + E + "when: 'inputs.n > 1 and true'}\n",
     "at character 14: write && for and"),
    (X + E + "when: 'inputs.n = 1'}\n",
     "at character 10: compare with =="),
    (X + E + "when: 'inputs.n >'}\n",
     "at character 11: it ends too early"),
    (X + E + "with: {value: '{{ inputs.n }}'}}\n",
     "an expression is ${ inputs.n }"),
    (X + E + "with: {value: '${ len(inputs.n) }'}}\n",
     "unknown function len(); did you mean size()?"),
    (X + E + "with: {value: '${ input.n }'}}\n",
     "unknown name 'input'; did you mean inputs?"),
    (X + A + B + "'${ a.output }'}}\n",
     "unknown name 'a'; did you mean steps.a?"),
    (X + A + B + "'${ steps.a.outputs.n }'}}\n",
     "not 'outputs'; did you mean steps.a.output?"),
    (X + A + B + "'${ steps.a.n + 1 }'}}\n",
     "not 'n'; did you mean steps.a.output.n?"),
    ("name: x\ninputs: {properties: {year: {}}}\nsteps:\n" + E + "when: 'inputs.yaer > 1'}\n",
     "unknown input 'yaer'; did you mean 'year'?"),
    (X + E + "for_each: inputs.rows}\n",
     'steps.a.for_each:3 must be a list or an expression; write "${ inputs.rows }"'),
    (X + E + "for_each: [1], as: inputs}\n",
     "steps.a.as:3 'inputs' means something else in expressions"),
    # what has no meaning
    (X + "  a: {approval: {role: manager}, timeout: 3d}\n",
     "steps.a.timeout:3 has no meaning for approval; write approval: {…, timeout: 3d}"),
    (X + "  a: {wait: {signal: x}, retry: {max_attempts: 3}}\n",
     "steps.a.retry:3 has no meaning for wait"),
    (X + "  a: {workflow: other, retry: {max_attempts: 3}}\n",
     "steps.a.retry:3 has no meaning for a workflow"),
    (X + "  a: {approval: {role: manager, form: {type: objct}}}\n",
     "steps.a.approval.form.type:3 not a JSON Schema"),
    ("name: x\ninputs: {client: string}\nsteps:\n" + A,
     "inputs.client:2 no word of JSON Schema; inputs are written {type: object"),
    ("name: x\ninputs: {type: array}\nsteps:\n" + A,
     "inputs.type:2 inputs are an object, not 'array'"),
    ("name: x\ninputs: {required: [yaer], properties: {year: {}}}\nsteps:\n" + A,
     "unknown input 'yaer'; did you mean 'year'?"),
    (X + E + "compensate: {tool: core.sleep, with: {second: 1}}}\n",
     "unknown argument of core.sleep 'second'; did you mean 'seconds'?"),
])  # fmt: skip
def test_a_slip_is_named_with_its_line_and_what_to_write(written: str, expected: str) -> None:
    assert any(expected in fault for fault in told(written)), told(written)


def test_a_definition_that_is_wrong_everywhere_names_two_hundred_faults_and_how_many_more() -> None:
    many = "".join(f"  s{n}: {{tool: core.nope}}\n" for n in range(1500))
    faults = told(X + "" + many)
    assert len(faults) == MOST_FAULTS + 1
    assert "and 1300 more faults" in faults[-1]


def test_every_function_that_expressions_may_call_is_one_of_the_engine() -> None:
    given = {
        "contains": "'ab'.contains('a')", "startsWith": "'ab'.startsWith('a')",
        "endsWith": "'ab'.endsWith('b')", "matches": "'ab'.matches('a.')", "size": "size([1])",
        "string": "string(1)", "int": "int('1')", "uint": "uint(1)", "double": "double(1)",
        "bytes": "bytes('a')", "duration": "duration('1s')", "type": "type(1)", "dyn": "dyn(1)",
        "timestamp": "timestamp('2026-01-01T00:00:00Z')",
    }  # fmt: skip
    for name in FUNCTIONS:
        source = given.get(name, f"timestamp('2026-01-01T00:00:00Z').{name}()")
        assert compile_source(source).execute({}) is not None
        assert name in compile_expression(source).functions
