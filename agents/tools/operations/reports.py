"""Does a draft report hold what it must: sections, figures, readable sentences."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from agents.domain.grading import numbers_in
from agents.tools.operations import outputs
from agents.tools.registry import tool

# Words a sentence may have on average before a reader loses it (Cutts, Oxford Guide to Plain
# English: 15 to 20).
LONG_SENTENCE = 25
# Wording that promises more than an auditor may (ISA 200.5, 700.17).
FORBIDDEN = ("guarantee", "certify that", "absolutely correct", "free of any error", "no fraud")


@tool("operations.report_check", light=True)
def report_check(
    report_text: Annotated[str, Field(min_length=1, max_length=200_000)],
    required_sections: Annotated[list[str], Field(max_length=50)],
    figures: Annotated[dict[str, Decimal], Field(description="name to value stated")] | None = None,
) -> outputs.ReportCheck:
    """Score of a draft from 0 to 1 with what is missing.

    A third each: required sections present, figures stated as computed, wording without promises
    and with sentences a reader can follow. A part without anything to check counts in full.
    """
    lowered = report_text.casefold()
    missing = [name for name in required_sections if name.casefold() not in lowered]
    stated = numbers_in(report_text)
    absent = [name for name, value in (figures or {}).items() if value not in stated]
    promises = [phrase for phrase in FORBIDDEN if phrase in lowered]
    words = _words_a_sentence(report_text)
    parts = (
        _part(len(missing), len(required_sections)),
        _part(len(absent), len(figures or {})),
        0.0 if promises else 1.0 if words <= LONG_SENTENCE else 0.5,
    )
    score = round(sum(parts) / 3, 4)
    return {
        "score": score,
        "missing_sections": missing,
        "untied_figures": absent,
        "forbidden_wording": promises,
        "words_a_sentence": words,
        "report_verdict": "ready for review" if score == 1 else "return to the author",
    }


def _part(bad: int, of: int) -> float:
    return 1 - bad / of if of else 1.0


def _words_a_sentence(text: str) -> float:
    # A line is a sentence too: headings and bullets end without a full stop.
    sentences = [part for part in re.split(r"[.!?]\s|\n", text) if re.search(r"\w", part)]
    return round(len(re.findall(r"\w+", text)) / len(sentences), 1) if sentences else 0.0
