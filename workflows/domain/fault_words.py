"""What YAML, JSON Schema and CEL object to, in sentences that say what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema

Path = tuple[str | int, ...]

DURATION = "write 250ms, 30s, 5m, 2h or 3d, or seconds as a number, up to ten years"
KINDS = ("tool", "agent", "workflow", "approval", "wait")
_TYPES = {
    "object": "a mapping of keys and values", "array": "a list", "string": "text",
    "integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null",
}  # fmt: skip
# How a key is written; shown where something else stands.
_WRITTEN = {
    "steps": "steps: {first: {tool: core.echo}}", "needs": "needs: [first]",
    "with": "with: {argument: value}", "retry": "retry: {max_attempts: 3, backoff: 2s}",
    "approval": "approval: {role: manager}", "wait": "wait: {for: 5m} or wait: {signal: name}",
    "compensate": "compensate: {tool: name, with: {argument: value}}",
    "repeat": 'repeat: {until: "output.score > 3", max: 5}',
    "concurrency": 'concurrency: {key: "${ inputs.client }", max: 2}',
    "access": "access: {start: [manager]}", "start": "start: [manager]", "see": "see: [manager]",
    "approve": "approve: [manager]", "cancel": "cancel: [manager]",
    "budget_usd": 'budget_usd: "25.00", in quotes', "for_each": 'for_each: "${ inputs.rows }"',
    "each": 'each: {for_each: "${ item.rows }", as: row}', "outputs": 'outputs: {name: "${ … }"}',
    "inputs": "inputs: {type: object, properties: {year: {type: integer}}}",
    "when": 'when: "inputs.year > 2020"', "escalate": "escalate: {after: 1d, role: partner}",
}  # fmt: skip
_NAME = "small letters, digits and _, at most 64, a letter first"


def schema_fault(error: jsonschema.ValidationError) -> tuple[Path, str]:
    """Where and how a definition's form is wrong; no words where another error says it better."""
    path: Path = tuple(error.absolute_path)
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    value = error.instance
    if error.validator == "oneOf":
        return path, _choice(error, key)
    if error.validator == "type":
        wanted = error.validator_value
        named = [wanted] if isinstance(wanted, str) else list(wanted)
        return path, _not_of_type(value, named, key)
    if error.validator == "additionalProperties":
        extra = sorted(set(value) - set(error.schema.get("properties", {})))
        return (*path, extra[0]), unknown_keys(extra, error.schema.get("properties", {}))
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in value]
        return path, f"needs the key {', '.join(map(repr, missing))}{_as_in(key)}"
    if error.validator == "pattern":
        if "propertyNames" in error.absolute_schema_path:
            said = "is no name for a step: letters, digits and _, at most 64, a letter first"
            return (*path, str(value)), f"{_shown(value)} {said}{_instead(str(value))}"
        return path, f"{_shown(value)} {_pattern(key, str(value))}"
    if error.validator == "enum":
        choices = ", ".join(map(str, error.validator_value))
        return path, f"is one of {choices}, not {_shown(value)}"
    if error.validator in ("maxProperties", "minProperties"):
        limit = error.validator_value
        if key == "wait":
            return path, "waits for exactly one of signal, for, until"
        side = "at most" if error.validator == "maxProperties" else "at least"
        return path, f"has {len(value)} keys; {side} {limit}"
    return path, str(error.message) if len(error.message) < 240 else f"{error.message[:200]}…"


def unknown_keys(extra: Iterable[str], known: Iterable[str]) -> str:
    """That some keys are not known, with the nearest that are."""
    extra, allowed = list(extra), sorted(known)
    if "<<" in extra:
        return "merge keys (<<) are not read; write the keys out, or use an alias for a whole value"
    near = difflib.get_close_matches(extra[0], allowed, n=1)
    hint = f"did you mean {near[0]!r}? There" if near else "there"
    return f"unknown key {', '.join(map(repr, extra))}; {hint} are {', '.join(allowed)}"


