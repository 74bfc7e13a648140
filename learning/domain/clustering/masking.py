"""What changes from one message to the next is replaced by what kind of thing it is.

Masks carry a type (``<ip>``, ``<num>``, ``<path>`` …), so a group still says what stood there.
"""

from __future__ import annotations

import re

from learning.domain.clustering import documents

# A request in quotes keeps its verb: who only reads and who deletes is not the same. Not so where
# it is what a failure was about: request: "GET /a", 502 for GET /a.
_VERB = r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)"
_ABOUT = re.compile(rf"(?<=: )\"{_VERB} [^\"\n]{{1,300}}\"")
_BARE_VERB = re.compile(rf"(?<=[a-z] ){_VERB} (?=/|https?://|request\b)")
_REQUEST = re.compile(r"(?<!\w)\"([A-Z]{3,12}) [/*<h][^\"\n]{0,300}\"(?!\w)")
# Calls of a stack on one line, each with its line in the source: app.Server.run:42 app.Main.main:7
_CALL = r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*){2,}:\d+"
_STACK = re.compile(rf"(?<![\w.$]){_CALL}(?:\s+{_CALL})+")
# Names that are counted through: node14 node15 node16. In capitals they are codes: E401, TS2304.
_COUNTED = re.compile(r"\b([A-Z]?[a-z][A-Za-z]*)\d+(?:[,;]?\s+\1\d+){2,}\b")

# Random ids in letters and digits: 4Kg6x3B113h8Kd, 8569CD59AA; with what they are of in front,
# req_DZCCfXFcZea7fd, they need no digit.
_RANDOM = re.compile(
    r"(?<![\w.-])(?:([a-z]{2,6}_)[A-Za-z0-9]{10,}|(?!0[xX])[A-Za-z0-9]{10,})\b(?![.(-])"
)
_SORTS = re.compile(r"[a-z]+|[A-Z]+|\d+")
_TURNS = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
# How often letters and digits take turns, and small letters with capitals as a share of the length:
# NodeNotReady and OAuth2AccessToken stay.
LEAST_TURNS, LEAST_MIXED = 3, 0.45

