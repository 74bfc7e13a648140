# ruff: noqa: E501 (patterns and word lists read better whole)
"""Identifiers with one shape everywhere: e-mail, card, IBAN, IP address, URL user names."""

from __future__ import annotations

import ipaddress
import re

from stdnum import iban as stdnum_iban
from stdnum import luhn
from stdnum.exceptions import ValidationError

from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.pii.context import is_machine_line, line_around

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w!#$%&'*+/=?^`{|}~-]{1,64}(?:\.[\w!#$%&'*+/=?^`{|}~-]{1,64}){0,8}\s?@\s?"
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}[^\W\d_]{2,24}(?![\w@-])"
)
_EMAIL_QUOTED = re.compile(r'"[^"\n@]{1,64}"@(?:[\w-]{1,63}\.){1,6}[A-Za-z]{2,24}\b')
_EMAIL_SPELLED = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}\s?(?:\(at\)|\[at\]|\{at\}|<at>|\s(?:at|AT)\s)\s?"
    r"(?:[\w-]{1,63}\s?(?:\(dot\)|\[dot\]|\{dot\}|<dot>|\s(?:dot|DOT)\s|\.)\s?){1,4}[A-Za-z]{2,12}\b"
)
_CARD = re.compile(r"(?<![\w.,:/#=@+-])(?<!\d[ -])\d(?:[ \-.]{0,2}\d){11,18}(?![\w@%]|[-.,/]\d)")
_CARD_BARE = re.compile(r"(?<![\w.,:/#=@+-])(?<=\d[ ])\d{13,19}(?![\w@%]|[-.,/]\d)")
_CARD_KEYED = re.compile(r"(?<=[:=,;|#(/\"'>@])\d(?:[ \-.]?\d){11,18}(?![\w@%]|[-./]\d|,\d\d\b)")
_GROUP = re.compile(r"\d+")
_CARD_WORD = re.compile(
    r"card|karte|carte|tarjeta|\bcarta (?:di|de)|cart[ãa]o|kort|karta|\bcc\b|\bpan\b|visa|master|amex|american "
    r"express|diners|discover|maestro|jcb|unionpay|\bpan:|charged (?:to )?$|paid (?:with|by) $|block $|карт|カード|卡",
    re.IGNORECASE,
)
_OTHER_ID = re.compile(
    r"\b(?:trace|span|request|order|transaction|txn|session|tracking|imei|ean|gtin|isbn|meid|serial"
    r"|batch|doc|document|voucher|id|uid|guid|hash|timestamp|epoch|seq|offset)\w*[\W_]{0,4}$",
    re.IGNORECASE,
)
_CARD_GROUPS = (
    [4, 4, 4, 4],
    [4, 6, 5],
    [4, 6, 4],
    [4, 4, 4, 2],
    [4, 4, 6],
    [6, 4, 6],
    [4, 4, 4, 4, 3],
    [4, 4, 4, 1],
    [6, 13],
    [4, 4, 4],
)
_CARD_PREFIX = re.compile(
    r"^(?:4(?:\d{12}|\d{15}|\d{18})$|5[1-5]\d{14}$|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)"
    r"\d{12}$|3[47]\d{13}$|3(?:0[0-5]|[689]\d)\d{11}$|3(?:0[0-5]|[689]\d)\d{13}$"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}$|35\d{14}$|35(?:2[89]|[3-8]\d)\d{12,15}$|(?:2131|1800)\d{11}$"
    r"|62\d{14,17}$|(?:50|5[6-9]|6\d)\d{10,17}$|220[0-4]\d{12,15}$|9792\d{12}$)"
)
_MAESTRO_PREFIX = ("5018", "5020", "5038", "5893", "6304", "6759", "676", "0604", "5612", "6390")
# Issuers whose numbers stand alone too, with no grouping and no word for a card.
_ISSUED = re.compile(
    r"5[1-5]|6011|62|64[4-9]|65|50(?:18|19|20|38)|5893|63(?:04|90)|67(?:59|6)|5612"  # Dankort 5019
    r"|506[167]|509|508[5-9]|60[678]"  # Verve, Elo, Hipercard, RuPay
)
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])(?i:[a-z]{2})[ \-.]?\d[ ]?\d(?:[ \-.]{0,2}(?i:[a-z0-9])){11,30}(?![A-Za-z0-9])"
)
_IPV4 = re.compile(
    r"(?<![\w.-])(?<!\d[,])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
    r"(?![\w]|\.\d|-\d+\.)"
)
_VERSION_BEFORE = re.compile(
    r"(?:\bv|\bver\.?|\bversions?|\brelease|\bbuild|\bfirmware|\bpatch|\bdriver|[A-Za-z]/|"
    r"\bsection|\bsec\.|\bclause|§|\bchapter|\bparagraph|\bpara|\bAbs\.?|\bZiffer|\bAbschnitt|"
    r"\bupgrade(?:d)? to|\bupdate(?:d)? to|\bchrome|\boid|==|>=|<=|~=|@)\s*[:=]?\s*$",
    re.IGNORECASE,
)
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:)"
    r"(?:[0-9A-Fa-f:]{1,30}:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]{2,39})(?:%\w{1,15})?(?![\w:])"
)
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])")