def _choice(error: jsonschema.ValidationError, key: str) -> str:
    value, wanted = error.instance, str(error.validator_value)
    if "'tool'" in wanted:
        if not isinstance(value, dict) or "<<" in value:
            return ""
        has = [kind for kind in KINDS if kind in value]
        told = f"has {' and '.join(has)}" if has else "has none of them"
        return f"a step is exactly one of {', '.join(KINDS)}; it {told}"
    if "at_least" in wanted:
        ways = "[a, b], {any: [a, b]} or {at_least: 2, of: [a, b, c]}"
        return f"needs are steps in a list: {ways}; not {_shown(value)}"
    if "go_to" in wanted:
        return f"is fail, continue or {{go_to: step}}, not {_shown(value)}"
    if "ms|s|m|h|d" in wanted:
        return f"{_shown(value)} is no duration; {DURATION}"
    return f"{_shown(value)} is nothing that {key or 'it'} can be"


def _not_of_type(value: Any, wanted: list[str], key: str) -> str:
    if value is None:
        return f"is empty; it must be {_either(wanted)}{_as_in(key)}"
    return f"must be {_either(wanted)}, not {_shown(value)}{_as_in(key)}"


def _either(wanted: list[str]) -> str:
    return " or ".join(_TYPES.get(one, one) for one in wanted)


def _as_in(key: str) -> str:
    return f"; write {_WRITTEN[key]}" if key in _WRITTEN else ""


def _pattern(key: str, value: str) -> str:
    if key == "budget_usd":
        return f"is no amount in USD; write {_WRITTEN[key]}"
    if key == "name":
        return f"is no name: {_NAME}{_instead(value.lower())}"
    return f"is no name: small letters, digits and _, a letter first{_instead(value.lower())}"


def _instead(value: str) -> str:
    better = re.sub(r"\W+", "_", value, flags=re.ASCII).strip("_")[:64]
    return f"; {better} would be" if re.fullmatch(r"[A-Za-z]\w*", better) else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:70]}…"


# ---------------------------------------------------------------- YAML
_YAML: Mapping[str, str] = {
    "found character '\\t' that cannot start any token": "has a tab; YAML is indented with spaces",
    "cannot start any token": "has a character that YAML keeps for itself (a tab, @ or `); "
    "indent with spaces, and put such text in quotes",
    "mapping values are not allowed": "has a ': ' where none can be; put text that contains one "
    "in quotes, or look at the indentation",
    "did not find expected key": "is indented unlike the lines before it",
    "did not find expected ',' or '}'": "has a { that is not closed by }, or lacks a comma",
    "did not find expected ',' or ']'": "has a [ that is not closed by ], or lacks a comma",
    "found unexpected end of stream": "has a quote that is never closed",
    "found undefined alias": "names an alias (*) that no anchor (&) defines",
    "but found another document": "holds more than one document (---); give one",
    "could not determine a constructor": "has a tag (!), which is not read; write plain values",
    "integer string conversion": "has a number of more than 4,300 digits",
    "control characters": "has a control character, which YAML does not allow",
}


def yaml_problem(problem: str) -> str:
    """What the YAML reader says, as what to mend."""
    for part, words in _YAML.items():
        if part in problem:
            return words
    return problem.splitlines()[0] if problem else "is no YAML"


# ---------------------------------------------------------------- CEL
_AT = re.compile(r"<input>:1:(\d+): (?:Syntax error: )?(.*)")
_CEL = (
    (re.compile(r"\band\b"), "'and'", "write && for and"),
    (re.compile(r"\bor\b"), "'or'", "write || for or"),
    (re.compile(r"\bnot\b"), "not", "write ! for not"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "'=", "compare with =="),
)


def cel_problem(text: str, said: str) -> str:
    """What the CEL parser says of ``text``, as where and what to mend."""
    found = _AT.search(said)
    if found is None:
        return said.splitlines()[0][:300]
    place, why = int(found[1]), found[2]
    where = f"at character {place}"
    for pattern, sign, advice in _CEL:
        if pattern.search(text) and sign in why:
            return f"{where}: {advice}"
    if "<EOF>' expecting" in why:
        return f"{where}: it ends too early"
    what = why.partition(" expecting ")[0].replace("mismatched input", "did not expect")
    return f"{where}: {what.replace('extraneous input', 'did not expect')}"[:300]
