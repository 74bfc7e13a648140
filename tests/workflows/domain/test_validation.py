"""Every fault of a definition is named with its path, its line and what to do."""

from __future__ import annotations

import pytest

from config.errors import InvalidDocument
from workflows.domain.definition import plan_of
from workflows.domain.documents import Document, parse
from workflows.domain.transitions import Mode
from workflows.domain.validation import Known, compile_definition, faults_of

ECHO = {"type": "object", "properties": {"value": {}, "n": {"type": "integer"}}}
KNOWN = Known(
    tools={"echo": ECHO, "rows": ECHO, "line": ECHO, "need": {**ECHO, "required": ["n"]}},
    agents=frozenset({"aud-fraud-009"}),
    workflows=frozenset({"other"}),
    inputs_of={
        "other": {
            "required": ["year"],
            "additionalProperties": False,
            "properties": {"year": {"type": "integer"}},
        }
    },
    outputs_of={
        "rows": {"type": "object", "properties": {"rows": {"type": "array"}}},
        "line": {
            "$defs": {
                "Line": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"amount": {"type": "number"}},
                }
            },
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                "any": {},
                "more": {"type": "object"},
            },
        },
    },
    roles=frozenset({"manager", "partner"}),
)
# The contract's example, with every key once.
EXAMPLE = """
name: engagement_example
title: Every key once
inputs:
  type: object
  required: [client, year, ledger]
  properties: {client: {type: string}, year: {type: integer},
    ledger: {type: string, format: artifact}}
access: {start: [professional], approve: [manager]}
budget_usd: "25.00"
timeout: 60d
priority: default
concurrency: {key: "${ inputs.client }", max: 2}
steps:
  ingest:
    tool: ledger.load
    with: {artifact: "${ inputs.ledger }"}
  journal_tests:
    needs: [ingest]
    tool: ledger.journal_entry_tests
    with: {ledger: "${ steps.ingest.output.ledger }"}
    timeout: 60s
    retry: {max_attempts: 4, backoff: 2s, on: [timeout, rate_limited, unavailable]}
    on_error: continue
    compensate: {tool: ledger.release, with: {ledger: "${ steps.ingest.output.ledger }"}}
  assess:
    needs: [journal_tests]
    when: "steps.journal_tests.output.exceptions > 0"
    agent: aud-fraud-009
    with: {findings: "${ steps.journal_tests.output }"}
  per_account:
    needs: [ingest]
    for_each: "${ steps.ingest.output.accounts }"
    as: account
    max_parallel: 8
    agent: aud-substantive-006
    with: {account: "${ account }"}
  draft:
    needs: {all: [assess, per_account]}
    agent: aud-report-014
    repeat: {until: "output.score >= 0.9", max: 3}
  review:
    needs: [draft]
    approval: {role: manager, timeout: 3d, forbid_self: true, levels: 2, form: {type: object}}
  tax:
    needs: [review]
    workflow: multi_jurisdiction_tax
    with: {}
  wait_for_filing: {needs: [tax], wait: {signal: filed, timeout: 30d}}
outputs: {opinion: "${ steps.draft.output.opinion }"}
"""


def test_the_contracts_example_has_no_fault_and_means_what_it_says() -> None:
    plan = compile_definition(EXAMPLE, Known())
    assert list(plan.steps) == [
        "ingest", "journal_tests", "per_account", "assess", "draft", "review", "tax",
        "wait_for_filing",
    ]  # fmt: skip
    tests = plan.steps["journal_tests"]
    assert (tests.timeout_seconds, tests.retry.max_attempts, tests.retry.backoff_seconds) == (
        60, 4, 2,
    )  # fmt: skip
    assert (tests.on_error, tests.retry.on) == (
        "continue", {"timeout", "rate_limited", "unavailable"},
    )  # fmt: skip
    assert (plan.steps["per_account"].item_name, plan.steps["per_account"].max_parallel) == (
        "account", 8,
    )  # fmt: skip
    assert (plan.steps["draft"].max_iterations, plan.steps["draft"].mode) == (3, Mode.ALL)
    assert (plan.concurrency_max, plan.timeout_seconds) == (2, 60 * 86400)
    assert plan.ends == {"wait_for_filing"}


