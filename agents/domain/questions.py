"""One form for questions that differ only in how they are put."""

from __future__ import annotations

import json
import re
from typing import Any

from agents.domain.condensing import json_parts

_GREETING = r"(?:hello|hi|hey|good (?:morning|afternoon|evening)|dear (?:team|colleagues?|all))"
_ASKING = (
    r"(?:please|kindly|(?:can|could|would|will) you(?: please| kindly)?|"
    r"i(?:['’]d| would) like you to|i need you to)"
)
_THANKS = (
    r"(?:thanks(?: a lot| in advance)?|thank you(?: very much)?|best regards|kind regards|cheers)"
)
# Said to be polite, before the question or after it; a question means the same without it.
_BEFORE = re.compile(
    rf"\A\s*(?:{_GREETING}(?:\s*[,!.]|\s*$|(?=\s+{_ASKING}\b))|{_ASKING}\b,?)", re.MULTILINE
)
_AFTER = re.compile(
    rf"(?:(?:\A|[,.!?;\n])\s*(?:{_THANKS}|please)|\bplease)[\s,.!?:]*\Z", re.MULTILINE
)
# Where words are the matter ("translate: thanks"), no word is a courtesy.
_ABOUT_WORDS = re.compile(
    r"\b(?:translat|spell|proofread|phras|greet|rewrit|reword|repl|writ|draft|say|said|says|"
    r"word|mean|letter|e-?mail|quot)"
)
# What ends a sentence, where the text ends too. Elsewhere a sign may part what it stands between;
# behind a figure or a letter that stands alone "!" is a factorial.
_END = re.compile(r"(?:[\s.,;:?…]|(?<![\d)\]!])(?<!\b[^\W\d_])!)+\Z")
_START = re.compile(r"\A[\s,;:]+")
_LINE = re.compile(r"\s*\n\s*")
# Where a line breaks between words, it might as well not.
_WRAP = re.compile(r"(?<=[^\W\d_])\n(?=[^\W\d_])")
# A word with its figures; and what a variable may stand before.
_TOKEN = re.compile(r"[^\W_]+")
_OPERATOR = re.compile(r" ?[+*/=<>^%×÷±]")
_FIGURE = re.compile(r"\d ?\Z")
# Letters of an abbreviation, a unit or a variable; longer words in capitals are shouted.
SHORT = 3
# Who shouts has words to shout.
_WORD = re.compile(r"[^\W\d_]{4}")
_NUMBER = re.compile(r"-?\d+\.\d*0+(?!\d)|-?\d+\.0*(?!\d)")


def normal(text: str) -> str:
    """``text`` as a cache compares it: case, courtesies, layout and its end count for nothing.

    JSON objects in it are compared by value: order of members, spaces and trailing zeros of
    numbers count for nothing. Every other word, figure and sign counts, and so does their order.
    """
    parts = []
    is_plain = not _ABOUT_WORDS.search(text.lower())
    for part in json_parts(text):
        if isinstance(part, dict):
            parts.append(json.dumps(_valued(part), sort_keys=True, ensure_ascii=False))
        else:
            parts.append(_put_plainly(part) if is_plain else _bare(_lowered(part)))
    return "\n".join(part for part in parts if part) or text.strip()


def _put_plainly(text: str) -> str:
    """``text`` without courtesies before and after it."""
    plain = _bare(_lowered(text))
    while True:
        shorter = _bare(_AFTER.sub("", _BEFORE.sub("", plain)))
        if shorter == plain:
            return plain
        plain = shorter


def _lowered(text: str) -> str:
    """``text`` without the capitals that mean nothing."""
    if text.isupper() and _WORD.search(text):
        return text.lower()
    return _TOKEN.sub(lambda found: _without_capitals(found, text), text)


def _without_capitals(found: re.Match[str], text: str) -> str:
    word, lower = found[0], found[0].lower()
    return word if word == lower or _says_by_case(found, text) else lower


def _says_by_case(found: re.Match[str], text: str) -> bool:
    """Whether a word is something else without its capitals: units (mW and MW), abbreviations
    (CO), variables, ids. One that begins a sentence has a capital for that."""
    word, before = found[0], text[: found.start()].rstrip(" ")
    if word in ("I", word.lower()):
        return False
    letters = sum(map(str.isalpha, word))
    if letters > SHORT and word.isupper():
        return False
    if word[1:] != word[1:].lower():
        return True
    if letters > SHORT:  # a megaunit
        return word[0] == "M" and letters == 4 and bool(_FIGURE.search(text[: found.start()]))
    begins = not before or before[-1] in ".!?:\n"
    return not begins or bool(letters == 1 and _OPERATOR.match(text, found.end()))


def _bare(text: str) -> str:
    """``text`` without the signs around it and with single spaces; lines of figures stay lines."""
    lines = _LINE.sub("\n", _START.sub("", _END.sub("", text))).split("\n")
    return _WRAP.sub(" ", "\n".join(" ".join(line.split()) for line in lines))


def _valued(value: Any) -> Any:
    """JSON with its numbers in one notation: ``1.50`` is ``1.5``, ``3.0`` is ``3``.

    Texts and numbers are marked, so that neither is taken for the other.
    """
    if isinstance(value, dict):
        return {key: _valued(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_valued(item) for item in value]
    if type(value) is str:
        return f"text {value}"
    if isinstance(value, str):
        written = str(value)
        if _NUMBER.fullmatch(written):
            written = written.rstrip("0").rstrip(".")
        return f"number {written}"
    return value
