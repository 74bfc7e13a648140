"""JSON bodies of the doors that speak others' protocols: read strictly, before all else."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError

from config.errors import InvalidInput

# Nothing of a chat or of a webhook is nested deeper; what walks through a body may recurse.
MAX_DEPTH = 64


def json_object(request: HttpRequest, *, most_bytes: int, what: str) -> dict[str, Any]:
    """The request's body as an object whose texts can be stored; raises InvalidInput.

    Refused are NaN and infinities, which are no JSON, nesting beyond MAX_DEPTH, and texts with NUL
    or half a surrogate pair, which no database keeps.
    """
    content = _content(request, most_bytes)
    try:
        body = strictly(content)
    except ValueError as error:
        start = content[:80].decode(errors="replace")
        raise InvalidInput("body", start, f"JSON ({error})") from None
    if not isinstance(body, dict):
        raise InvalidInput("body", type(body).__name__, what)
    _check(body, has_escapes=b"\\u" in content)
    return body


def strictly(text: str | bytes) -> Any:
    """What ``text`` says as JSON; raises ValueError for NaN, for 1e999 and for endless nesting."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"nested too deeply: at most {MAX_DEPTH} levels") from None


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is no number under 1.8e308")
    return value


def _content(request: HttpRequest, most_bytes: int) -> bytes:
    try:
        content = request.body
    except RequestDataTooBig:
        raise InvalidInput("body", "too long", f"at most {most_bytes} bytes") from None
    except UnreadablePostError:
        raise InvalidInput("body", "cut off", "the whole body") from None
    if len(content) > most_bytes:
        raise InvalidInput("body", f"{len(content)} bytes", f"at most {most_bytes} bytes")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _check(body: dict[str, Any], *, has_escapes: bool, deepest: int | None = MAX_DEPTH) -> None:
    """Only an escape can bring NUL or half a pair: raw ones are no JSON or no UTF-8."""
    left: list[tuple[str, Any, int]] = [("", body, 1)]
    while left:
        path, value, depth = left.pop()
        if deepest is not None and depth > deepest:
            raise InvalidInput("body", "nested too deeply", f"at most {deepest} levels")
        if isinstance(value, dict):
            for key, item in value.items():
                if has_escapes and not _is_text(key):
                    raise _no_text(path or "body", key)
                left.append((f"{path}.{key}" if path else key, item, depth + 1))
        elif isinstance(value, list):
            left += [(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value)]
        elif has_escapes and isinstance(value, str) and not _is_text(value):
            raise _no_text(path, value)


def check_texts(values: Any) -> None:
    """Raise InvalidInput with the path of a text, or of a key, that no database keeps."""
    if isinstance(values, dict):
        _check(values, has_escapes=True, deepest=None)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in value


def _no_text(path: str, value: str) -> InvalidInput:
    shown = value.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")
    return InvalidInput(path, shown, "text without NUL and halves of surrogate pairs")
