"""The texts inside a value of JSON: to read them, and to change them where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

# Shorter texts hold neither an attack nor an identifier.
SHORTEST = 6
# The key of a field such as "question" or "client_name"; a longer one may be an order itself, and
# one with many digits somebody's account or number.
_NAME = re.compile(r"(?!\w*\d{5})[A-Za-z0-9]*(?:_[A-Za-z0-9]+)?")
# A camel-case key of so many words may be an order, too: ignoreAllPreviousInstructions.
ORDER_WORDS = 4
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


def texts(value: Any, label: str = "") -> Iterator[tuple[str, str]]:
    """Every text inside ``value``, after the label of its key, which may say what it is."""
    if isinstance(value, str):
        if len(value) >= SHORTEST:
            yield label, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if not _NAME.fullmatch(str(key)):
                yield from texts(str(key))
            elif len(words := _HUMP.split(str(key))) >= ORDER_WORDS:
                yield from texts(" ".join(words))
            yield from texts(item, f"{key}: ")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item, label)


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every text in it changed."""
    return labelled(value, lambda text, _: change(text))


def labelled(value: Any, change: Callable[[str, str], str], label: str = "") -> Any:
    """``value`` with every text in it changed; ``change`` gets the label of its key too.

    So is a key that is more than the name of a field: it may be somebody's address.
    """
    if isinstance(value, str):
        return change(value, label)
    if isinstance(value, dict):
        return {_key(k, change): labelled(v, change, f"{k}: ") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [labelled(item, change, label) for item in value]
    return value


def _key(key: Any, change: Callable[[str, str], str]) -> Any:
    return change(key, "") if isinstance(key, str) and not _NAME.fullmatch(key) else key
