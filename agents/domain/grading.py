"""Does an answer state the facts that a right one holds? Checked by code, never by a model.

A fact is one of: ``{number, tolerance?}``, ``{text}``, ``{absent}``, ``{any_of: [...]}``,
``{regex}``. Numbers are compared as decimals, in whatever usual notation the answer has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from config.errors import InvalidInput

# Half a cent: what rounding to two decimals may move a figure by.
DEFAULT_TOLERANCE = Decimal("0.005")
# Slack for figures that passed through binary floats on their way.
FLOAT_SLACK = Decimal("1e-9")
MAX_ANSWER_CHARACTERS = 200_000
MAX_REGEX_CHARACTERS = 200

Fact = Mapping[str, Any]
KINDS = ("number", "text", "absent", "any_of", "regex")

_SPACES = " \u00a0\u202f\u2009'\u2019"
_CURRENCY = r"(?:[$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY|SEK|NOK|DKK|PLN|CZK|RON|HUF|BGN)\s?)"
# A letter or digit glued to either side makes a word or an identifier of it, not a number.
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<paren>\()?(?P<sign>[-−–+])?(?P<currency>{_CURRENCY})?(?P<sign2>[-−])?"
    rf"(?P<digits>\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d+)?(?![\d])"
    r"|\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?|[.]\d+)"
    r"(?P<exponent>[eE][-+]?\d{1,3})?"
    r"(?P<percent>\s?%)?(?P<unit>\s?(?:[$€£¥₹]|USD|EUR|GBP|CHF)(?!\w))?(?P<close>\))?"
    r"(?![A-Za-z]|[.,]?\d)"
)
_PLAIN_SPACED = re.compile(r"\d+ \d")
# An unescaped *, + or {n,} has no end; a fact's pattern must have one.
_UNBOUNDED = re.compile(r"(?<!\\)(?:\\\\)*(?:[*+]|\{\d*,\})")


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether every fact holds; ``missing`` describes those that do not."""

    passed: bool
    missing: tuple[str, ...]


def grade(answer: str, facts: Sequence[Fact]) -> Grade:
    """Check ``answer`` against ``facts``; an answer passes when all of them hold.

    Raises InvalidInput for a fact of an unknown kind, an unbounded or overlong regex, or an
    answer over MAX_ANSWER_CHARACTERS.
    """
    if len(answer) > MAX_ANSWER_CHARACTERS:
        limit = f"at most {MAX_ANSWER_CHARACTERS} characters"
        raise InvalidInput("answer", len(answer), limit)
    missing = tuple(describe(fact) for fact in facts if not holds(answer, fact))
    return Grade(passed=not missing, missing=missing)


def holds(answer: str, fact: Fact) -> bool:
    """Whether one fact holds in ``answer``; raises InvalidInput for a fact it can't read."""
    kind = kind_of(fact)
    wanted = fact[kind]
    if kind == "number":
        tolerance = Decimal(str(fact.get("tolerance", DEFAULT_TOLERANCE))) + FLOAT_SLACK
        target = Decimal(str(wanted))
        return any(abs(value - target) <= tolerance for value in numbers_in(answer))
    if kind == "text":
        return plain(str(wanted)) in plain(answer)
    if kind == "absent":
        return plain(str(wanted)) not in plain(answer)
    if kind == "any_of":
        return any(holds(answer, alternative) for alternative in wanted)
    return _pattern(str(wanted)).search(answer) is not None


def kind_of(fact: Fact) -> str:
    """Which kind of fact this is; raises InvalidInput unless it is exactly one."""
    kinds = [kind for kind in KINDS if kind in fact]
    if len(kinds) != 1 or set(fact) - {*kinds, "tolerance"}:
        raise InvalidInput("fact", dict(fact), f"exactly one of {', '.join(KINDS)}")
    return kinds[0]


def describe(fact: Fact) -> str:
    """The fact in words: "number 412.5", "any of (text 'low', text 'minor')"."""
    kind = kind_of(fact)
    if kind == "number":
        return f"number {fact['number']}"
    if kind == "any_of":
        return f"any of ({', '.join(describe(one) for one in fact['any_of'])})"
    return f"{kind} {fact[kind]!r}"


def numbers_in(text: str) -> frozenset[Decimal]:
    """Every number that ``text`` states, each in all readings that its notation allows.

    1,234.50 · 1 234,50 · 1.234,50 · 1'234.50 are one number. (1,234.50) is negative. "12.5 %"
    is 12.5 and 0.125. A number with a letter attached (1.2k, A12) is none.
    """
    return _numbers_in(text)


def figures_in(text: str) -> list[frozenset[Decimal]]:
    """Each figure that ``text`` states, in order, as the readings that its notation allows."""
    return [frozenset(_readings(match)) for match in _NUMBER.finditer(text)]


@lru_cache(maxsize=64)
def _numbers_in(text: str) -> frozenset[Decimal]:
    return frozenset(value for match in _NUMBER.finditer(text) for value in _readings(match))


def _readings(match: re.Match[str]) -> Iterator[Decimal]:
    digits, exponent = match["digits"], match["exponent"] or ""
    negative = "-" in (signs := (match["sign"] or "") + (match["sign2"] or "")) or "−" in signs
    value = Decimal(_decimal_text(digits) + exponent)
    value = -value if negative else value
    if match["paren"] and match["close"]:
        yield -value
        if not digits.isdigit():  # "(3)" may count things, "(3.00)" is an accountant's minus
            return
    yield value
    if match["percent"]:
        yield value / 100
    if _PLAIN_SPACED.search(digits):  # "12 345" may as well be two numbers side by side
        yield from (Decimal(_decimal_text(part)) for part in digits.split(" "))


def _decimal_text(digits: str) -> str:
    """``digits`` with its grouping removed and a point as decimal mark."""
    for space in _SPACES:
        digits = digits.replace(space, "")
    comma, point = digits.rfind(","), digits.rfind(".")
    if comma >= 0 and point >= 0:
        decimal, group = (",", ".") if comma > point else (".", ",")
        return digits.replace(group, "").replace(decimal, ".")
    grouped = comma >= 0 and len(digits) - comma == 4 and digits[:comma] != "0"
    if digits.count(",") > 1 or grouped:
        return digits.replace(",", "")
    if digits.count(".") > 1:
        return digits.replace(".", "")
    return digits.replace(",", ".")


@lru_cache(maxsize=256)
def plain(text: str) -> str:
    """``text`` for comparing: case folded, any run of white space one space."""
    return " ".join(text.casefold().split())


@lru_cache(maxsize=256)
def _pattern(source: str) -> re.Pattern[str]:
    if len(source) > MAX_REGEX_CHARACTERS:
        raise InvalidInput("fact.regex", source, f"at most {MAX_REGEX_CHARACTERS} characters")
    if _UNBOUNDED.search(re.sub(r"\[[^\]]*\]", "[]", source)):
        raise InvalidInput("fact.regex", source, "bounded repeats only: {0,20} instead of * or +")
    try:
        return re.compile(source, re.IGNORECASE)
    except re.error as error:
        raise InvalidInput("fact.regex", source, f"a valid pattern ({error})") from error
