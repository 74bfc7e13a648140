"""Personal data in a text: pattern, check digit and context recognisers.

``find_pii(text)`` gives non-overlapping spans over the original string.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection
from itertools import accumulate

from agents.domain.guardrails.findings import Span, longest_first
from agents.domain.guardrails.fold import fold
from agents.domain.guardrails.pii.identifiers import identifiers
from agents.domain.guardrails.pii.labels import labelled
from agents.domain.guardrails.pii.persons import persons
from agents.domain.guardrails.pii.phones import phones
from agents.domain.guardrails.pii.registered import registered
from agents.domain.guardrails.pii.universal import cards, emails, ibans, ip_addresses

TYPES = (
    "EMAIL",
    "PHONE",
    "CREDIT_CARD",
    "IBAN",
    "SSN",
    "IP_ADDRESS",
    "PERSON",
    "VAT_ID",
    "TAX_ID",
    "NATIONAL_ID",
    "PASSPORT",
    "BANK_ACCOUNT",
    "DATE_OF_BIRTH",
    "MAC_ADDRESS",
)
_DIGIT = re.compile(r"\d")
# Texts this long are scanned in pieces that break at one of these, so that cost stays linear.
_PIECE_CHARACTERS = 20_000
_APART = "\n ,;"

# In order: each takes the folded text and returns its findings.
_WITH_DIGITS: tuple[Callable[[str], list[Span]], ...] = (
    cards,
    ibans,
    ip_addresses,
    identifiers,
    labelled,
    registered,
    phones,
)


def find_pii(text: str, types: Collection[str] = TYPES) -> tuple[Span, ...]:
    """Personal data of ``types`` in ``text``, without overlaps, in order of position."""
    folded = fold(text)
    spans: list[Span] = []
    for offset, piece in _pieces(folded.text):
        for span in _scan(piece, names="PERSON" in types):
            if span.type in types:
                start, end = folded.span(span.start + offset, span.end + offset)
                spans.append(Span(span.type, start, end, span.confidence))
    return longest_first(_settled(spans))


def _scan(text: str, *, names: bool) -> list[Span]:
    spans = emails(text)
    if names:  # the dearest of all, and most policies leave names alone
        spans += persons(text)
    if _DIGIT.search(text):
        spans += [span for recogniser in _WITH_DIGITS for span in recogniser(text)]
    elif "::" in text or "<<" in text:
        spans += ip_addresses(text) + identifiers(text)
    return spans


def _settled(spans: list[Span]) -> list[Span]:
    """Without weak readings of what a surer one covers to at least two thirds."""
    ordered = sorted(spans, key=lambda span: span.start)
    starts = [span.start for span in ordered]
    # How far the spans up to each one reach: a page of addresses has thousands, all far apart.
    reach = list(accumulate((span.end for span in ordered), max))

    def is_weak(span: Span) -> bool:
        for place in range(bisect_left(starts, span.end) - 1, -1, -1):
            if reach[place] <= span.start:
                return False
            other = ordered[place]
            if (
                other.confidence > span.confidence + 0.04
                and span.start < other.end
                and (other.end - other.start) * 3 >= (span.end - span.start) * 2
            ):
                return True
        return False

    return [span for span in spans if not is_weak(span)]


def _pieces(text: str) -> list[tuple[int, str]]:
    pieces, start = [], 0
    while len(text) - start > _PIECE_CHARACTERS:
        end = start + _PIECE_CHARACTERS
        cuts = (text.rfind(mark, start, end) for mark in _APART)
        cut = next((cut for cut in cuts if cut > start), end)
        pieces.append((start, text[start:cut]))
        start = cut
    return [*pieces, (start, text[start:])]
