"""Masking for logs, traces, caches and notifications: secrets and personal data become ⟦TYPE⟧."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agents.domain.guardrails.findings import Span, longest_first
from agents.domain.guardrails.pii import find_pii
from agents.domain.guardrails.secrets import find_secrets

_MASK = re.compile(r"⟦[A-Z][A-Z_]*(?:_(?:\d+|[0-9a-f]{12}))?⟧")
# Masking may join what stood apart; it settles at once in all but contrived texts.
_ROUNDS = 6


def redact(text: str) -> str:
    """``text`` with what looks like a secret or personal data masked. Idempotent."""
    if len(text) < 4:
        return text
    for _ in range(_ROUNDS):
        masked = mask(text, sensitive_spans(text))
        if masked == text:
            break
        text = masked
    return text


def sensitive_spans(text: str) -> tuple[Span, ...]:
    """Secrets and personal data outside of existing masks, without overlaps.

    A secret wins over personal data that it contains or touches.
    """
    masks = [m.span() for m in _MASK.finditer(text)]
    secrets = find_secrets(text)
    personal = [
        span
        for span in find_pii(text)
        if all(span.end <= s.start or span.start >= s.end for s in secrets)
    ]
    found = [
        span
        for span in (*secrets, *personal)
        if all(span.end <= a or span.start >= b for a, b in masks)
    ]
    return longest_first(found)


def mask(text: str, spans: Iterable[Span]) -> str:
    """``text`` with every span replaced by its type in ⟦brackets⟧."""
    parts, position = [], 0
    for span in sorted(spans, key=lambda s: s.start):
        parts += [text[position : span.start], f"⟦{span.type}⟧"]
        position = span.end
    return "".join((*parts, text[position:]))
