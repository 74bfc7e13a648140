"""One form for questions that differ only in how they are put."""

from __future__ import annotations

import json
import re
from typing import Any

from agents.domain.condensing import json_parts

# Said to be polite or to begin with; a question means the same without it.
_POLITE = re.compile(
    r"\b(?:please|kindly|thanks(?: a lot| in advance)?|thank you(?: very much)?|hello|hi|hey|"
    r"good (?:morning|afternoon|evening)|dear (?:team|colleague|colleagues|all)|"
    r"(?:can|could|would|will) you|i(?:'d| would) like you to|i need you to|best regards|"
    r"kind regards|cheers)\b"
)
_MARKS = re.compile(r"[^\w\s%€$£.,-]|[.,](?!\d)|(?<!\d)-(?!\d)")
_NUMBER = re.compile(r"-?\d+\.\d*0+(?!\d)|-?\d+\.0*(?!\d)")


def normal(text: str) -> str:
    """``text`` as a cache compares it: case, courtesies, punctuation and layout make no difference.

    JSON objects in it are compared by value: order of members, spaces and trailing zeros of
    numbers count for nothing. Every other word and figure counts, and so does their order.
    """
    parts = []
    for part in json_parts(text):
        if isinstance(part, dict):
            parts.append(json.dumps(_valued(part), sort_keys=True, ensure_ascii=False))
        else:
            plain = _MARKS.sub(" ", _POLITE.sub(" ", part.casefold()))
            parts.append(" ".join(plain.split()))
    return " ".join(part for part in parts if part)


def _valued(value: Any) -> Any:
    """JSON with its numbers in one notation: ``1.50`` is ``1.5``, ``3.0`` is ``3``."""
    if isinstance(value, dict):
        return {key: _valued(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valued(item) for item in value]
    if type(value) is not str and isinstance(value, str):
        written = str(value)
        if _NUMBER.fullmatch(written):
            written = written.rstrip("0").rstrip(".")
        return ["number", written]
    return value
