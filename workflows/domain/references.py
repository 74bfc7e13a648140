"""What a definition's expressions refer to: whether names, steps and fields are there by then."""

from __future__ import annotations

import difflib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.domain import slips
from workflows.domain.definition import ROOT_NAMES, needs_of
from workflows.domain.documents import Path
from workflows.domain.expressions import (
    Expression,
    ExpressionFailed,
    compile_expression,
    compile_template,
)
from workflows.domain.faults import Faults
from workflows.domain.fitting import misfit, missing_field, types_from, types_of


@dataclass(frozen=True, slots=True)
class References:
    """Judges the expressions of one definition; what is wrong goes to ``faults``.

    ``inputs`` is the definition's JSON Schema, ``outputs`` what is known of each step's output.
    """

    faults: Faults
    steps: Mapping[str, Any]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    def check(
        self,
        value: Any,
        at: Path,
        before: Container[str],
        extra: frozenset[str],
        gives: Mapping[str, Any] | None = None,
        *,
        is_turn: bool = False,
    ) -> None:
        """Judge every expression inside ``value``.

        ``before`` are the steps that have ended by then, ``extra`` the names beside the usual;
        ``gives`` is the JSON Schema of what is called ``output`` there, ``is_turn`` says that this
        is null at first.
        """
        if isinstance(value, dict):
            for key, child in value.items():
                self.check(child, (*at, key), before, extra, gives, is_turn=is_turn)
        elif isinstance(value, list):
            for index, child in enumerate(value):
                self.check(child, (*at, index), before, extra, gives, is_turn=is_turn)
        elif isinstance(value, str) and "${" in value:
            try:
                for expression in compile_template(value).expressions:
                    self._names(expression, at, before, extra)
                    if expression.path and expression.path[0] == "output":
                        if missing := missing_field(gives, expression.path[1:]):
                            self.faults.named("field of output", *missing, at)
                        elif is_turn and len(expression.path) > 1:
                            said = "output is null in the first turn; write "
                            text = expression.source.strip()
                            self.faults.add(at, f"{said}output == null ? … : {text}")
            except ExpressionFailed as error:
                self.faults.add(at, str(error))

    def condition(self, text: str, at: Path, before: Container[str], extra: frozenset[str]) -> None:
        """Judge a bare expression that must come to true or false."""
        bare = text.strip()
        if bare.startswith("${") and bare.endswith("}"):
            bare = bare[2:-1]
        try:
            expression = compile_expression(bare)
            self._names(expression, at, before, extra)
            given = types_from(expression, self.inputs, self.outputs)
            if why := misfit(given, frozenset({"boolean"}), strictly=True):
                self.faults.add(at, f"{bare} {why}")
        except ExpressionFailed as error:
            self.faults.add(at, str(error))

    def may_fit(self, value: Any, wanted: frozenset[str], at: Path, *, strictly: bool) -> None:
        """A fault if what an expression gives can never be of a wanted type."""
        if why := misfit(types_of(value, self.inputs, self.outputs), wanted, strictly=strictly):
            self.faults.add(at, f"{value} {why}")

    def _names(
        self, expression: Expression, at: Path, before: Container[str], extra: frozenset[str]
    ) -> None:
        allowed = ROOT_NAMES | extra
        every = frozenset(self.steps)
        for name in sorted(expression.names - allowed):
            near = difflib.get_close_matches(name, sorted(allowed), n=1)
            better = f"steps.{name}" if name in every else (near[0] if near else "")
            hint = f"did you mean {better}? There" if better else "there"
            self.faults.add(at, f"unknown name {name!r}; {hint} are {', '.join(sorted(allowed))}")
        for step in sorted(expression.steps):
            if self.faults.named("step", step, every, at) and step not in before:
                said = f"reads steps.{step}, which need not have ended by then; add a need"
                self.faults.add(at, said)
        for message in slips.of_expression(expression, self.inputs):
            self.faults.add(at, message)
        for source, *rest in sorted(expression.reads, key=str):
            if missing := missing_field(self.outputs.get(str(source)), tuple(rest)):
                self.faults.named(f"field of steps.{source}.output", *missing, at)


def holds_expression(value: Any) -> bool:
    """Whether ``value`` holds an expression, so that its type is known only at run time."""
    try:
        return bool(compile_template(value).expressions)
    except ExpressionFailed:
        return True


def predecessors_of(steps: Mapping[str, Any]) -> dict[str, list[str]]:
    """What each step waits for directly: its needs, and those whose failure leads to it."""
    found = {key: list(needs_of(raw.get("needs"))[1]) for key, raw in steps.items()}
    for source, raw in steps.items():
        if isinstance(raw.get("on_error"), dict):
            found.setdefault(raw["on_error"]["go_to"], []).append(source)
    return found


class Ancestry:
    """Which steps have ended when another starts; a bit a step, so that 10,000 take no time."""

    def __init__(self, predecessors: Mapping[str, list[str]]) -> None:
        self.predecessors = predecessors
        self.bits = {key: 1 << place for place, key in enumerate(predecessors)}
        self.found: dict[str, int] = {}

    def of(self, key: str) -> Before:
        """Steps that have ended when ``key`` starts."""
        stack = [] if key in self.found else [key]
        waiting: set[str] = set()
        while stack:
            at = stack[-1]
            needs = self.predecessors.get(at, ())
            # One that waits further down lies on a cycle: that is a fault of its own.
            if open_ := [n for n in needs if n not in self.found and n not in waiting]:
                waiting.add(at)
                stack += [n for n in open_ if n != at]
                if stack[-1] is not at:
                    continue
            stack.pop()
            if at not in self.found:
                self.found[at] = 0
                for need in needs:
                    self.found[at] |= self.bits.get(need, 0) | self.found.get(need, 0)
        return Before(self.found[key], self.bits)


class Before:
    """The steps of a bit set."""

    def __init__(self, held: int, bits: Mapping[str, int]) -> None:
        self.held, self.bits = held, bits

    def __contains__(self, key: object) -> bool:
        return bool(self.held & self.bits.get(str(key), 0))

    def and_also(self, key: str) -> Before:
        return Before(self.held | self.bits.get(key, 0), self.bits)
