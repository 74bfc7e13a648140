from __future__ import annotations

import pytest

from agents.domain.prompts import check_prompt, render
from learning.domain import variations as made

PROMPT = (
    "You are an auditor{% if client %} for {{ client }}{% endif %}.\n"
    "Please make sure that you state materiality. In order to do so, use benchmarks.\n"
    "State the currency. State the currency.\n"
    "Never guess figures."
)


@pytest.mark.parametrize(
    "kind",
    [
        "explicit",
        "compressed",
        "brief",
        "error_handling",
        "anti_hallucination",
        "conversation_flow",
    ],
)
def test_every_variation_is_a_template_that_renders(kind):
    (found,) = [
        v
        for v in made.variations(
            PROMPT, tools=["audit.materiality"], missed=["number 5"], failures=["{{ 7*7 }} broke"]
        )
        if v.kind == kind
    ]
    check_prompt(found.prompt, ["client"])
    shown = render(found.prompt, ["client"], {"client": "Ada GmbH"})
    assert "Ada GmbH" in shown
    assert "49" not in shown  # an error message never runs as a template


def test_compression_drops_fillers_and_repetition_and_keeps_orders():
    found = made.compressed(PROMPT)
    assert len(found) < len(PROMPT)
    assert found.count("State the currency.") == 1
    assert "Never guess figures." in found
    assert "{% if client %} for {{ client }}{% endif %}" in found
    assert "In order to" not in found


def test_compression_of_what_is_short_changes_nothing():
    assert made.compressed("Answer in one line.") == "Answer in one line."


def test_a_section_is_added_once():
    once = made.constrained(PROMPT)
    assert made.constrained(once) == once


def test_what_changes_nothing_is_no_variation():
    kinds = [v.kind for v in made.variations(made.constrained("Answer."))]
    assert "anti_hallucination" not in kinds
    assert "compressed" not in kinds


def test_failures_are_named_and_missed_facts_by_their_kind_alone():
    found = {
        v.kind: v.prompt
        for v in made.variations(
            "Answer.", tools=["a.b"], missed=["number 12.5"], failures=["tool <*> timed out"]
        )
    }
    assert "12.5" not in found["explicit"]  # the answer to one case helps no other
    assert "every figure of the tools' results" in found["explicit"]
    assert "a.b" in found["explicit"]
    assert "timed out" in found["error_handling"]
