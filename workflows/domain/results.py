"""What an expression gave, as the JSON that rows, tools and clients see.

CEL has values that JSON has not. Their forms are those of Protocol Buffers, whose types they are:
a timestamp is RFC 3339 in UTC, a duration its seconds (``3.5s``), bytes are base64.
Source: ProtoJSON format, https://protobuf.dev/programming-guides/json.
"""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any


def as_json(value: Any) -> Any:
    """``value`` in JSON's own types, maps by key: the engine hands them out in any order.

    Raises ValueError for NaN and infinity, OverflowError for a time before the year 1 in UTC.
    """
    if isinstance(value, dict):
        return {_key(key): as_json(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return [as_json(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "infinity"
        raise ValueError(f"it gives {name}, which is no number of JSON")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return _seconds(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def _seconds(value: timedelta) -> str:
    whole, micros = divmod(abs(value // timedelta(microseconds=1)), 1_000_000)
    fraction = f".{micros:06d}".rstrip("0") if micros else ""
    return f"{'-' if value < timedelta(0) else ''}{whole}{fraction}s"


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def as_text(value: Any) -> str:
    """What ``as_json`` gave, inside a longer text: null is nothing, lists and maps are JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
