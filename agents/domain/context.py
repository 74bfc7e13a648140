"""Keeping what a model reads inside a budget of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from agents.domain.messages import Message, text_of

# Characters of a token on prose, for planning; bounds for money are in ``cost``.
CHARACTERS_PER_TOKEN = 4
# Lists keep this many items at first when a result is too long, then half as many, and so on.
FIRST_KEEP = 64
CUT_NOTE = "…and {more} more of {count}"
CUT_MARK = re.compile(r"^…and \d+ more of \d+$|… \(\d+ characters\)$")


def estimate_tokens(text: str) -> int:
    """About how many tokens ``text`` has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def fit(value: Any, max_characters: int) -> Any:
    """``value`` cut until its JSON has at most ``max_characters``: long lists and strings first.

    What is cut says how much is missing, so a reader never takes a part for the whole.
    """
    keep, shorter = FIRST_KEEP, value
    while keep >= 1 and len(as_json(shorter)) > max_characters:
        shorter = _cut(value, keep, max(80, max_characters // (4 * keep)))
        keep //= 2
    text = as_json(shorter)
    if len(text) <= max_characters:
        return shorter
    return {"cut": text[: max(0, max_characters - 40)]}


def as_json(value: Any) -> str:
    """Compact JSON of ``value``."""
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))


def _cut(value: Any, keep: int, characters: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(item, keep, characters) for key, item in value.items()}
    if isinstance(value, list):
        kept = [_cut(item, keep, characters) for item in value[:keep]]
        if len(value) > keep:
            kept.append(CUT_NOTE.format(more=len(value) - keep, count=len(value)))
        return kept
    if isinstance(value, str) and len(value) > characters:
        return f"{value[:characters]}… ({len(value)} characters)"
    return value


def is_cut(value: Any) -> bool:
    """Whether ``fit`` left something of ``value`` out."""
    if isinstance(value, dict):
        return any(is_cut(item) for item in value.values())
    if isinstance(value, list):
        return any(is_cut(item) for item in value)
    return isinstance(value, str) and CUT_MARK.search(value) is not None


def sliding_window(
    messages: Sequence[Message], max_tokens: int, *, overhead: int = 4
) -> list[Message]:
    """System messages and the latest others that fit into ``max_tokens``, in order.

    ``overhead``: tokens of a message beside its text. The last message always stays. A tool's
    result is never kept without the request for it.
    """
    fixed = [m for m in messages if m["role"] in ("system", "developer")]
    others = [m for m in messages if m["role"] not in ("system", "developer")]
    left = max_tokens - sum(estimate_tokens(text_of(m)) for m in fixed)
    start = len(others)
    for index in range(len(others) - 1, -1, -1):
        left -= estimate_tokens(text_of(others[index])) + overhead
        if left < 0 and index < len(others) - 1:
            break
        start = index
    while start < len(others) - 1 and others[start]["role"] == "tool":
        start += 1
    return fixed + others[start:]
