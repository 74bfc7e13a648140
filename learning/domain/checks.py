"""What code can say of any answer: are its figures backed, is it whole, is it about the question.

Checks need no graded case, so they run on live answers. Each gives a number from 0 to 1 and counts
what it misses; None where there is nothing to hold an answer to. A reason quotes nothing: it is
read by more people than the question is, and kept for longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agents.domain.grading import figures_in, numbers_in
from config.readable import plural
from learning.domain.replaying import Case, figures_of, grade_answer

# The version of these checks, as scores name it: another way to check is another version.
VERSION = "checks-1"
# Small whole numbers are list numbers, counts and paragraphs as often as results.
LEAST_FIGURE = 10
_WORD = re.compile(r"[^\W\d_]{4,}")
# Words of questions that say nothing of their subject.
_EMPTY = frozenset(
    "what which when where whom whose this that these those have has with from into your about "
    "please could would should there their them they were will does doing done make made need "
    "tell give show explain answer question help find check list know want like more most some "
    "such then than also very just only each every other between after before because and the "
    "und oder aber eine einer eines einem einen der die das den dem des nicht auch wird werden "
    "wurde kann können bitte sind haben welche welcher welches unser unsere".split()
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check's result; ``reason`` is empty where nothing is missed."""

    name: str
    value: float
    reason: str = ""


def check_answer(
    text: str, *, question: str, given: str, facts: Mapping[str, Any], is_cut: bool = False
) -> list[Check]:
    """All checks that can be made of one answer.

    ``question`` is what was asked in words, ``given`` all input and tool results as text, ``facts``
    the tools' own figures by name; ``is_cut`` if its reply reached its limit of tokens.
    """
    found = [
        accuracy(text, given),
        completeness(text, facts, is_cut=is_cut),
        relevance(text, question),
    ]
    return [one for one in found if one is not None]


def accuracy(text: str, given: str) -> Check | None:
    """The share of the answer's figures that stand in what it was given, digit by digit.

    None for an answer without figures, or where nothing was given to hold them to.
    """
    found = {one for one in figures_in(text) if max(map(abs, one)) >= LEAST_FIGURE}
    known = {abs(n) for n in numbers_in(given)}
    if not found or not known:
        return None
    loose = sum(not any(_is_backed(abs(n), known) for n in one) for one in found)
    return Check(
        "accuracy", 1 - loose / len(found),
        f"{loose} of {plural(len(found), 'figure')} {'is' if loose == 1 else 'are'} not in the "
        "input or a tool's result" if loose else "",
    )  # fmt: skip


def completeness(text: str, facts: Mapping[str, Any], *, is_cut: bool = False) -> Check | None:
    """The share of the tools' main figures that the answer states; half at most if it was cut."""
    figures = figures_of(facts)
    graded = grade_answer(text, Case("", ""), facts) if figures else None
    if graded is None and not is_cut:
        return None
    value = graded.score if graded else 1.0
    missed = []
    if graded and graded.missing:
        missed.append(f"{len(graded.missing)} of {len(figures)} of the tools' figures are missing")
    if is_cut:
        value, missed = min(value, 0.5), [*missed, "it was cut at its limit of tokens"]
    return Check("completeness", value, "; ".join(missed))


def relevance(text: str, question: str) -> Check | None:
    """The share of the question's own words that the answer takes up, by their beginning.

    None for a question of fewer than three such words.
    """
    asked = {word[:6] for word in _words(question)}
    if len(asked) < 3:
        return None
    said = {word[:6] for word in _words(text)}
    left = len(asked - said)
    # An answer need not repeat every word: two thirds of them is as good as all.
    value = min(1.0, 1.5 * (1 - left / len(asked)))
    missed = f"{left} of {len(asked)} of the question's words are not taken up"
    return Check("relevance", value, missed if value < 1 else "")


def words_of(value: Any) -> str:
    """All text and figures in a value, in order."""
    if isinstance(value, Mapping):
        return " ".join(words_of(one) for one in value.values())
    if isinstance(value, list | tuple):
        return " ".join(words_of(one) for one in value)
    return "" if value is None else str(value)


def _words(text: str) -> Iterable[str]:
    return (word for word in _WORD.findall(text.lower()) if word not in _EMPTY)


def _is_backed(figure: Decimal, known: Set[Decimal]) -> bool:
    """Whether it is known, or rounds a known one for reading."""
    if figure in known:
        return True
    exponent = figure.as_tuple().exponent
    half = Decimal(5).scaleb(min(exponent, 0) - 1) if isinstance(exponent, int) else Decimal(0)
    return any(abs(other - figure) <= half for other in known)
