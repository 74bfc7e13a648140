"""JSON Schemas that people and other systems give: checked when they come in, used within limits.

``jsonschema`` alone fetches what a ``$ref`` elsewhere names, from networks and from files, follows
a reference to itself without end, and gives a pattern as long as it wants. Nothing is fetched here,
and a schema has a bounded time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import jsonschema
import referencing
import regex
from jsonschema.exceptions import ValidationError, best_match
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

Path = tuple[str | int, ...]
PATTERN_SECONDS = 0.05
SCHEMA_SECONDS = 1.0
# A schema's text: more is nobody's form.
MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 64
_ENDLESS = "the schema refers to itself without end, or takes too long"
_NO_PATTERN = (regex.error, OverflowError, RecursionError)
_BROKEN = (TypeError, AttributeError, KeyError, ValueError, OverflowError, regex.error,
           jsonschema.exceptions.UnknownType)  # fmt: skip
_until: ContextVar[float] = ContextVar("schema_until")
_NOTHING_ELSE: referencing.Registry[Any] = referencing.Registry()


class _TooLongError(Exception):
    """A schema has used up its time."""


def fault_of(schema: Any) -> tuple[Path, str] | None:
    """Where and why ``schema`` is none that can be used, or None. Drafts other than 2020-12 too."""
    if _depth(schema) > MAX_DEPTH or len(str(schema)) > MAX_CHARACTERS:
        limit = f"{MAX_DEPTH} levels and {MAX_CHARACTERS} characters"
        return (), f"a schema has at most {limit}"
    if not isinstance(schema, dict | bool):
        return (), f"not a JSON Schema: {schema!r} is no object"
    if isinstance(schema, dict) and not isinstance(dialect := schema.get("$schema", ""), str):
        return ("$schema",), f"not a JSON Schema: {dialect!r} is not of type 'string'"
    try:
        kind = jsonschema.validators.validator_for(schema, default=_Bounded)
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        return tuple(error.absolute_path), f"not a JSON Schema: {error.message}"
    except _NO_PATTERN as error:
        return (), f"it holds what is no pattern: {error}"
    if not isinstance(schema, dict):
        return None
    resolver = _resolver(schema)
    for path, word, value in _words(schema, ()):
        if word in ("$ref", "$dynamicRef"):
            try:
                resolver.lookup(value)
            except (Unresolvable, *_BROKEN):  # also a pointer through what is no schema
                return path, f"{value!r} is nothing in this schema; nothing else is read"
        else:
            try:
                regex.compile(value)
            except _NO_PATTERN as error:
                return path, f"{value!r} is no pattern: {error}"
    return None


def errors(schema: Any, value: Any, *, formats: bool = False) -> list[ValidationError]:
    """What is wrong with ``value`` under ``schema``; that the schema takes too long is one."""
    token = _until.set(time.thread_time() + SCHEMA_SECONDS)
    try:
        return list(_validator(schema, formats=formats).iter_errors(value))
    except (RecursionError, _TooLongError):
        return [ValidationError(_ENDLESS)]
    except Unresolvable as error:
        return [ValidationError(f"{error.ref!r} is nothing in this schema; nothing else is read")]
    except _BROKEN as error:  # one that was never checked
        return [ValidationError(f"not a JSON Schema: {error}")]
    finally:
        _until.reset(token)


def first_error(schema: Any, value: Any, *, formats: bool = False) -> ValidationError | None:
    """The error that says most, or None where ``value`` fits."""
    found: ValidationError | None = best_match(errors(schema, value, formats=formats))
    return found


# The same schemas come again and again, as the same objects; making a validator costs as much as a
# small value's check.
MOST_KEPT = 128
_kept: dict[tuple[int, bool], Any] = {}


def _validator(schema: Any, *, formats: bool) -> Any:
    kept = _kept.get((id(schema), formats))
    if kept is not None and kept.schema is schema:
        return kept
    checker = _Bounded.FORMAT_CHECKER if formats else None
    made = _Bounded(schema, registry=_NOTHING_ELSE, format_checker=checker)
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[id(schema), formats] = made
    return made


def _resolver(schema: Mapping[str, Any]) -> Any:
    resource = referencing.Resource.from_contents(schema, default_specification=DRAFT202012)
    return _NOTHING_ELSE.resolver_with_root(resource)


def _words(part: Any, path: Path) -> Iterator[tuple[Path, str, str]]:
    """References and patterns of a schema, wherever a word of that name holds a text."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("$ref", "$dynamicRef", "pattern") and isinstance(value, str):
                yield (*path, key), key, value
            elif key not in ("const", "enum", "default", "examples"):
                yield from _words(value, (*path, key))
        patterns = part.get("patternProperties")
        for pattern in patterns if isinstance(patterns, dict) else ():  # or a property so called
            yield (*path, "patternProperties"), "pattern", str(pattern)
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from _words(value, (*path, index))


