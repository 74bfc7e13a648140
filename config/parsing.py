"""JSON bodies of the API: what nests without end or holds 1e999 is refused before it is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError

# More than any definition, input or form has; half of what Python's own walks can take.
MAX_DEPTH = 400


class JSONParser(parsers.JSONParser):
    """The framework's, with a limit of depth and of numbers (1e999); raises ParseError."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            found = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise _too_deep() from None
        if _is_deep(found):
            raise _too_deep()
        if (fault := no_number(found)) is not None:
            path, value = fault
            raise ParseError(f"{path or 'body'}: got {value}; a number under 1.8e308")
        return found


def no_number(value: Any) -> tuple[str, float] | None:
    """Where in ``value`` stands what JSON cannot say (NaN, an infinity), and which; else None."""
    left = [("", value)]
    while left:
        path, one = left.pop()
        if isinstance(one, dict):
            left += [(f"{path}.{key}" if path else str(key), part) for key, part in one.items()
                     if isinstance(part, float | dict | list | tuple)]  # fmt: skip
        elif isinstance(one, list | tuple):
            left += [(f"{path}[{place}]", part) for place, part in enumerate(one)
                     if isinstance(part, float | dict | list | tuple)]  # fmt: skip
        elif isinstance(one, float) and not math.isfinite(one):
            return path, one
    return None


def _too_deep() -> ParseError:
    return ParseError(f"the body nests deeper than {MAX_DEPTH} levels")


def _is_deep(body: Any) -> bool:
    level, depth = [body], 0
    while level and depth <= MAX_DEPTH:
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.values()
            elif isinstance(value, list):
                inside += value
        level, depth = inside, depth + 1
    return bool(level)
