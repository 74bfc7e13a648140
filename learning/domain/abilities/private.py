"""Whether a declaration repeats what one person alone said. Pure.

Words that two people used, that stand in the rule's own draft or in our lists of verbs, things and
formats are nobody's own; so are a language's small words. Nobody's words are what a model writes of
itself. All others are compared by what they have in common ("meyerFile" tells of "Meyers").
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from learning.domain.abilities import words as w

# From this length on a part of a word tells of it.
LEAST_PART = 4
_WORD = re.compile(r"[^\W_]+")
_AS_NAMED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_SMALL = frozenset(
    "a about after all also am an and any are as at be because been before being both but by can "
    "cannot could did do does done each either every few for from get give given gives has have "
    "if in into is it its just may me more most must my need needs never no none not now of off on "
    "one only optional or other our out over own please required same shall should so some such "
    "than that the their them then there these they this those to too under until up use used "
    "uses using value values via want was we were what when where whether which who whole will "
    "with without would you your type string number integer array object boolean format name "
    "description enum items properties text data field key".split()
)
_OURS: frozenset[str] = _SMALL.union(
    w.DATA, w.FILES, w.ARTEFACTS, w.RECORDS, w.FILINGS, w.POSTINGS, w.MEETINGS, w.SIGNED, w.VAGUE,
    w.SKIPPED, w.FORMATS, w.CHANNELS, re.findall(r"[a-z]+", " ".join(w.VERBS.values())),
)  # fmt: skip


def said_by_one(told: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Words that one person alone used, of who said what."""
    people: dict[str, set[str]] = defaultdict(set)
    for who, text in told:
        for word in _words(text):
            people[word].add(who)
    return frozenset(word for word, by in people.items() if len(by) == 1 and not _is_ours(word))


def texts_of(declaration: Any) -> list[str]:
    """All that a declaration says in words: names, descriptions, values."""
    return list(_texts(declaration))


def tells(texts: Sequence[str], draft: Mapping[str, Any], alone: Set[str]) -> bool:
    """Whether ``texts`` hold one of the words ``alone`` that the draft does not."""
    ours = {word for text in texts_of(draft) for word in _words(text)}
    new = {word for text in texts for word in _words(text)} - ours
    return any(_tells(word, one) for word in new if not _is_ours(word) for one in alone - ours)


def _tells(word: str, one: str) -> bool:
    if min(len(word), len(one)) < LEAST_PART:
        return word == one
    return one in word or word in one


def _is_ours(word: str) -> bool:
    return word in _OURS or (word.endswith("s") and word[:-1] in _OURS) or (
        len(word) == 1 and word.isalpha()
    )  # fmt: skip


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name)
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif not isinstance(value, bool) and value is not None:
        yield str(value)


def _words(text: str) -> set[str]:
    """Words without regard to case and accents: names of parameters have none."""
    whole = unicodedata.normalize("NFC", text).casefold()
    plain = unicodedata.normalize("NFKD", whole.translate(_AS_NAMED))
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return set(_WORD.findall(plain))
