"""What has the right form and still cannot be meant: the slips that people make when they begin."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from config import schemas
from workflows.domain.expressions import Expression
from workflows.domain.fault_words import DURATION, Path
from workflows.domain.transitions import duration_seconds

# What this CEL knows beside its operators and macros (a test asks the library for each).
FUNCTIONS = frozenset(
    "size contains startsWith endsWith matches string int uint double bytes timestamp duration "
    "type dyn getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours "
    "getMinutes getSeconds getMilliseconds".split()
)
_ELSEWHERE = {"len": "size", "length": "size", "str": "string", "float": "double", "count": "size"}
STEP_PARTS = ("output", "error", "state")
_READS = re.compile(r"\bsteps\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_INPUT = re.compile(r"\binputs\.([A-Za-z_]\w*)")
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_OTHER_BRACES = re.compile(r"\{\{\s*(?:inputs|steps|run)\b.*?\}\}")
# Where a step says how long; a number of places, because each kind has its own.
_DURATIONS = (
    ("timeout",), ("retry", "backoff"), ("wait", "for"), ("wait", "timeout"),
    ("approval", "timeout"), ("approval", "escalate", "after"), ("compensate", "timeout"),
)  # fmt: skip
# Names that expressions have already, or that are words of CEL.
_TAKEN = frozenset(
    "inputs steps run output iteration in as break const continue else false for function if "
    "import let loop null package namespace return true var void while".split()
)
_SCHEMA_WORDS = frozenset(
    "type properties required additionalProperties description title default examples $schema $id "
    "$defs $ref allOf anyOf oneOf not if then else minProperties maxProperties propertyNames "
    "patternProperties dependentRequired dependentSchemas unevaluatedProperties enum const "
    "$comment definitions".split()
)

# What a fan-out gives beside its item.
_PLACES = frozenset({"index", "outer_index"})

Slip = tuple[Path, str]


def of_definition(source: Mapping[str, Any]) -> Iterator[Slip]:
    """Slips of a whole definition: times, inputs, texts, and each of its steps."""
    yield from _duration(source.get("timeout"), ("timeout",))
    if isinstance(inputs := source.get("inputs"), dict):
        yield from _inputs(inputs)
    yield from _texts(source.get("outputs"), ("outputs",))
    for key, raw in source["steps"].items():
        yield from _step(raw, ("steps", key))


def _step(raw: Mapping[str, Any], at: Path) -> Iterator[Slip]:
    for place in _DURATIONS:
        value: Any = raw
        for part in place:
            value = value.get(part) if isinstance(value, dict) else None
        yield from _duration(value, (*at, *place))
    yield from _texts(raw.get("with"), (*at, "with"))
    yield from _needless(raw, at)
    for path, name in (
        (("as",), raw.get("as")),
        (("each", "as"), (raw.get("each") or {}).get("as")),
    ):
        if name in _TAKEN or (path == ("as",) and name in _PLACES):
            yield (*at, *path), f"{name!r} means something else in expressions; take another name"
    for path, rows in (
        (("for_each",), raw.get("for_each")),
        (("each", "for_each"), (raw.get("each") or {}).get("for_each")),
    ):
        if isinstance(rows, str) and "${" not in rows:
            yield (*at, *path), f'must be a list or an expression; write "${{ {rows.strip()} }}"'
    yield from _of_approval(raw.get("approval"), at)
    until = (raw.get("wait") or {}).get("until")
    if isinstance(until, str) and "${" not in until:
        try:
            datetime.fromisoformat(until)
        except ValueError:
            yield (*at, "wait", "until"), f"{until!r} is no time; write 2026-01-31T09:00:00Z"


def _needless(raw: Mapping[str, Any], at: Path) -> Iterator[Slip]:
    """Keys of a step that its kind does not read."""
    if "approval" in raw or "wait" in raw:
        kind = "approval" if "approval" in raw else "wait"
        for part in ("with", "retry", "timeout"):
            if part in raw:
                inside = f"; write {kind}: {{…, timeout: 3d}}" if part == "timeout" else ""
                yield (*at, part), f"has no meaning for {kind}{inside}"
    elif "workflow" in raw and "retry" in raw:
        yield (*at, "retry"), "has no meaning for a workflow: its own steps are tried again"


def _of_approval(raw: Any, at: Path) -> Iterator[Slip]:
    if not isinstance(raw, dict) or "form" not in raw:
        return
    if fault := schemas.fault_of(raw["form"]):
        yield (*at, "approval", "form", *fault[0]), fault[1]


def _duration(value: Any, at: Path) -> Iterator[Slip]:
    if value is None:
        return
    try:
        duration_seconds(value)
    except ValueError:
        yield at, f"{value!r} is no duration that can be kept; {DURATION}"


def _inputs(raw: Mapping[str, Any]) -> Iterator[Slip]:
    named = raw.get("type", "object")
    if named != "object" and not (isinstance(named, list) and "object" in named):
        yield ("inputs", "type"), f"inputs are an object, not {named!r}"
    strange = sorted(set(raw) - _SCHEMA_WORDS)
    if strange and "properties" not in raw:
        form = f"{{type: object, properties: {{{strange[0]}: {{type: string}}}}}}"
        yield ("inputs", strange[0]), f"no word of JSON Schema; inputs are written {form}"
    properties = raw.get("properties")
    required = raw.get("required")
    if isinstance(properties, dict) and isinstance(required, list):
        for name in required:
            if isinstance(name, str) and name not in properties:
                if near := _nearest(name, properties):
                    said = f"unknown input {name!r}; did you mean {near!r}?"
                    yield ("inputs", "required"), said


def _texts(value: Any, at: Path) -> Iterator[Slip]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _texts(child, (*at, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, (*at, index))
    elif isinstance(value, str) and (found := _OTHER_BRACES.search(value)):
        inner = found[0].strip("{} ")
        yield at, f"{found[0]} stays as it is written; an expression is ${{ {inner} }}"


def of_expression(expression: Expression, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Slips in one expression: functions that there are not, parts that a step has not."""
    for name in sorted(expression.functions - FUNCTIONS):
        near = _ELSEWHERE.get(name) or _nearest(name, sorted(FUNCTIONS))
        hint = f"did you mean {near}()?" if near else f"there are {', '.join(sorted(FUNCTIONS))}"
        yield f"unknown function {name}(); {hint}"
    bare = _STRING.sub("''", expression.source)
    for step, part in dict.fromkeys(_READS.findall(bare)):
        if part not in STEP_PARTS:
            near = _nearest(part, STEP_PARTS)
            better = f"steps.{step}.{near}" if near else f"steps.{step}.output.{part}"
            yield f"a step has output, error and state, not {part!r}; did you mean {better}?"
    properties = inputs.get("properties")
    if isinstance(properties, dict) and inputs.get("additionalProperties") is not True:
        for name in sorted(set(_INPUT.findall(bare)) - set(properties)):
            near = _nearest(name, properties)
            yield f"unknown input {name!r}" + (f"; did you mean {near!r}?" if near else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")