# Order matters: a time holds numbers, a URL holds a path, a path may hold an address.
_MASKS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), mask)
    for pattern, mask in (
        # systemd's names, with a dot and with an @: neither hosts nor addresses
        (
            r"(?<![\w.@/-])[\w-]+(?:@[\w-]*)?\.(?:service|timer|socket|mount|scope|slice|target)"
            r"(?![\w.(])",
            "<id>",
        ),
        (r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s'\")>\]]+", "<url>"),
        (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", "<email>"),
        (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "<uuid>"),
        (
            r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun"
            r"|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*(?: {1,2}\d{1,2})?,?(?: \d{4})? \d\d:\d\d:\d\d"
            r"(?: [A-Z]{3,4})?(?: \d{4})?",
            "<time>",
        ),
        (
            r"\b\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
            "<time>",
        ),
        (r"(?<![\d:])\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?![\d:])", "<time>"),
        (r"\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b", "<mac>"),
        (r"/?(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)(?::\d+)?", "<ip>"),
        (r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:])", "<ip>"),
        (
            r"(?<![\w./])(?=[\w.-]*[a-z])(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+"
            r"(?:info|biz|local|internal|lan|(?!(?:id|is|in|so|to|py|sh|js|go|rs|md|pl|gz|db|my)\b)[a-z]{2})(?![\w-]|\.\w)(?::\d+)?",
            "<host>",
        ),
        (
            r"(?<![\w./])(?:[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?\.)+"
            r"(?:com|net|org|edu|gov|mil|int)(?![\w-]|\.\w)(?::\d+)?",
            "<host>",
        ),
        (
            r"(?<=\buser )(?!unknown\b|not\b|is\b|was\b|has\b|name\b|[(\[<])[\w.@$-]+(?=\s|$)",
            "<name>",
        ),
        (r"(?<==\()[^()\n]{1,300}(?=\))", "<text>"),  # Key (email)=(Smith & Sons)
        (r"(?<=\bcontains \()[^()\n]{1,300}(?=\))|(?<=\bVALUES \()[^()\n]{1,300}(?=\))", "<text>"),
        (r"(?<=\bvalue \[)[^\[\]\n]{1,300}(?=\])", "<text>"),
        (r"`[^`\n]{1,300}`", "<text>"),
        (
            r"(?<![\w.])[$€£] ?\d[\d.,]*\b|(?<![\w.])\d+(?:[.,]\d+)* ?(?:EUR|USD|GBP|CHF|JPY)\b",
            "<money>",
        ),
        (r"(?<=[\s(\[=:,])\"[^\"\n]{0,300}\"(?!\w)|^\"[^\"\n]{0,300}\"(?!\w)", "<text>"),
        (r"(?<=[\s(\[=:,])'[^'\n]{0,300}'(?!\w)|^'[^'\n]{0,300}'(?!\w)", "<text>"),
        (r"\b[A-Za-z]:\\[^\s,;'\"]+", "<path>"),
        (r"(?<=\()/[^()\n]{1,300}(?=\))", "<path>"),  # in brackets it may hold spaces
        (r"(?<![\w<>.])~?/(?:[^\s,;:'\"()<>\[\]]+)", "<path>"),
        (r"\b0[xX][0-9a-fA-F]+\b", "<hex>"),
        (r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,}\b", "<hex>"),
        (r"\b(?=[0-9A-F]*[0-9])(?=[0-9A-F]*[A-F])[0-9A-F]{8,}\b", "<hex>"),
        # attempt_1445_0005_m_000000_0, R02-M1-N0-C, order-2026-000123
        (r"\b[A-Za-z]+(?:[_-]+[A-Za-z]*\d+[A-Za-z]?){2,}(?:[_:-][\w-]+)*\b", "<id>"),
        (r"\b[A-Z]\d{2,}(?:-[A-Z]\w*)+(?::[\w-]+)*\b", "<id>"),
        (r"(?<![\w.])(?:\d+h)?\d+m\d+(?:\.\d+)?s\b", "<span>"),
        (
            r"(?<![\w.])v?\d+(?:\.\d+){2,}(?:[-+][0-9A-Za-z.]+)+\b|(?<![\w.])v\d+(?:\.\d+)+\b",
            "<num>",
        ),
        (
            r"(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?: ?(?:ns|us|µs|ms|s|msecs?|secs?|seconds?|minutes?"
            r"|hours?)|m|h)\b",
            "<span>",
        ),
        (r"(?<![\w.])\d+(?:\.\d+)? ?(?:[kKMGTP]i?B|[kMG]B?|B|[Bb]ytes)\b", "<size>"),
        (r"<\d+ (?:sec|ms|s|min)\b|(?<![\d:.])\d{1,2}:\d\d(?![\d:.])", "<span>"),
        (r"(?<=[-_])[A-Za-z]\d+\b", "<id>"),
        (r"(?<![A-Za-z0-9])(?:(?<!>)[-+])?\d{3,}(?:[.,:]\d+)*%?", "<num>"),
        (
            r"(?<![A-Za-z0-9])(?:(?<!>)[-+])?\d+(?:[.,:]\d+)*(?:%|[CFKVW](?!\w)|(?![A-Za-z0-9]))",
            "<num>",
        ),
        (r"(?<=@)[0-9a-f]{3,}\b", "<hex>"),
    )
)
# An address whose name could not be resolved is written with empty brackets.
_NO_NAME = re.compile(r"<ip> \(\s*\)")
# A size is often given twice: "18846 bytes (18.4 KB)".
_AGAIN = re.compile(r"<size> \(<size>\)")
_RUN = re.compile(r"(<\w+>)(?:[,;]?\s+\1){2,}")
# Addresses of a chain of proxies are one place.
_LIST = re.compile(r"(<\w+>)(?:,\1)+")
MASK = re.compile(
    r"<(?:url|email|uuid|time|mac|ip|host|name|text|path|hex|id|span|size|num|money|json|\*)>"
)
# Only the start of a stack trace or a pasted document says what happened.
MOST_CHARACTERS = 2_000


def mask(message: str) -> str:
    """The message with its changing parts replaced; runs of one mask shrink to ``<num>+``."""
    text = _STACK.sub("<id>+", documents.opened(message[:MOST_CHARACTERS]))
    text = _COUNTED.sub("<id>+", text)
    text = _BARE_VERB.sub("", _ABOUT.sub("<text>", text))
    text = _REQUEST.sub(r"\1 <path>", text)
    text = _RANDOM.sub(_random, text)
    for pattern, name in _MASKS:
        text = pattern.sub(name, text)
    text = _NO_NAME.sub("<ip> (<host>)", text)
    text = _AGAIN.sub("<size>", text)
    text = _LIST.sub(r"\1", text)
    return _RUN.sub(r"\1+", text)


def _random(found: re.Match[str]) -> str:
    """A mask if letters and digits mix as they do in no word."""
    word = found[0].removeprefix(found[1] or "")
    if word[0].isdigit() and not (word.upper() == word or word.lower() == word):
        return "<id>"
    turns = len(_TURNS.findall(word)) + (found[1] is not None)
    mixed = len(_SORTS.findall(word)) - 1
    is_mixed = (found[1] is not None or turns > 0) and mixed >= LEAST_MIXED * len(word)
    return "<id>" if turns >= LEAST_TURNS or is_mixed else found[0]


def tokens(message: str) -> tuple[str, ...]:
    """The masked message as words. An empty message is one empty word."""
    return tuple(mask(message).split()) or ("",)
