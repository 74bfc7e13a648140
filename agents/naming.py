"""A model of names for the guardrails: a spaCy pipeline that whoever runs this has installed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.conf import settings

from config.errors import Unavailable

# As pipelines of different languages call it.
_LABELS = frozenset({"PERSON", "PER"})


def names_in(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each name that the model ``NAME_MODEL`` finds; none where it is "-".

    Raises Unavailable for one that can't be loaded: names must not pass because it is away.
    """
    if settings.NAME_MODEL == "-":
        return
    for found in _pipeline(settings.NAME_MODEL)(text).ents:
        if found.label_ in _LABELS:
            yield found.start_char, found.end_char


@cache
def _pipeline(name: str) -> Any:
    # It takes seconds and memory, and most installations have no model.
    import spacy

    try:
        return spacy.load(name)
    except (OSError, ImportError, ValueError) as error:
        raise Unavailable(f"the model of names {name}", type(error).__name__) from error
