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


@pytest.mark.parametrize(
    "source",
    ["{{ 'a'|indent(999999999) }}", "{{ 'x'.center(999999999) }}", "{{ 2 ** (10 ** 8) }}",
     "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% include 'x' %}",
     "{% for a in 'abc' %}{% if a %}{% for b in 'abc' %}{% endfor %}{% endif %}{% endfor %}",
     "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 40,
     "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}"],
)  # fmt: skip
def test_what_could_take_any_time_or_memory_is_refused_before_it_runs(source):
    with pytest.raises(InvalidInput):
        prompts.check_prompt(source, [])


@pytest.mark.parametrize(
    "source",
    ["{{ 'a' * 999999999 }}", "{{ '%999999999d' % 1 }}", "{{ 1 / 0 }}",
     "{% for a in '" + "a" * 1_000 + "' %}" + "b" * 1_000 + "{% endfor %}"],
)  # fmt: skip
def test_a_template_that_fails_or_says_too_much_is_an_error_of_its_author(source):
    with pytest.raises(InvalidInput, match="a template that"):
        prompts.render(source, [], {})


@pytest.mark.parametrize(
    "source",
    ["{{ ''.__class__.__mro__ }}", "{% if client %}{{ client['__class__'] }}{% endif %}",
     "{{ 'a' * 9 }}"],
)  # fmt: skip
def test_what_no_call_may_render_is_refused_before_it_is_published(source):
    with pytest.raises(InvalidInput, match="prompt"):
        prompts.check_prompt(source, ["client"])


def test_ordinary_logic_still_renders():
    source = "{% if n|int > 2 %}{{ n|int * 100 }} %{% endif %}"
    source += "{% for a in 'ab' %}{{ a|upper }}{% endfor %}"
    prompts.check_prompt(source, ["n"])
    assert prompts.render(source, ["n"], {"n": 3}) == "300 %AB"
