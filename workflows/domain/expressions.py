"""CEL expressions and ``${ … }`` templates: compiled once, bounded, with what they refer to.

Plain paths (``steps.a.output.b``) are read without the CEL engine, which would convert the whole
context. Others see only the names they refer to. Source: the Common Expression Language
specification, https://cel.dev.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from config.errors import AppError
from workflows.domain.cel_engine import Program, compile_source
from workflows.domain.fault_words import cel_problem
from workflows.domain.macros import LITERAL, PIECE, Effort, Macro, bare, every, macros_of
from workflows.domain.results import as_json, as_text

# An expression is one line of a person's intent. CEL has no loops but its macros, so length,
# depth, the number of macros and what these go through bound its time.
MAX_CHARACTERS = 1000
MAX_DEPTH = 20
MAX_MACROS = 2
MAX_RESULT_ITEMS = 100_000

_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*")
_PART = re.compile(r"[A-Za-z_]\w*|\[\d+\]")
_STEP = re.compile(r"\bsteps\.([A-Za-z_]\w*)|\bsteps\[\s*['\"]([^'\"]+)['\"]\s*\]")
# A field of a step's output; not a method that is called on it, nor one that is asked for by has().
_READ = re.compile(
    r"(?<!has\()\bsteps\.([A-Za-z_]\w*)\.output((?:\.[A-Za-z_]\w*+(?!\s*\()|\[\d+\])+)"
)
# What a long list that was gone through in pieces is called instead.
_HOISTED = "ratchet_listed"
# What evaluating may raise.
_ENGINE = (KeyError, TypeError, ValueError, IndexError, ArithmeticError, RuntimeError)


class ExpressionFailed(AppError):
    """An expression could not be evaluated over the values it met."""

    code, http_status = "expression_failed", 422

    def __init__(self, expression: str, why: str) -> None:
        super().__init__(expression, why)
        self.expression, self.why = expression, why

    def __str__(self) -> str:
        return f"expression {self.expression!r}: {self.why}"


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression; ``names`` are the roots it reads, ``steps`` the steps.

    ``functions`` are those that it calls by name; operators and macros are none. ``reads`` are
    paths into steps' outputs, as far as they are written out: (step, part, …).
    """

    source: str
    names: frozenset[str]
    steps: frozenset[str]
    reads: frozenset[tuple[str | int, ...]]
    path: tuple[str | int, ...] | None
    program: Program | None
    functions: frozenset[str] = frozenset()
    macros: tuple[Macro, ...] = ()

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """The value over ``context``; raises ExpressionFailed."""
        try:
            if self.path is not None:
                return _walk(self.path, context)
            return as_json(self._executed({n: _only(n, self, context) for n in self.names}))
        except KeyError as error:
            raise ExpressionFailed(self.source, f"there is no {error.args[0]!r}") from None
        except _ENGINE as error:
            raise ExpressionFailed(self.source, str(error).splitlines()[0][:300]) from None

    def _executed(self, values: dict[str, Any]) -> Any:
        assert self.program is not None  # noqa: S101  there is a path else
        if not self.macros:
            return self.program.execute(values)
        effort = Effort(bare(self.source), self.macros, values)
        if macro := effort.to_cut():
            effort.require_possible(macro)
            try:
                return self._in_pieces(macro, effort)
            except (ExpressionFailed, *_ENGINE):  # perhaps what a condition would leave out
                if not effort.is_possible:
                    raise
        effort.require_possible()
        return self.program.execute(values)

    def _in_pieces(self, macro: Macro, effort: Effort) -> Any:
        """``macro`` over pieces of its list first, then the rest with what that gave."""
        name = _HOISTED + "_" * self.source.count(_HOISTED)
        inside = compile_expression(name + self.source[macro.path_end : macro.end])
        items = _walk(_parts(macro.receiver), effort.values)
        assert inside.program is not None  # noqa: S101  a macro is no path
        others = {n: _only(n, inside, effort.values) for n in inside.names - {name}}
        pieces: list[Any] = []
        for start in range(0, len(items), PIECE):
            pieces += inside.program.execute({**others, name: items[start : start + PIECE]})
        rest = self.source[: macro.start] + name + self.source[macro.end :]
        return compile_expression(rest).evaluate({**effort.values, name: pieces})


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Expression:
    """Compile ``source``; raises ExpressionFailed saying what is wrong or too much."""
    text = source.strip()
    _check_bounds(text)
    blank = bare(text)
    steps = frozenset(a or b for a, b in _STEP.findall(text))
    reads = frozenset((step, *_parts(rest)) for step, rest in _READ.findall(blank))
    if _PATH.fullmatch(text) and text not in {"true", "false", "null"}:
        path = _parts(text)
        return Expression(text, frozenset({str(path[0])}), steps, reads, path, None)
    try:
        program = compile_source(text)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ExpressionFailed(text, cel_problem(text, str(error))) from None
    macros = macros_of(blank)
    names = frozenset(program.variables()) - {macro.variable for macro in every(macros)}
    functions = frozenset(f for f in program.functions() if f[0].isalpha())
    return Expression(text, names, steps, reads, None, program, functions, macros)


