from __future__ import annotations

import pytest

from agents.domain import prompts
from config.errors import InvalidInput


def test_a_prompt_is_filled_from_declared_scalars_on_one_line():
    text = prompts.render("Audit of {{ client }}.", ["client"], {"client": "Marlow\nLtd", "x": 1})
    assert text == "Audit of Marlow Ltd."


def test_a_value_that_is_missing_or_no_scalar_says_so():
    assert prompts.render("{{ client }}", ["client"], {}) == "(client not given)"
    assert prompts.render("{{ client }}", ["client"], {"client": {"a": 1}}) == "(client not given)"


def test_a_value_is_too_short_to_carry_instructions():
    text = prompts.render("{{ client }}", ["client"], {"client": "x" * 5000})
    assert len(text) == prompts.MAX_VALUE_CHARACTERS


def test_undeclared_variables_and_broken_templates_are_refused():
    with pytest.raises(InvalidInput, match="year"):
        prompts.check_prompt("{{ client }} {{ year }}", ["client"])
    with pytest.raises(InvalidInput, match="line 1"):
        prompts.check_prompt("{% if %}", [])


@pytest.mark.parametrize(
    "source",
    ["{{ ''.__class__.__mro__ }}", "{{ client.__class__.__init__.__globals__ }}",
     "{% for i in range(10**9) %}x{% endfor %}"],
)  # fmt: skip
def test_the_sandbox_holds(source):
    with pytest.raises(InvalidInput):
        prompts.render(source, ["client"], {"client": "a"})
