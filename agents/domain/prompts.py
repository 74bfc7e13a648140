"""Prompts are Jinja2 templates in a sandbox, with declared variables only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from config.errors import InvalidInput

MAX_PROMPT_CHARACTERS = 50_000
# A variable is a name or a number, never a text that could carry instructions of its own.
MAX_VALUE_CHARACTERS = 200


class _NotGiven(Undefined):
    """A declared variable without a value says so instead of leaving a hole."""

    def __str__(self) -> str:
        return f"({self._undefined_name} not given)"


_sandbox = ImmutableSandboxedEnvironment(undefined=_NotGiven, autoescape=False)


def check_prompt(source: str, variables: Collection[str]) -> None:
    """Raise InvalidInput for a template that is too long, broken, or uses undeclared names."""
    if len(source) > MAX_PROMPT_CHARACTERS:
        raise InvalidInput("prompt", len(source), f"at most {MAX_PROMPT_CHARACTERS} characters")
    try:
        used = meta.find_undeclared_variables(_sandbox.parse(source))
    except TemplateSyntaxError as error:
        raise InvalidInput("prompt", source, f"line {error.lineno}: {error.message}") from error
    if unknown := sorted(used - set(variables)):
        raise InvalidInput("prompt", ", ".join(unknown), "only declared variables may be used")


def render(source: str, variables: Collection[str], values: Mapping[str, Any]) -> str:
    """The prompt with the declared ``variables`` filled from ``values``.

    Values are single lines of at most MAX_VALUE_CHARACTERS; lists and objects are not rendered.
    Raises InvalidInput if the template fails.
    """
    given = {name: _line(values[name]) for name in variables if _is_scalar(values.get(name))}
    try:
        return _compiled(source).render(given)
    except (TemplateError, OverflowError, TypeError) as error:
        raise InvalidInput("prompt", source, f"a template that renders: {error}") from error


@lru_cache(maxsize=512)
def _compiled(source: str) -> Template:
    return _sandbox.from_string(source)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _line(value: object) -> str:
    return " ".join(str(value).split())[:MAX_VALUE_CHARACTERS]