def emails(text: str) -> list[Span]:
    """E-mail addresses, plain, quoted or spelled "(at)"."""
    spans: list[Span] = []
    if "@" in text:
        for pattern in (_EMAIL, _EMAIL_QUOTED):
            for m in pattern.finditer(text):
                lead = len(m[0]) - len(m[0].lstrip("'`*=/{|"))
                if m.end() - m.start() - lead > 5 and not re.match(r"\s?@", m[0][lead:]):
                    spans.append(Span("EMAIL", m.start() + lead, m.end(), 0.95))
    if "at" in text or "AT" in text:
        spans += [
            Span("EMAIL", m.start(), m.end(), 0.8)
            for m in _EMAIL_SPELLED.finditer(text)
            if "dot" in m[0].lower() or re.search(r"[(\[{<]at", m[0])
        ]
    return spans


def cards(text: str) -> list[Span]:
    """Payment cards: a known issuer range, the length it allows and the Luhn digit.

    Source: ISO/IEC 7812-1. Shapes that could be other ids need a card's grouping or a card word.
    """
    spans = []
    for pattern in (_CARD, _CARD_KEYED):
        for m in pattern.finditer(text):
            found = _card(text, m.start(), m.end()) or _card_within(text, m.start(), m.end())
            if found:
                spans.append(found)
    # One of a single group may stand behind another number ("2024 4111…").
    spans += [s for m in _CARD_BARE.finditer(text) if (s := _card(text, m.start(), m.end()))]
    return spans


def _card(text: str, start: int, end: int) -> Span | None:
    raw = text[start:end]
    before = text[max(0, start - 40) : start]
    confidence = _card_confidence(raw, re.sub(r"\D", "", raw), before)
    return Span("CREDIT_CARD", start, end, confidence) if confidence else None


def _card_within(text: str, start: int, end: int) -> Span | None:
    """A card between other numbers: whole groups, grouped as cards are."""
    groups = [m.span() for m in _GROUP.finditer(text, start, end)]
    for first in range(len(groups)):
        for last in range(len(groups), first, -1):
            sizes = [b - a for a, b in groups[first:last]]
            if last - first == len(groups) or not 12 <= sum(sizes) <= 19:
                continue
            if sizes in _CARD_GROUPS or len(sizes) == 1:
                found = _card(text, groups[first][0], groups[last - 1][1])
                if found:
                    return found
    return None


def _card_confidence(raw: str, digits: str, before: str) -> float:
    word = _CARD_WORD.search(before) is not None
    if len(set(digits)) == 1 or not luhn.is_valid(digits):
        grouped = re.fullmatch(r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}", raw) is not None
        return 0.6 if word and grouped and len(set(digits)) > 2 else 0.0
    groups = [len(g) for g in re.split(r"[ .\-]+", raw)]
    known = _CARD_PREFIX.match(digits) is not None
    if word:
        return 0.95 if known or len(groups) == 1 or groups in _CARD_GROUPS else 0.0
    if not known and not digits.startswith(_MAESTRO_PREFIX):
        return 0.0
    if len(groups) > 1:
        return 0.9 if groups in _CARD_GROUPS or len(groups) == len(digits) else 0.0
    if _OTHER_ID.search(before):
        return 0.0
    if len(digits) in (12, 13):
        return 0.7 if digits.startswith((*_MAESTRO_PREFIX, "4", "62")) else 0.0
    if digits[0] in "56" and re.match(r"5[1-5]|6011|65", digits) is None:
        return 0.7 if _ISSUED.match(digits) else 0.0
    return 0.85


