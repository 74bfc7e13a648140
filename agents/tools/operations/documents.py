"""What a document is, what it is about, and how long it must be kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import Field

from agents.tools.amounts import cents
from agents.tools.operations import outputs
from agents.tools.registry import tool

# Class of document: phrases with weights, years to keep it, and from what the years count. Kept
# for six years after the period as in CA 2006 s.388 and HMRC's guidance; firm policy otherwise.
CLASSES: dict[str, tuple[dict[str, int], int]] = {
    "purchase invoice": (
        {"invoice": 3, "vat": 1, "payment terms": 2, "amount due": 2, "purchase order": 1},
        6,
    ),
    "bank statement": (
        {"statement": 2, "opening balance": 3, "closing balance": 3, "sort code": 2, "iban": 1},
        6,
    ),
    "engagement letter": (
        {"engagement": 2, "scope of services": 3, "terms of business": 3, "our fees": 2},
        6,
    ),
    "board minutes": (
        {"minutes": 3, "resolved": 3, "quorum": 3, "chair": 1, "apologies": 2},
        10,
    ),
    "tax notice": (
        {"assessment": 2, "hmrc": 3, "penalty": 2, "tax due": 2, "notice": 2, "appeal": 1},
        6,
    ),
    "lease": (
        {"landlord": 3, "tenant": 3, "premises": 2, "rent": 2, "lease": 3, "term of": 1},
        12,
    ),
    "identity document": ({"passport": 4, "nationality": 3, "date of birth": 2}, 5),
}
SURE, LIKELY = 60.0, 35.0
ISO_DATE = re.compile(r"\b(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
MONEY = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})*\.\d{2}\b|(?<![\d.,])\d{4,}\.\d{2}\b")


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its share of the matched weight in percent."""

    name: str
    confidence: float
    phrases: tuple[str, ...]


@tool("operations.classify_document", light=True)
def classify_document(
    document_text: Annotated[str, Field(min_length=1, max_length=200_000)],
    received_on: date,
) -> outputs.ClassifyDocument:
    """Class, confidence, key dates and amounts of a document, and until when to keep it.

    Weighted phrases decide; below 35 % or without a match a person files it. Retention counts
    full years from the latest of receipt and the dates found (CA 2006 s.388: six years).
    """
    text = " ".join(document_text.lower().split())
    guesses = _guesses(text)
    best = guesses[0] if guesses else Guess("unclassified", 0.0, ())
    dates = sorted(_dates(document_text))
    amounts = sorted(_amounts(document_text))
    keep_years = CLASSES[best.name][1] if best.name in CLASSES else 6
    counted_from = max([*dates, received_on])
    return {
        "document_class": best.name,
        "confidence_percent": best.confidence,
        "second_choice": guesses[1].name if len(guesses) > 1 else "none",
        "matched_phrases": ", ".join(best.phrases) or "none",
        "dates_found": len(dates),
        "latest_date": dates[-1].isoformat() if dates else "none",
        "amounts_found": len(amounts),
        "largest_amount": cents(amounts[-1]) if amounts else 0.0,
        "sum_of_amounts": cents(sum(amounts, Decimal(0))),
        "keep_until": _years_after(counted_from, keep_years).isoformat(),
        "filing_verdict": _verdict(best.confidence),
    }


def _guesses(text: str) -> list[Guess]:
    found = {}
    for name, (phrases, _) in CLASSES.items():
        hits = {phrase: weight for phrase, weight in phrases.items() if _says(text, phrase)}
        if hits:
            found[name] = hits
    total = sum(sum(hits.values()) for hits in found.values())
    ranked = sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    return [
        Guess(name, round(sum(hits.values()) / total * 100, 1), tuple(sorted(hits)))
        for name, hits in ranked
    ]


def _says(text: str, phrase: str) -> bool:
    return re.search(rf"\b{re.escape(phrase)}", text) is not None


def _dates(text: str) -> set[date]:
    found = set()
    for match in ISO_DATE.finditer(text):
        try:
            found.add(date.fromisoformat(match.group()))
        except ValueError:  # 2025-02-30 has the form of a date and is none
            continue
    return found


def _amounts(text: str) -> list[Decimal]:
    found = []
    for match in MONEY.finditer(text):
        try:
            found.append(Decimal(match.group().replace(",", "")))
        except InvalidOperation:
            continue
    return found


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)


def _verdict(confidence: float) -> str:
    if confidence >= SURE:
        return "file automatically"
    return "file after a glance" if confidence >= LIKELY else "a person decides"