def _depth(part: Any) -> int:
    """How deep ``part`` is nested, as far as MAX_DEPTH and one more."""
    level, parts = 0, [part]
    while parts and level <= MAX_DEPTH:
        inner: list[Any] = []
        for one in parts:
            inner += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        level, parts = level + 1, inner
    return level


def _matches(pattern: str, text: str) -> bool:
    _on_time()
    try:
        return regex.search(pattern, text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        raise _TooLongError from None


def _on_time() -> None:
    if time.thread_time() > _until.get():
        raise _TooLongError


def _pattern(validator: Any, pattern: str, value: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(value, "string") and not _matches(pattern, value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], value: Any, _: Any
) -> Iterator[ValidationError]:
    if validator.is_type(value, "object"):
        for pattern, schema in patterns.items():
            for name, item in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _additional(
    validator: Any, allowed: Any, value: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not validator.is_type(value, "object"):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    more = [name for name in value
            if name not in known and not any(_matches(one, name) for one in patterns)]  # fmt: skip
    if validator.is_type(allowed, "object"):
        for name in more:
            yield from validator.descend(value[name], allowed, path=name)
    elif not allowed and more:
        named = ", ".join(map(repr, sorted(more, key=str)))
        yield ValidationError(
            f"Additional properties are not allowed ({named} "
            f"{'was' if len(more) == 1 else 'were'} unexpected)"
        )


def _unique(validator: Any, is_unique: Any, value: Any, _: Any) -> Iterator[ValidationError]:
    if is_unique and validator.is_type(value, "array"):
        seen = {_identity(item) for item in value}
        if len(seen) < len(value):
            yield ValidationError(f"{value!r} has non-unique elements")


def _identity(value: Any) -> Any:
    """What is the same for what JSON Schema calls equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return dict, frozenset((key, _identity(one)) for key, one in value.items())
    if isinstance(value, list):
        return list, tuple(map(_identity, value))
    return isinstance(value, bool), value


def _timed(check: Callable[..., Any]) -> Callable[..., Any]:
    def timed(validator: Any, word: Any, value: Any, schema: Any) -> Any:
        _on_time()
        return check(validator, word, value, schema)

    return timed


def _in_order(schema: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """A schema's words. ``unevaluated…`` looks at patterns without a limit: after the others."""
    return sorted(schema.items(), key=lambda item: item[0].startswith("unevaluated"))


_WORDS = {
    **jsonschema.Draft202012Validator.VALIDATORS, "pattern": _pattern,
    "patternProperties": _pattern_properties, "additionalProperties": _additional,
    "uniqueItems": _unique,
}  # fmt: skip
_Bounded: Any = jsonschema.validators.create(
    meta_schema=jsonschema.Draft202012Validator.META_SCHEMA,
    validators={word: _timed(check) for word, check in _WORDS.items()},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER,
    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    applicable_validators=_in_order,
)
