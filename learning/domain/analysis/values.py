"""Read one field of a document, or say which is missing and what would do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import InvalidInput

MISSING = object()


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
    if above is not None and value <= above:
        raise InvalidInput(field, value, f"above {above:g}")
    if below is not None and value >= below:
        raise InvalidInput(field, value, f"below {below:g}")
    if least is not None and value < least:
        raise InvalidInput(field, value, f"at least {least:g}")
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
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise InvalidInput(path, value, "a name")
    return str(value)


def known(given: Mapping[str, Any], names: Sequence[str], path: str) -> None:
    """Refuse a misspelt field, which would silently change what is computed."""
    if unknown := sorted(set(given) - set(names)):
        raise InvalidInput(join(path, unknown[0]), given[unknown[0]], f"one of {_or(names)}")


def join(path: str, name: str) -> str:
    """The full name of a field; the document itself has none."""
    return name if path in ("", "document") else f"{path}.{name}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