def step(text: str) -> str:
    return f"name: w\nsteps:\n  a: {{tool: echo}}\n  b: {text}\n"


def after_rows(given: str, tool: str = "rows") -> str:
    steps = f"  a: {{tool: {tool}}}\n  b: {{needs: [a], tool: echo, with: {{n: '{given}'}}}}\n"
    return f"name: w\nsteps:\n{steps}"


@pytest.mark.parametrize(
    ("text", "path", "line", "says"),
    [
        ("- 1", "", 1, "a mapping with name and steps"),
        ("name: w", "", 1, "needs the key 'steps'"),
        ("name: W!\nsteps: {a: {tool: echo}}", "name", 1, "is no name"),
        (step("{tool: eco}"), "steps.b.tool", 4, "did you mean 'echo'"),
        (step("{agent: aud-fraud-008}"), "steps.b.agent", 4, "did you mean 'aud-fraud-009'"),
        (step("{workflow: othr}"), "steps.b.workflow", 4, "did you mean 'other'"),
        (step("{workflow: w}"), "steps.b.workflow", 4, "cannot contain itself"),
        (step("{tool: echo, agent: x}"), "steps.b", 4, "exactly one of tool, agent"),
        (step("{needs: [a]}"), "steps.b", 4, "exactly one of tool, agent"),
        (step("{tool: echo, wth: {}}"), "steps.b.wth", 4, "unknown key 'wth'"),
        (step("{tool: echo, needs: [aa]}"), "steps.b.needs", 4, "did you mean 'a'"),
        (step("{tool: echo, needs: [b]}"), "steps.b.needs", 4, "cannot need itself"),
        (step("{tool: echo, needs: {at_least: 2, of: [a]}}"), "steps.b.needs", 4, "never be met"),
        (step("{tool: echo, with: {x: 1}}"), "steps.b.with.x", 4, "unknown argument"),
        (step("{tool: echo, with: {n: word}}"), "steps.b.with.n", 4, "not of type 'integer'"),
        (step("{tool: need}"), "steps.b.with", 4, "requires the argument 'n'"),
        (step("{tool: echo, on_error: {go_to: z}}"), "steps.b.on_error.go_to", 4, "unknown step"),
        (step("{tool: echo, on_error: {go_to: b}}"), "steps.b.on_error.go_to", 4, "to itself"),
        (step("{approval: {role: boss}}"), "steps.b.approval.role", 4, "unknown role"),
        (step("{approval: {role: manager, levels: 3, roles: [manager, partner]}}"),
         "steps.b.approval.roles", 4, "one role for each"),
        (step("{tool: echo, for_each: [1], repeat: {until: 'true', max: 2}}"), "steps.b.repeat", 4,
         "sub-workflow"),
        (step("{tool: echo, with: {n: '${ iteration }'}}"), "steps.b.with.n", 4,
         "unknown name 'iteration'"),
        (step("{tool: line, with: {n: '${ output.linse }'}, repeat: {until: 'true', max: 2}}"),
         "steps.b.with.n", 4, "field of output"),
        (step("{tool: line, with: {n: 'of ${ output.any }'}, repeat: {until: 'true', max: 2}}"),
         "steps.b.with.n", 4, "null in the first turn; write output == null ? … : output.any"),
        (step("{tool: echo, as: x}"), "steps.b.as", 4, "without for_each"),
        (step("{tool: echo, each: {for_each: [1], as: x}}"), "steps.b.each", 4, "without for_each"),
        (step("{tool: echo, for_each: [1], each: {for_each: [1], as: item}}"), "steps.b.each.as", 4,
         "'item' is taken"),
        (step("{tool: echo, for_each: [1], each: {for_each: [1]}}"), "steps.b.each", 4, "'as'"),
        (step("{tool: echo, for_each: [1], each: {for_each: '${ x }', as: x}}"),
         "steps.b.each.for_each", 4, "unknown name 'x'"),
        (step("{tool: echo, for_each: [1], each: {for_each: '${ 1 } of 2', as: x}}"),
         "steps.b.each.for_each", 4, "gives string, where array or object is wanted"),
        (step("{wait: {for: 1s}, for_each: [1]}"), "steps.b", 4, "neither for_each nor repeat"),
        (step("{wait: {timeout: 3d}}"), "steps.b.wait", 4, "exactly one of signal, for, until"),
        (step("{wait: {signal: a, for: 1s}}"), "steps.b.wait", 4, "exactly one of signal"),
        (step("{wait: {for: 1s, timeout: 2s}}"), "steps.b.wait.timeout", 4, "beside for"),
        (step("{tool: echo, timeout: soon}"), "steps.b.timeout", 4, "soon"),
        (step("{tool: echo, when: '1 +'}"), "steps.b.when", 4, "it ends too early"),
        (step("{tool: echo, when: 'ouputs.x'}"), "steps.b.when", 4, "unknown name 'ouputs'"),
        (step("{tool: echo, with: {value: '${ steps.a.output }'}}"), "steps.b.with.value", 4,
         "add a need"),
        (step("{tool: echo, with: {value: '${ steps.z.output }'}}"), "steps.b.with.value", 4,
         "unknown step 'z'"),
        (step("{tool: echo, with: {value: '${ item }'}}"), "steps.b.with.value", 4, "'item'"),
        (step("{tool: echo, with: {value: '${ 1'}}"), "steps.b.with.value", 4, "closing brace"),
        (step("{tool: echo, compensate: {tool: zz}}"), "steps.b.compensate.tool", 4, "unknown"),
        ("name: w\ninputs: {type: nope}\nsteps: {a: {tool: echo}}", "inputs.type", 2,
         "not a JSON Schema"),
        ("name: w\naccess: {start: [bos]}\nsteps: {a: {tool: echo}}", "access.start.0", 2,
         "unknown role"),
        ("name: w\nsteps: {a: {tool: echo}}\noutputs: {x: '${ steps.q.output }'}", "outputs.x", 3,
         "unknown step"),
        (step("{tool: echo, with: {n: '${ inputs }'}}"), "steps.b.with.n", 4,
         "gives object, where integer is wanted"),
        (after_rows("${ steps.a.output }"), "steps.b.with.n", 4,
         "gives object, where integer is wanted"),
        (after_rows("${ steps.a.output.rows }"), "steps.b.with.n", 4,
         "gives array, where integer is wanted"),
        (after_rows("${ steps.a.output.linse }", "line"), "steps.b.with.n", 4,
         "unknown field of steps.a.output 'linse'; did you mean 'lines'?"),
        (after_rows("${ steps.a.output.lines[0].amuont }", "line"), "steps.b.with.n", 4,
         "unknown field of steps.a.output 'amuont'; did you mean 'amount'?"),
        (after_rows("${ 1 + size(steps.a.output.linse) }", "line"), "steps.b.with.n", 4,
         "unknown field of steps.a.output 'linse'"),
        (after_rows("${ 1 }", "line")
         + "  c: {needs: [a], tool: echo, when: steps.a.output.total > 0}\n", "steps.c.when", 5,
         "unknown field of steps.a.output 'total'"),
        (after_rows("${ 1 }", "line") + "outputs: {sum: '${ steps.a.output.sum }'}\n",
         "outputs.sum", 5, "unknown field of steps.a.output 'sum'"),
        (step("{tool: echo, for_each: '${ 1 } and ${ 2 }'}"), "steps.b.for_each", 4,
         "gives string, where array or object is wanted"),
        (step("{workflow: other, with: {yeer: 1}}"), "steps.b.with", 4,
         "requires the input 'year'"),
        (step("{workflow: other, with: {yeer: 1, year: 2}}"), "steps.b.with.yeer", 4,
         "did you mean 'year'"),
        (step("{workflow: other, with: {year: soon}}"), "steps.b.with.year", 4, "'integer'"),
        (step("{workflow: other, with: {year: 'in ${ inputs.x }'}}"), "steps.b.with.year", 4,
         "gives string, where integer is wanted"),
        (step("{approval: {role: manager, escalate: {after: 1d, role: boss}}}"),
         "steps.b.approval.escalate.role", 4, "unknown role"),
        ("name: w\ninputs: {properties: {ok: {type: string}}}\nsteps:\n"
         "  a: {tool: echo, when: inputs.ok}", "steps.a.when", 4,
         "inputs.ok gives string, where boolean is wanted"),
        (step("{tool: echo, when: 1 + 1}"), "steps.b.when", 4,
         "1 + 1 gives integer, where boolean is wanted"),
        (step("{tool: echo, when: size(inputs.x)}"), "steps.b.when", 4,
         "gives integer, where boolean is wanted"),
        (step("{tool: echo, for_each: '${ size(inputs.x) }'}"), "steps.b.for_each", 4,
         "gives integer, where array or object is wanted"),
        (step("{tool: echo, for_each: '${ inputs.x == 1 }'}"), "steps.b.for_each", 4,
         "gives boolean, where array or object is wanted"),
        (step("{tool: echo, with: {n: '${ inputs.xs.map(x, x.n) }'}}"), "steps.b.with.n", 4,
         "gives array, where integer is wanted"),
        ("name: w\nsteps:\n  a: {tool: echo, on_error: {go_to: h}}\n  h: {tool: echo}\n"
         "  j: {tool: echo, needs: [a, h]}\n  k: {tool: echo, needs: [j]}", "steps.j.needs", 5,
         "no run has a, h all succeed"),
        ("name: w\nsteps:\n  a: {tool: echo, on_error: {go_to: h}}\n  h: {tool: echo}\n"
         "  j: {tool: echo, needs: {at_least: 2, of: [a, h]}}\n  k: {tool: echo, needs: [j]}",
         "steps.k.needs", 6, "it needs 'j', which no run reaches"),
        ("name: w\nsteps:\n  a: {tool: echo, when: 'false'}\n"
         "  j: {tool: echo, needs: {any: [a]}}", "steps.j.needs", 4, "no run has 1 of a succeed"),
        ("name: w\ninputs: {properties: {year: {}}}\nsteps:\n"
         "  a: {tool: echo, with: {value: '${ inputs.yeer }'}}", "steps.a.with.value", 4,
         "did you mean 'year'"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_path_and_line(text: str, path: str, line: int, says: str) -> None:
    faults = faults_of(parse(text), KNOWN)
    found = [f for f in faults if f["path"] == path and says in f["message"]]
    assert found, faults
    assert found[0]["line"] == line


def test_every_cycle_is_named_by_its_own_steps_beside_other_faults() -> None:
    steps = [*(f"s{n}: {{tool: echo, needs: [s{n - 1}]}}" for n in range(1, 2000))]
    text = "name: x\nsteps:\n  " + "\n  ".join(
        ["s0: {tool: zz, needs: [s1999]}", *steps, "p: {tool: echo, needs: [q]}",
         "q: {tool: echo, needs: [p]}", "r: {tool: echo, needs: [q, s7]}"]
    )  # fmt: skip
    found = [fault["message"] for fault in faults_of(parse(text), KNOWN)]
    assert "unknown tool 'zz'" in " ".join(found)
    assert [said for said in found if "cycle" in said] == [
        "a cycle goes through s0, s1, s10, s100, s1000, s1001, s1002, s1003, s1004, s1005"
        " and 1990 more",
        "a cycle goes through p, q",
    ]


def test_what_no_run_reaches_is_named_beside_other_faults() -> None:
    text = (
        "name: x\nsteps:\n  a: {tool: zz, on_error: {go_to: h}}\n  h: {tool: echo}\n"
        "  both: {tool: echo, needs: [a, h]}\n"
    )
    assert [fault["path"] for fault in faults_of(parse(text), KNOWN)] == [
        "steps.a.tool",
        "steps.both.needs",
    ]


def test_a_cycle_is_named_with_all_its_steps() -> None:
    text = "name: w\nsteps:\n" + "".join(
        f"  {key}: {{tool: echo, needs: [{need}]}}\n" for key, need in ("ac", "ba", "cb")
    )
    (fault,) = faults_of(parse(text), KNOWN)
    assert "a cycle goes through a, b, c" in fault["message"]


def test_a_handler_takes_no_needs_of_its_own() -> None:
    text = (
        "name: w\nsteps:\n  a: {tool: echo, on_error: {go_to: h}}\n  b: {tool: echo}\n"
        "  h: {tool: echo, needs: [b]}\n"
    )
    (fault,) = faults_of(parse(text), KNOWN)
    assert "takes no needs" in fault["message"]


def test_all_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = "name: w\nsteps:\n  a: {tool: eco}\n  b: {tool: echo, needs: [z]}\n  c: {agent: q}\n"
    with pytest.raises(InvalidDocument) as caught:
        compile_definition(text, KNOWN)
    assert [fault["line"] for fault in caught.value.faults] == [3, 4, 5]


@pytest.mark.parametrize(
    ("steps", "ends"),
    [
        ({"a": {}, "b": {"needs": ["a"]}}, {"b"}),
        ({"a": {}, "b": {}, "c": {"needs": {"any": ["a", "b"]}}}, {"a", "b", "c"}),
        ({"a": {}, "c": {"needs": {"any": ["a"]}}}, {"c"}),
        ({"a": {"on_error": {"go_to": "h"}}, "h": {}, "b": {}, "c": {"needs": ["a", "b"]}},
         {"b", "c", "h"}),
        # Withdrawn once c goes on, w waits for a no longer.
        ({"a": {}, "w": {"needs": ["a"], "wait": {"signal": "s"}}, "b": {},
          "c": {"needs": {"any": ["w", "b"]}}}, {"a", "w", "b", "c"}),
    ],
)  # fmt: skip
def test_the_end_waits_for_whatever_nobody_else_surely_waits_for(
    steps: dict[str, dict[str, object]], ends: set[str]
) -> None:
    written = {k: raw if "wait" in raw else {"tool": "echo", **raw} for k, raw in steps.items()}
    assert plan_of({"name": "w", "steps": written}).ends == ends


@pytest.mark.parametrize("needs", ["{any: [a, h]}", "{at_least: 1, of: [a, h, b]}", "[h]", "[b]"])
def test_a_join_that_some_run_can_meet_is_no_fault(needs: str) -> None:
    text = (
        "name: w\nsteps:\n  a: {tool: echo, on_error: {go_to: h}}\n  h: {tool: echo}\n"
        f"  b: {{tool: echo, when: 'inputs.x == 1'}}\n  j: {{tool: echo, needs: {needs}}}\n"
    )
    assert faults_of(parse(text), KNOWN) == []


@pytest.mark.parametrize(
    "given",
    ["'${ inputs.text }'", "'${ inputs.any }'", "'${ inputs.list[0] }'", "'${ 1 + 1 }'",
     "'${ steps.a.output }'", "'${ steps.r.output.other }'", "'${ steps.l.output.any.thing }'",
     "'${ steps.l.output.more.thing }'", "'${ steps.l.output.lines[0].amount }'",
     "'${ steps.l.output.lines.map(x, x.amount)[0] }'",
     "'${ has(steps.l.output.later) ? 1 : 2 }'", "'${ size(\"steps.l.output.later\") }'"],
)  # fmt: skip
def test_what_may_fit_is_no_fault(given: str) -> None:
    text = (
        "name: w\ninputs: {properties: {text: {type: string}, any: {}, list: {type: array, "
        "items: {type: integer}}}}\nsteps:\n  a: {tool: echo}\n  r: {tool: rows}\n"
        f"  l: {{tool: line}}\n  b: {{needs: [a, r, l], tool: echo, with: {{n: {given}}}}}\n"
    )
    assert faults_of(parse(text), KNOWN) == []


def test_what_a_step_reads_is_looked_for_however_far_back_it_is() -> None:
    steps = {
        f"s{n}": {
            "tool": "core.echo", "needs": [f"s{n - 1}"] if n else [],
            "with": {"value": f"${{ steps.s{n - 1}.output }}" if n else 1},
        }
        for n in range(2000)
    }  # fmt: skip
    steps["s1999"]["with"] = {"value": "${ steps.s0.output }"}
    steps["s9"]["with"] = {"value": "${ steps.s10.output }"}
    [fault] = faults_of(Document({"name": "x", "steps": steps}), Known())
    assert "s10, which need not have ended by then" in fault["message"]
