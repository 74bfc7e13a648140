# ruff: noqa: E501 (patterns and word lists read better whole)
"""One plain reading of a text, and the hidden readings that encodings may carry.

``plain`` undoes what changes looks but not meaning (Unicode forms, invisible characters,
look-alike letters); ``hidden_readings`` decodes what a model could decode: base64, hex, URL and
HTML escapes, rot13, Morse, binary, reversed text, leetspeak, spaced-out letters, Unicode tags.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
import urllib.parse
from collections.abc import Iterator

from agents.domain.guardrails.fold import INVISIBLE

# Cyrillic, Greek and other letters that look Latin, folded only inside words that also hold Latin
# letters or consist of look-alikes alone beside Latin words.
_LOOKALIKE = str.maketrans(
    "аеорсухіјѕԁһքӏьвмнткԍɡαοερνυκιτχηωƖɩɑАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧѵԛԝզհոսօցł",
    "aeopcyxijsdhqlbvmhtkggaoepvukitxnwliaABEKMHOPCTYXIJSABEZHIKMNOPTYXvqwqhnuogl",
)
_LEET = str.maketrans("0134578@$!|+€", "oieastbasiite")
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
_FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u0250-\u02af\u0196\u0142]")
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_MARKS = re.compile("[\u0300-\u036f]+")
_UNACCENTED = {
    code: base
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    if (base := unicodedata.normalize("NFD", chr(code))[0]).isascii() and base.isalpha()
} | {ord(c): b for c, b in zip("ıłøđħ", "ilodh", strict=True)}
_TAG_BLOCK = re.compile("[\U000e0020-\U000e007e]{4,}")

_BASE64 = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/_-]{16,}={0,2})(?![\w+/=])")
_HEX = re.compile(
    r"(?<!\w)(?:0x)?((?:[0-9a-fA-F]{2}[\s:,]?){10,})(?!\w)|((?:\\x[0-9a-fA-F]{2}){6,})"
)
_ESCAPED = re.compile(r"(?:\\u[0-9a-fA-F]{4}){4,}")
_BINARY = re.compile(r"(?:[01]{8}[\s,]*){5,}")
_DECIMAL = re.compile(r"(?<![\d.])(?:(?:3[2-9]|[4-9]\d|1[01]\d|12[0-6])[\s,;]+){9,}\d{2,3}")
_MORSE = re.compile(r"(?<!\S)(?:[.\-·–]{1,5}(?:\s+|\s*/\s*|$)){8,}")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*·|~]{1,2}){5,}[^\W_](?![^\W_])")
_SPLIT_WORD = re.compile(r"(?<=[a-z])[-_.*~|+](?=[a-z])")
_LEET_WORD = re.compile(
    r"(?<!\w)(?=\w*[a-z@$!|])(?=[\w@$!|+]*[013457@$!|])[\w@$!|+]{4,}(?!\w)", re.IGNORECASE
)
_HTML_HIDDEN = re.compile(
    r"<[^>]{0,300}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0"
    r"|opacity\s*:\s*0|color\s*:\s*(?:white|#fff(?:fff)?))[^>]{0,300}>([^<]{4,2000})|"
    r"\[//\]: # \((.{4,500}?)\)",
    re.IGNORECASE | re.DOTALL,
)
_MORSE_CODE = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- "
        "-..- -.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)
_COMMON = frozenset(
    "the and you your all are not this that with for from what now ignore instructions previous system "
    "prompt rules reveal password secret key print say tell me forget disregard instead word output "
    "answer please send access repeat is to of in do it please show give user act".split()
)


def plain(text: str) -> str:
    """``text`` in NFKC, lower case, without invisible characters, look-alikes made Latin."""
    if text.isascii():
        return _SPACE.sub(" ", text).lower()
    shown = unicodedata.normalize("NFKC", INVISIBLE.sub("", text))
    if _FOREIGN.search(shown) and _LATIN.search(shown):
        shown = _WORD.sub(_latinised, shown)
    elif _FOREIGN.search(shown):
        shown = shown if _reads_cyrillic(shown) else shown.translate(_LOOKALIKE)
    return _SPACE.sub(" ", _unaccented_latin(shown)).lower().replace("i\u0307", "i")


def bare(plain: str) -> str:
    """Latin letters without their accents, a letter for a letter: "talımat" is "talimat".

    Whoever writes in a hurry, in capitals or to get by leaves accents out.
    """
    return plain if plain.isascii() else plain.translate(_UNACCENTED)


def _latinised(match: re.Match[str]) -> str:
    word = match[0]
    return word.translate(_LOOKALIKE) if _LATIN.search(word) and _FOREIGN.search(word) else word


def _reads_cyrillic(text: str) -> bool:
    """Whether foreign letters are more than look-alikes: real Russian or Greek has others too."""
    rest = text.translate(_LOOKALIKE)
    return _FOREIGN.search(rest) is not None


def _unaccented_latin(text: str) -> str:
    """Stacked combining marks removed ("Zalgo"); ordinary accents stay."""
    return _MARKS.sub("", text)


def mixes_scripts(text: str) -> bool:
    """Whether a word holds both Latin letters and look-alikes of another script."""
    if text.isascii() or not _FOREIGN.search(text):
        return False
    return sum(1 for w in _WORD.findall(text) if _is_disguised(w)) >= 2


def _is_disguised(word: str) -> bool:
    """Whether a word of several Latin letters hides look-alikes; "μH" and "Δt" are units."""
    foreign = _FOREIGN.findall(word)
    alike = all(c.translate(_LOOKALIKE) != c for c in foreign)
    return bool(foreign) and alike and len(_LATIN.findall(word)) >= 2 and len(word) >= 4


def hidden_readings(text: str) -> Iterator[tuple[str, str]]:
    """(technique, decoded text) for each encoding that ``text`` seems to carry."""
    yield from _by_pattern(text)
    tags = "".join(chr(ord(c) - 0xE0000) for run in _TAG_BLOCK.findall(text) for c in run)
    if tags:
        yield "unicode_tags", tags
    if "<" in text or "[//]" in text:
        for groups in _HTML_HIDDEN.findall(text):
            yield "hidden_markup", " ".join(g for g in groups if g)
    if "%" in text and re.search(r"(?:%[0-9A-Fa-f]{2}.{0,12}?){4,}", text, re.DOTALL):
        yield "url_encoding", urllib.parse.unquote(text)
    if "&#" in text or "&lt;" in text:
        yield "html_entities", html.unescape(text)
    lower = plain(text)
    yield from _respelled(lower)
    if _commonness(lower) < 0.12 and len(lower) < 4000:
        for name, reading in (
            ("rot13", codecs.encode(lower, "rot13")),
            ("reversed", lower[::-1]),
            ("reversed_words", " ".join(w[::-1] for w in lower.split())),
        ):
            if _commonness(reading) >= 0.2:
                yield name, reading


def _by_pattern(text: str) -> Iterator[tuple[str, str]]:
    for found in _BASE64.findall(text)[:20]:
        yield from _named("base64", _from_base64(found))
    if re.search(r"[0-9a-fA-F]{2}", text):
        for first, second in _HEX.findall(text)[:10]:
            digits = re.sub(r"[^0-9a-fA-F]", "", (first or second).replace("\\x", ""))
            yield from _named("hex", _printable(_unhex(digits)))
    for found in _ESCAPED.findall(text)[:10]:
        yield "unicode_escape", re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), found)
    for found in _BINARY.findall(text) and [m[0] for m in _BINARY.finditer(text)][:5]:
        bits = re.sub(r"[^01]", "", found)
        yield from _named(
            "binary", _printable(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8)))
        )
    for found in [m[0] for m in _DECIMAL.finditer(text)][:5]:
        yield from _named("decimal", _printable(bytes(int(n) for n in re.findall(r"\d+", found))))
    for found in [m[0] for m in _MORSE.finditer(text)][:5]:
        yield from _named("morse", _from_morse(found))


def _named(name: str, decoded: str) -> Iterator[tuple[str, str]]:
    if decoded:
        yield name, decoded


def _respelled(lower: str) -> Iterator[tuple[str, str]]:
    spaced = [m[0] for m in _SPACED.finditer(lower)]
    if spaced:
        joined = lower
        for run in spaced:
            words = re.split(r"\s{2,}|\s[|/]\s", run) if "  " in run else [run]
            joined = joined.replace(run, " ".join(re.sub(r"[^\w]|_", "", w) for w in words))
        yield "spaced_letters", joined
    leet = _LEET_WORD.findall(lower)
    if len(leet) >= 2 or any(w.translate(_LEET) in _COMMON for w in leet):
        yield "leetspeak", _LEET_WORD.sub(lambda m: m[0].translate(_LEET), lower)
    if len(_SPLIT_WORD.findall(lower)) >= 4:
        yield "split_words", _SPLIT_WORD.sub("", lower)


def _commonness(text: str) -> float:
    """Share of words that are everyday English or prompt words."""
    words = re.findall(r"[a-z]+", text)
    return sum(w in _COMMON for w in words) / len(words) if len(words) >= 3 else 0.0


def _from_base64(token: str) -> str:
    if token.isdigit() or (token.islower() and "_" not in token) or token.count("/") > 4:
        return ""
    padded = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _printable(base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True))
    except (binascii.Error, ValueError):
        return ""


def _unhex(digits: str) -> bytes:
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _printable(raw: bytes) -> str:
    """The bytes as text if nearly all of it can be read, else nothing."""
    text = raw.decode("utf-8", "ignore")
    letters = sum(c.isalpha() or c in " .,;:!?'\"-\n" for c in text)
    return (
        text
        if len(text) >= 6 and len(text) >= len(raw) * 0.8 and letters >= len(text) * 0.85
        else ""
    )


def _from_morse(found: str) -> str:
    words = re.split(r"\s*/\s*|\s{3,}", found.replace("·", ".").replace("–", "-").strip())
    return " ".join("".join(_MORSE_CODE.get(c, "") for c in w.split()) for w in words)
