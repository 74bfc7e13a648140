"""Keeping what a model reads inside a budget of tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from agents.domain.messages import INSTRUCTING, Message, order_in, text_of

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

    ``overhead``: tokens of a message beside its text. What ``least`` says always stays. A tool's
    result is never kept without the request for it, nor a request without all its results.
    """
    fixed, others = _apart(messages)
    groups = _groups(others)
    order = order_in(others) if others else 0
    left = max_tokens - sum(_size(m, overhead) for m in least(messages)) + overhead * len(fixed)
    start = groups[-1] if groups else 0
    for begin, end in zip(reversed(groups[:-1]), reversed(groups[1:]), strict=True):
        left -= sum(_size(others[n], overhead) for n in range(begin, end) if n != order)
        if left < 0:
            break
        start = begin
    return fixed + others[order : order + (order < start)] + others[start:]


def least(messages: Sequence[Message]) -> list[Message]:
    """What of a chat always stays: system messages, what a person said last, and the last message
    with the calls that it answers and all their results."""
    fixed, others = _apart(messages)
    if not others:
        return fixed
    start, order = _groups(others)[-1], order_in(others)
    return fixed + others[order : order + (order < start)] + others[start:]


def _apart(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """System messages, and the others."""
    fixed = [m for m in messages if m["role"] in INSTRUCTING]
    return fixed, [m for m in messages if m["role"] not in INSTRUCTING]


def _groups(others: Sequence[Message]) -> list[int]:
    """Where what stays together begins: a message, with the results of the tools it calls."""
    return [n for n, m in enumerate(others) if m["role"] != "tool" or n == 0]


def _size(message: Message, overhead: int) -> int:
    return estimate_tokens(text_of(message)) + overhead