def _parts(text: str) -> tuple[str | int, ...]:
    found = _PART.findall(text)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in found)


def _check_bounds(text: str) -> None:
    if not text:
        raise ExpressionFailed(text, "it is empty")
    if len(text) > MAX_CHARACTERS:
        raise ExpressionFailed(
            text[:40] + "…", f"it has {len(text)} characters; the limit is {MAX_CHARACTERS}"
        )
    depth = deepest = 0
    blank = bare(text)
    for character in blank:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ExpressionFailed(text, f"it nests {deepest} deep; the limit is {MAX_DEPTH}")
    if len(every(macros_of(blank))) > MAX_MACROS:
        raise ExpressionFailed(text, f"it has more than {MAX_MACROS} of map, filter, all, exists")


def _walk(path: tuple[str | int, ...], context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in path:
        if isinstance(part, int) and isinstance(value, list):
            value = value[part]
        elif isinstance(value, Mapping):
            value = value[part]
        elif value is None:
            raise TypeError(f"{part!r} of null: the step before it has no output")
        else:
            raise TypeError(f"{part!r} of {type(value).__name__}")
    return value


def listed(value: Any) -> list[Any] | None:
    """What is gone through of a list or a mapping, ``{key, value}`` by key; None of others.

    A mapping has no order of its own that lasts: PostgreSQL keeps another one than was written.
    """
    if isinstance(value, dict):
        return [{"key": key, "value": value[key]} for key in sorted(value, key=str)]
    return value if isinstance(value, list) else None


def _only(name: str, expression: Expression, context: Mapping[str, Any]) -> Any:
    value = context[name]
    if name == "steps" and expression.steps:
        return {key: value[key] for key in expression.steps if key in value}
    return value


@dataclass(frozen=True, slots=True)
class Template:
    """A value in which ``${ … }`` stands for what an expression gives."""

    value: Any
    expressions: tuple[Expression, ...]

    @property
    def steps(self) -> frozenset[str]:
        return frozenset().union(*(e.steps for e in self.expressions))

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(e.names for e in self.expressions))

    def render(self, context: Mapping[str, Any]) -> Any:
        """The value with every expression put in; a lone ``${ … }`` keeps its type."""
        if not self.expressions:
            return self.value
        return _render(self.value, context)


def compile_template(value: Any) -> Template:
    """Compile all expressions in ``value``; raises ExpressionFailed for the first bad one."""
    return Template(value, tuple(_collect(value)))


@lru_cache(maxsize=4096)
def split_template(text: str) -> tuple[tuple[str, bool], ...]:
    """``text`` cut into plain parts and expressions; braces inside an expression are its own.

    Raises ExpressionFailed for a ``${`` that is never closed.
    """
    parts: list[tuple[str, bool]] = []
    rest = text
    while "${" in rest:
        plain, _, rest = rest.partition("${")
        if plain:
            parts.append((plain, False))
        end = _closing_brace(rest)
        if end is None:
            raise ExpressionFailed("${" + rest[:60], "its closing brace is missing")
        parts.append((rest[:end].strip(), True))
        rest = rest[end + 1 :]
    if rest:
        parts.append((rest, False))
    return tuple(parts)


def _closing_brace(text: str) -> int | None:
    depth, place = 0, 0
    while place < len(text):
        if literal := LITERAL.match(text, place):
            place = literal.end()
            continue
        if text[place] == "{":
            depth += 1
        elif text[place] == "}":
            if depth == 0:
                return place
            depth -= 1
        place += 1
    return None


def _collect(value: Any) -> list[Expression]:
    if isinstance(value, str):
        return [compile_expression(part) for part, is_code in split_template(value) if is_code]
    if isinstance(value, dict):
        return [e for child in value.values() for e in _collect(child)]
    if isinstance(value, list):
        return [e for child in value for e in _collect(child)]
    return []


def _render(value: Any, context: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        if "${" not in value:
            return value
        parts = split_template(value.strip())
        if len(parts) == 1:
            return compile_expression(parts[0][0]).evaluate(context)
        return "".join(
            as_text(compile_expression(part).evaluate(context)) if is_code else part
            for part, is_code in split_template(value)
        )
    if isinstance(value, dict):
        return {key: _render(child, context) for key, child in value.items()}
    if isinstance(value, list):
        return [_render(child, context) for child in value]
    return value