def ibans(text: str) -> list[Span]:
    """IBANs in any grouping; ISO 13616 check digits, or the word "IBAN" right before."""
    spans, place = [], 0
    while m := _IBAN.search(text, place):
        span = _iban_span(text, m.start(), m.end())
        if span:
            spans.append(span)
        # What begins like one ("of 2024 …") may reach into one.
        place = span.end if span else m.start() + 1
    return spans


def _iban_span(text: str, start: int, end: int) -> Span | None:
    raw = text[start:end]
    country = raw[:2].upper()
    compact = re.sub(r"[^A-Za-z0-9]", "", raw).upper()
    labelled = re.search(r"\bIBAN\b\W{0,12}$", text[max(0, start - 20) : start], re.IGNORECASE)
    for length in sorted({_iban_length(country), len(compact)} - {0}):
        if not 15 <= length <= len(compact):
            continue
        stop = start + _compact_end(raw, length)
        if stop < len(text) and text[stop].isalnum() and text[stop - 1].isalnum():
            continue
        if _iban_valid(compact[:length]):
            return Span("IBAN", start, stop, 0.97)
        if labelled and length == _iban_length(country):
            return Span("IBAN", start, stop, 0.7)
    return None


def _iban_valid(compact: str) -> bool:
    try:
        stdnum_iban.validate(compact, check_country=False)
    except ValidationError:
        return False
    return True


def _iban_length(country: str) -> int:
    info = stdnum_iban._ibandb.info(country)
    if not info or not info[0][1]:
        return 0
    return 4 + sum(int(n) for n in re.findall(r"(\d+)!?[nac]", info[0][1].get("bban", "")))


def _compact_end(raw: str, length: int) -> int:
    seen = 0
    for index, char in enumerate(raw):
        seen += char.isalnum()
        if seen == length:
            return index + 1
    return len(raw)


def ip_addresses(text: str) -> list[Span]:
    """IPv4 and IPv6 addresses that are no version number, section number or clock time."""
    spans = []
    for m in _IPV4.finditer(text):
        before = text[max(0, m.start() - 18) : m.start()]
        if _VERSION_BEFORE.search(before) or re.search(r"\d\.$", before):
            continue
        if m[0].startswith("0.") and m[0] != "0.0.0.0":  # noqa: S104 — an address in a text
            continue
        spans.append(Span("IP_ADDRESS", m.start(), m.end(), 0.9))
    if text.count(":") >= 2:
        spans += [_s for m in _IPV6.finditer(text) if (_s := _ipv6(m))]
        spans += [Span("MAC_ADDRESS", m.start(), m.end(), 0.8) for m in _MAC.finditer(text)]
    elif text.count("-") >= 5:
        spans += [Span("MAC_ADDRESS", m.start(), m.end(), 0.8) for m in _MAC.finditer(text)]
    return spans


def _ipv6(match: re.Match[str]) -> Span | None:
    raw = match[0].rstrip(":") if not match[0].endswith("::") else match[0]
    if len(raw) < 3 or raw in ("::",) or not re.search(r"[0-9A-Fa-f]", raw):
        return None
    if re.fullmatch(r"::[a-z]{1,4}|[a-z]{1,4}::", raw, re.IGNORECASE) and not re.search(r"\d", raw):
        return None  # C++ and Rust paths
    try:
        ipaddress.IPv6Address(raw)
    except ValueError:
        return None
    return Span("IP_ADDRESS", match.start(), match.start() + len(raw), 0.9)


__all__ = ["cards", "emails", "ibans", "ip_addresses", "is_machine_line", "line_around"]
