"""Prompts are Jinja2 templates in a sandbox, with declared variables only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from config.errors import InvalidInput

MAX_PROMPT_CHARACTERS = 50_000
# A variable is a name or a number, never a text that could carry instructions of its own.
MAX_VALUE_CHARACTERS = 200
# A template may say more than it holds, by a loop; a prompt beyond this helps no model.
MAX_RENDERED_CHARACTERS = 200_000
MAX_ASSIGNMENTS = 8
# What needs neither much time nor much memory, whatever it is given: a template holds at most one
# loop in another's place, and nothing that repeats, pads or joins texts.
_FILTERS = frozenset(
    "abs capitalize d default e escape first float int last length lower round string title tojson "
    "trim truncate upper wordcount".split()
)
_REFUSED: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Call, "calls"), (nodes.Pow, "powers"), (nodes.Macro, "macros"), (nodes.Block, "blocks"),
    (nodes.CallBlock, "calls"), (nodes.Include, "includes"), (nodes.Import, "imports"),
    (nodes.FromImport, "imports"), (nodes.Extends, "extends"),
)  # fmt: skip


class _NotGiven(Undefined):
    """A declared variable without a value says so instead of leaving a hole."""

    def __str__(self) -> str:
        return f"({self._undefined_name} not given)"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Numbers are multiplied and divided, texts are not repeated or filled."""

    intercepted_binops = frozenset({"*", "%", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} is for numbers")
        return super().call_binop(context, operator, left, right)


_sandbox = _Sandbox(undefined=_NotGiven, autoescape=False)


def check_prompt(source: str, variables: Collection[str]) -> None:
    """Raise InvalidInput for a template that is too long, broken, or uses undeclared names."""
    if len(source) > MAX_PROMPT_CHARACTERS:
        raise InvalidInput("prompt", len(source), f"at most {MAX_PROMPT_CHARACTERS} characters")
    try:
        tree = _sandbox.parse(source)
        if costly := next(_costly(tree), None):  # before anything computes its constants
            raise InvalidInput("prompt", *costly)
        used = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        raise InvalidInput("prompt", source, f"line {error.lineno}: {error.message}") from error
    except RecursionError:
        raise InvalidInput("prompt", source[:80], "a template that is less deeply nested") from None
    if hidden := next(_hidden(tree), None):
        raise InvalidInput("prompt", hidden, "a template without the insides of values")
    if unknown := sorted(used - set(variables)):
        raise InvalidInput("prompt", ", ".join(unknown), "only declared variables may be used")
    try:
        _rendered(source, {})
    except InvalidInput as error:  # a variable's value may be what it wants, a right is not
        if isinstance(error.__cause__, SecurityError):
            raise


def _hidden(tree: nodes.Template) -> Iterator[str]:
    """What the sandbox refuses to every call, in whichever branch it stands."""
    for used in tree.find_all(nodes.Getattr):
        if used.attr.startswith("_"):
            yield f"{used.attr} in line {used.lineno}"
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Const) and str(item.arg.value).startswith("_"):
            yield f"{item.arg.value} in line {item.lineno}"


def _costly(tree: nodes.Template) -> Iterator[tuple[str, str]]:
    """What could take any time or memory, and what is allowed instead."""
    for kind, name in _REFUSED:
        if (found := tree.find(kind)) is not None:
            yield f"{name} in line {found.lineno}", f"a template without {name}"
    for used in tree.find_all(nodes.Filter):
        if used.name not in _FILTERS:
            yield f"{used.name} in line {used.lineno}", f"filters: {', '.join(sorted(_FILTERS))}"
    for loop in tree.find_all(nodes.For):
        if loop.recursive or any(part.find(nodes.For) for part in loop.iter_child_nodes()):
            yield f"a loop in a loop in line {loop.lineno}", "loops that stand alone"
    if (count := len(list(tree.find_all((nodes.Assign, nodes.AssignBlock))))) > MAX_ASSIGNMENTS:
        yield f"{count} assignments", f"at most {MAX_ASSIGNMENTS}"


def render(source: str, variables: Collection[str], values: Mapping[str, Any]) -> str:
    """The prompt with the declared ``variables`` filled from ``values``.

    Values are single lines of at most MAX_VALUE_CHARACTERS; lists and objects are not rendered.
    Raises InvalidInput if the template fails, or says more than MAX_RENDERED_CHARACTERS.
    """
    given = {name: _line(values[name]) for name in variables if _is_scalar(values.get(name))}
    return _rendered(source, given) if given else _always(source)


@lru_cache(maxsize=128)
def _always(source: str) -> str:
    """What a template says to whom gives it nothing, as every chat does: the same each time."""
    return _rendered(source, {})


def _rendered(source: str, given: Mapping[str, str]) -> str:
    try:
        said, pieces = 0, []
        for piece in _compiled(source).generate(given):
            said += len(piece)
            if said > MAX_RENDERED_CHARACTERS:
                limit = f"a template that says at most {MAX_RENDERED_CHARACTERS} characters"
                raise InvalidInput("prompt", source[:80], limit)
            pieces.append(piece)
        return "".join(pieces)
    except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("prompt", source, f"a template that renders: {error}") from error


@lru_cache(maxsize=512)
def _compiled(source: str) -> Template:
    return _sandbox.from_string(source)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float) and value != ""


def _line(value: object) -> str:
    return " ".join(str(value).split())[:MAX_VALUE_CHARACTERS]
