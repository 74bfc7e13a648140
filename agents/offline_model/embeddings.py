"""The offline embedding model: lexical vectors, and how the protocol carries them."""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence

from agents.domain import lexical

DEFAULT_DIMENSIONS = 1536
MAX_DIMENSIONS = 4096


def embed(text: str, dimensions: int = DEFAULT_DIMENSIONS) -> array[float]:
    """A unit vector for ``text``; a text without words gives the first axis."""
    return lexical.embed(text, dimensions)


def as_base64(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base64, as clients ask for by default."""
    return base64.b64encode(array("f", vector).tobytes()).decode()
