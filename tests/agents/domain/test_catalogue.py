"""A catalogue file is read whole or refused with every fault, its path and its line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agents.domain.catalogue import Catalogue, load_catalogue, parse_catalogue
from config.errors import InvalidDocument

TOOLS = frozenset({"audit.allocate_hours"})

AGENT = """
domain: audit
title: Audit
agents:
  - slug: aud-planning-001
    name: Audit planner
    purpose: Plans an engagement for the audit team.
    audience: internal
    risk: medium
    model: {tier: standard, temperature: 0.0, max_output_tokens: 1200}
    prompt: |
      You plan the audit of {{ client }} under ISA 300 and state the hours.
    variables: [client]
    tools: [audit.allocate_hours]
    sources: []
    guardrails: {injection: block, pii: redact, secrets: block, unsupported: flag}
    objectives: {p95_seconds: 2.0, accuracy_ratio: 0.95, error_ratio: 0.05, satisfaction: 4.5}
    budget: {call_usd: "0.10", day_usd: "5.00"}
    scaling: {lane: default, min_workers: 0, max_workers: 4, target_wait_seconds: 5}
    fallback: The plan can't be made now; ask the audit manager.
    cases:
"""
CASES = "".join(
    f"      - {{name: case {n}, input: {{hours: {n}00}}, facts: [{{number: {n}.5}}]}}\n"
    for n in range(1, 6)
)
GOOD = AGENT + CASES


# Where a fault's place is not on the line that the test changes.
WRITTEN_AT = {
    "agents[0]": "slug:",
    "agents[0].prompt": "prompt:",
    "agents[0].variables[0]": "variables:",
    "agents[0].cases[1].name": "hours: 200",
}


def faults_of(text: str, *, name: str = "audit.yaml") -> list[tuple[str, int, str]]:
    with pytest.raises(InvalidDocument) as refused:
        parse_catalogue({name: text}, TOOLS)
    return [(f["path"], f["line"], f["message"]) for f in refused.value.faults]


def read(text: str) -> Catalogue:
    return parse_catalogue({"audit.yaml": text}, TOOLS)


def line_of(text: str, words: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


def test_a_good_file_becomes_frozen_values():
    entry = read(GOOD).entries["aud-planning-001"]
    assert entry.budget.call_usd == Decimal("0.10")
    assert entry.tools == ("audit.allocate_hours",)
    assert [case.name for case in entry.cases] == [f"case {n}" for n in range(1, 6)]
    assert (entry.domain, entry.path, entry.line) == ("audit", "audit.yaml", 5)
    with pytest.raises(AttributeError):
        entry.prompt = "another"


def test_a_directory_is_read_file_by_file(tmp_path):
    (tmp_path / "audit.yaml").write_text(GOOD, encoding="utf-8")
    assert len(load_catalogue(tmp_path, TOOLS)) == 1


def test_an_empty_directory_is_a_fault(tmp_path):
    with pytest.raises(InvalidDocument, match=r"no \*\.yaml"):
        load_catalogue(tmp_path, TOOLS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("under ISA 300", "under ISA 330"),
        ("tier: standard", "tier: strong"),
        ("temperature: 0.0", "temperature: 0.2"),
        ("max_output_tokens: 1200", "max_output_tokens: 900"),
        ("pii: redact", "pii: block"),
        ("sources: []", "sources: [Audit manual]"),
    ],
)
def test_the_digest_changes_with_what_decides_an_answer(old, new):
    assert old in GOOD
    (before,), (after,) = read(GOOD), read(GOOD.replace(old, new))
    assert before.digest != after.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: Audit planner", "name: Planner of audits"),
        ("risk: medium", "risk: low"),
        ('day_usd: "5.00"', 'day_usd: "6.00"'),
        ("max_workers: 4", "max_workers: 8"),
        ("satisfaction: 4.5", "satisfaction: 4.0"),
        ("number: 1.5", "number: 1.25"),
    ],
)
def test_the_digest_stays_when_only_the_agents_frame_changes(old, new):
    assert old in GOOD
    (before,), (after,) = read(GOOD), read(GOOD.replace(old, new))
    assert before.digest == after.digest


@pytest.mark.parametrize(
    ("old", "new", "path", "says"),
    [
        ("risk: medium", "risk: grave", "agents[0].risk", "'grave' is not one of"),
        ("risk: medium\n", "risk: medium\n    colour: red\n", "agents[0]", "'colour'"),
        ("    fallback: The", "    fall_back: The", "agents[0]", "'fallback' is a required"),
        ("tools: [audit.all", "tools: [audit.miss", "agents[0].tools[0]", "no tool"),
        ("{{ client }}", "{{ customer }}", "agents[0].prompt", "'customer' is used and not"),
        ("{{ client }}", "the client", "agents[0].variables[0]", "'client' is declared and not"),
        ("{{ client }}", "{{ client", "agents[0].prompt", "template line 1"),
        ("slug: aud-", "slug: tax-", "agents[0].slug", "must start with aud-"),
        ("number: 3.5", "number: 300", "agents[0].cases[2].facts[0]", "already states"),
        ("number: 3.5", "regex: a+", "agents[0].cases[2].facts[0]", "bounded"),
        ("number: 3.5", "numbr: 3.5", "agents[0].cases[2].facts[0]", "numbr"),
        ("hours: 300", "day: 2025-01-31", "agents[0].cases[2].input", "must be quoted"),
        ("case 2", "case 1", "agents[0].cases[1].name", "occurs twice"),
        ("min_workers: 0", "min_workers: 9", "agents[0].scaling.min_workers", "over max_workers"),
        ("tools: [audit.allocate_hours]", "tools: []", "agents[0]", "tools or sources"),
        ('call_usd: "0.10"', "call_usd: 0.10", "agents[0].budget.call_usd", "not of type 'string'"),
    ],
)
def test_a_fault_is_named_with_its_path_and_line(old, new, path, says):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    found = faults_of(text)
    matching = [fault for fault in found if fault[0] == f"audit.yaml:{path}" and says in fault[2]]
    assert matching, found
    assert matching[0][1] == line_of(text, WRITTEN_AT.get(path, new))


def test_all_faults_of_a_file_are_told_at_once():
    text = GOOD.replace("risk: medium", "risk: grave").replace("slug: aud-", "slug: tax-")
    assert len(faults_of(text)) == 2


def test_four_cases_are_one_too_few():
    text = AGENT + "".join(CASES.splitlines(keepends=True)[:4])
    assert [path for path, _line, _message in faults_of(text)] == ["audit.yaml:agents[0].cases"]


def test_a_slug_is_used_once_over_all_files():
    tax = GOOD.replace("domain: audit", "domain: tax")
    with pytest.raises(InvalidDocument) as refused:
        parse_catalogue({"audit.yaml": GOOD, "tax.yaml": tax}, TOOLS)
    messages = [fault["message"] for fault in refused.value.faults]
    assert any("already used in audit.yaml line 5" in message for message in messages)


def test_a_key_written_twice_is_a_fault_because_yaml_would_keep_only_the_last():
    text = GOOD.replace("    risk: medium\n", "    risk: medium\n    risk: low\n")
    expected = ("audit.yaml:agents[0].risk", line_of(text, "risk: low"), "the key occurs twice")
    assert expected in faults_of(text)


@pytest.mark.parametrize("text", ["agents: [", "", "just words", "- a\n- b\n", "agents: 5\n"])
def test_what_is_no_catalogue_is_a_fault_and_never_a_crash(text):
    assert faults_of(text)
