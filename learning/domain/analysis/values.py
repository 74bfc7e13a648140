"""Read one field of a document, or say which is missing and what would do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import InvalidInput

MISSING = object()
# Beyond these a square, or the square of a square, no longer fits a double.
LARGEST, SMALLEST = 1e60, 1e-60
LONGEST_NAME = 200
# Whole numbers that a double still tells apart.
MOST_UNITS = 10**15


def find(given: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of ``names`` that ``given`` holds, or MISSING."""
    for name in names:
        if name in given and given[name] is not None:
            return given[name]
    return MISSING


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(path, type(value).__name__, "an object")
    return value


def sequence(value: Any, path: str, least: int = 1) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or len(value) < least:
        raise InvalidInput(path, value if isinstance(value, str | int) else type(value).__name__,
                           f"a list of at least {least}")  # fmt: skip
    return value


def number(
    given: Mapping[str, Any],
    names: Sequence[str],
    path: str,
    *,
    default: float | None = None,
    above: float | None = None,
    below: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """A finite number under any of ``names``; InvalidInput names the field and the limit."""
    value = find(given, names)
    field = join(path, names[0])
    if value is MISSING:
        if default is not None:
            return default
        raise InvalidInput(field, None, f"is missing; give {_or(names)}")
    if not _is_finite(value):
        raise InvalidInput(field, value, "a finite number")
    if value and not SMALLEST <= abs(value) <= LARGEST:
        raise InvalidInput(field, value, f"0, or from {SMALLEST:g} to {LARGEST:g} in size")
    if above is not None and value <= above:
        raise InvalidInput(field, value, f"above {above:g}")
    if below is not None and value >= below:
        raise InvalidInput(field, value, f"below {below:g}")
    if least is not None and value < least:
        raise InvalidInput(field, value, f"at least {least:g}")
    if most is not None and value > most:
        raise InvalidInput(field, value, f"at most {most:g}")
    return float(value)


def _is_finite(value: Any) -> bool:
    """Whether this is a number that a double holds; JSON allows whole numbers of any length."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def count(
    given: Mapping[str, Any], names: Sequence[str], path: str, *, default: int | None = None,
    least: int = 0,
) -> int:  # fmt: skip
    """A whole number of at least ``least``."""
    value = number(given, names, path, default=default, least=least)
    if value != int(value):
        raise InvalidInput(join(path, names[0]), value, "a whole number")
    if value > MOST_UNITS:
        raise InvalidInput(join(path, names[0]), value, f"at most {MOST_UNITS:g}")
    return int(value)


def choice(
    given: Mapping[str, Any], names: Sequence[str], path: str, choices: Mapping[str, str],
    default: str | None = None,
) -> str:  # fmt: skip
    """One of ``choices`` (accepted spelling → meaning)."""
    value = find(given, names)
    if value is MISSING:
        if default is not None:
            return default
        raise InvalidInput(join(path, names[0]), None, f"is missing; one of {_or(list(choices))}")
    key = str(value).lower().replace("-", "_").replace(" ", "_").replace("'", "")
    if key not in choices:
        raise InvalidInput(join(path, names[0]), value, f"one of {_or(list(choices))}")
    return choices[key]


def text(value: Any, path: str) -> str:
    """A name that can be written: half a surrogate pair can't."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise InvalidInput(path, type(value).__name__, "a name")
    if any("\ud800" <= sign <= "\udfff" for sign in str(value)):
        raise InvalidInput(path, ascii(value), "a name of whole characters")
    if len(str(value)) > LONGEST_NAME:
        raise InvalidInput(path, len(str(value)), f"a name of at most {LONGEST_NAME} characters")
    return str(value)


def flag(given: Mapping[str, Any], name: str, path: str, *, default: bool = False) -> bool:
    """True or false; anything else would silently be read as its opposite."""
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidInput(join(path, name), value, "true or false")
    return value


def known(given: Mapping[str, Any], names: Sequence[str], path: str) -> None:
    """Refuse a misspelt field, which would silently change what is computed."""
    if unknown := sorted(set(given) - set(names)):
        raise InvalidInput(join(path, unknown[0]), given[unknown[0]], f"one of {_or(names)}")


def join(path: str, name: str) -> str:
    """The full name of a field; the document itself has none."""
    return name if path in ("", "document") else f"{path}.{name}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
