# ruff: noqa: E501 (word lists read better whole)
"""What two questions must share before nearness of meaning may let them share an answer.

Vectors say what a text is about; they hardly move when a figure, a "not" or a side of the ledger
changes, and those change the answer. So these parts are compared exactly, and only the rest by
nearness.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter

# Longer texts are documents: nearness of whole documents says nothing about their answers.
MAX_CHARACTERS = 1_000

_TOKEN = re.compile(r"⟦[^⟧]{1,60}⟧")
_FIGURE = re.compile(r"\d[\d.,:/’'-]*\d|\d")
_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d_])[\w/.-]+\b")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)\b[^\W\d_a-zß-öø-ÿ][\w&.-]*")
# Signs that say what is done with figures and texts: operators, currencies, brackets.
_SIGN = re.compile(r"[^\w\s.,;:?!'’\"“”„…-]|(?<!\w)-|!=")
_WORD = re.compile(r"[^\W\d_]+(?:['’]t\b)?")

_NUMBERS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty "
    "fifty sixty hundred thousand million billion half third quarter double twice once first second "
    "fourth fifth last next previous".split()
)
_NEGATIONS = frozenset(
    "not no never none without cannot neither nor except unless excluding exclude excludes excluded "
    "apart instead rather only".split()
)
# "To" stands before verbs too; "from" only says where something comes from.
_WHENCE = frozenset({"from"})
# One side of a pair whose other side has another answer.
_SIDES = frozenset(
    """
    debit credit debited credited asset assets liability liabilities receivable receivables payable
    payables income expense expenses revenue profit loss gross net input output buyer seller buy sell
    buying selling purchase purchases sale sales supplier suppliers customer customers vendor import
    imports export exports domestic foreign abroad increase increases increased decrease decreases
    decreased rise rises fall falls more less higher lower above below over under maximum minimum
    highest lowest most least before after earlier later opening closing start end begin begins ends
    open close include includes including added removed add remove lessee lessor landlord tenant
    employer employee lender borrower parent subsidiary direct indirect current deferred short long
    private public internal external manual automatic actual budget monthly quarterly yearly annual
    annually daily weekly today yesterday tomorrow old new approve reject accept refuse allow forbid
    allowed forbidden taxable exempt deductible resident capitalise capitalize expensed accrual
    prepayment accrue reverse issue receive issued received pay paid owe owed owes lend borrow up down
    inbound outbound goods services individual individuals company companies partnership charity
    interim final draft consolidated standalone fixed variable finance operating
    """.split()
)
_ASKED = frozenset("who whom whose when where why".split())
_MEASURED = re.compile(r"\bhow (?:much|many|long|often|far|old|soon|late)\b")
_MONTHS = frozenset(
    "january february march april may june july august september october november december monday "
    "tuesday wednesday thursday friday saturday sunday".split()
)


def telling(text: str) -> str:
    """A digest of all in ``text`` that two questions with one answer have in common.

    Figures, signs, codes, names, pseudonyms, negations, sides ("debit" or "credit"), and whether it asks
    who, when, where, why or how much.
    """
    tokens = sorted(_TOKEN.findall(text))
    rest = _TOKEN.sub(" ", text)
    lower = rest.casefold()
    words = Counter(_WORD.findall(lower))
    parts = {
        "tokens": tokens,
        "figures": sorted(_plain(found) for found in _FIGURE.findall(lower)),
        "signs": _SIGN.findall(rest),
        "codes": sorted({found.strip(".-/") for found in _CODE.findall(lower)}),
        "names": sorted({_one_form(found) for found in _NAME.findall(rest)} - {"i"}),
        "numbers": sorted(w for w in words if w in _NUMBERS or w in _MONTHS),
        "whence": sum(words[w] for w in _WHENCE),
        "negations": sum(
            n for w, n in words.items() if w in _NEGATIONS or w.endswith(("'t", "’t"))
        ),
        "sides": sorted({_one_form(w) for w in words if w in _SIDES}),
        "asked": sorted({w for w in words if w in _ASKED} | set(_MEASURED.findall(lower))),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _plain(figure: str) -> str:
    """A figure without the signs that part thousands: ``12,500.00`` is ``12500``."""
    plain = re.sub(r"[,’'](?=\d{3}(?:\D|$))", "", figure)
    return re.sub(r"\.0+$", "", plain)


def _one_form(word: str) -> str:
    lower = word.casefold().rstrip(".-")
    return lower[:-1] if lower.endswith("s") and len(lower) > 3 else lower
