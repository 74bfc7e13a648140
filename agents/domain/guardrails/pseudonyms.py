"""Reversible pseudonyms: stable tokens for values, and back again.

Two forms. A ``Pseudonyms`` table numbers values within one conversation (⟦EMAIL_1⟧). A keyed token
(⟦EMAIL_7f3a…⟧) is the same wherever a tenant's key is used, and says nothing without it. Where the
table is kept, and who may read it, is the runtime's business.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agents.domain.guardrails.findings import Span

TOKEN = re.compile(r"⟦([A-Z][A-Z_]*)_([0-9]+|[0-9a-f]{12})⟧")
# Digits of the HMAC kept in a token: 48 bits, so that 10,000 values of one tenant collide with a
# chance below one in five million; ``add`` refuses a collision rather than mix two people up.
_HMAC_DIGITS = 12


@dataclass(slots=True)
class Pseudonyms:
    """Token to value, growing as texts are masked. With ``key`` tokens are keyed, else numbered."""

    key: bytes | None = None
    values: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, value: str) -> str:
        """The token of ``value``: the same value and type give the same token."""
        token = keyed_token(self.key, kind, value) if self.key else self._numbered(kind, value)
        known = self.values.setdefault(token, value)
        if normal_form(kind, known) != normal_form(kind, value):
            raise ValueError(f"token {token} already stands for another value")
        return token

    def _numbered(self, kind: str, value: str) -> str:
        count = 0
        for token, known in self.values.items():
            if token.startswith(f"⟦{kind}_"):
                if normal_form(kind, known) == normal_form(kind, value):
                    return token
                count += 1
        return f"⟦{kind}_{count + 1}⟧"


def keyed_token(key: bytes, kind: str, value: str) -> str:
    """A token that only the holder of ``key`` (at least 16 bytes) can recompute."""
    if len(key) < 16:
        raise ValueError(f"a pseudonym key needs 16 bytes or more, got {len(key)}")
    message = f"{kind}\x00{normal_form(kind, value)}".encode("utf-8", "surrogatepass")
    return f"⟦{kind}_{hmac.new(key, message, hashlib.sha256).hexdigest()[:_HMAC_DIGITS]}⟧"


def normal_form(kind: str, value: str) -> str:
    """The value without the accidents of its notation, so that two spellings share a token."""
    if kind == "PERSON":
        return " ".join(value.split()).casefold()
    if kind == "EMAIL":
        return value.strip().casefold()
    return re.sub(r"[\W_]", "", value).casefold()


def pseudonymise(text: str, spans: Iterable[Span], table: Pseudonyms) -> str:
    """``text`` with every span replaced by its token, recorded in ``table``."""
    parts, position = [], 0
    for span in sorted(spans, key=lambda s: s.start):
        if span.start < position:
            raise ValueError(f"overlapping spans at {span.start}")
        parts += [text[position : span.start], table.add(span.type, text[span.start : span.end])]
        position = span.end
    return "".join((*parts, text[position:]))


def restore(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every known token replaced by its value; unknown tokens stay."""
    return TOKEN.sub(lambda m: values.get(m[0], m[0]), text)
