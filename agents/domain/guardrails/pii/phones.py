# ruff: noqa: E501 (patterns and word lists read better whole)
"""Telephone numbers: international, national by notation, bare ones only beside a phone word."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.pii.context import is_machine_line, line_around, side_by_side
from agents.domain.guardrails.pii.phonewords import after_phone_word, names_telephone, phone_word

# Regions whose national notations are tried; metadata of a region loads on first use.
ZERO_REGIONS = (
    "GB DE FR IT NL SE FI CH AT BE IE RO AU NZ IN JP KR CN ZA TR BR IL UA HR BG SI SK AE TH ID"
).split()
OTHER_REGIONS = "US ES PL PT DK NO CZ GR HU IN CN MX BR SG RU HK LU LV LT EE CL CO IT SA".split()

# A number of more digits has others behind it.
MOST_DIGITS = 22
_CANDIDATE = re.compile(
    r"(?<![\w.,:=/#$£€%@-])(?<![\w][.,:/#_-])"
    r"(?:\+\s?|\(\+)?\(?\d[\d()]*(?:(?:[ .\-/]{1,2}|\s-\s|\)[ .-]?)\(?\d[\d()]*|\)){0,9}"
    r"(?:[ ,;]{0,2}(?:x|ext\.?|extension|poste|Durchwahl|DW)[ .:]{0,2}\d{1,6})?(?![\w@%])",
    re.IGNORECASE,
)
_AFTER_SIGN = re.compile(
    r"(?<=[:=/#,(\[\"'>-])\+?\(?\d[\d()]*(?:[ .\-/]{1,2}\(?\d[\d()]*){0,7}(?![\w@%])"
)
_EXTENSION = re.compile(r"[ ,;]{0,2}(?:x|ext|poste|durchwahl|dw)[a-z. :]*\d{1,6}$", re.IGNORECASE)
# In a record only a key counts ("phone=", '"tel": '), not any phone word nearby.
_KEYED = re.compile(
    r"(?:phone|tel|telephone|telefon|mobile|cell|fax|msisdn|caller|callee|contact|whatsapp|sms)"
    r"[\w ]{0,12}[\"']?\s?[:=]\s?[\"']?\+?$",
    re.IGNORECASE,
)
_OTHER_NUMBER = re.compile(
    r"(?:\b(?:invoice|inv|order|ref|refs|reference|doc|docs|document|ticket|case|accounts?|acct|"
    r"batch|build|version|port|pid|tid|id|ids|uid|sku|isbn|issn|ean|upc|po|vendor|voucher|line|"
    r"journal|posting|amount|total|sum|balance|price|cost|net|gross|serial|tracking|transaction|"
    r"txn|trace|span|job|run|commit|rev|revision|record|row|item|part|model|size|bytes|took|code|"
    r"rechnung|rechnungsnr|beleg|belegnr|auftrag|bestell\w*|konto|kontonr|kunden\w*|betrag|summe|"
    r"facture|commande|montant|factura|pedido|importe|fattura|ordine|factuur|bedrag|faktura|"
    r"passport|licen[cs]e|policy|member|employee|patient|case|claim|nhs|ssn|iban|swift|bic|tax|vat|"
    r"eur|usd|gbp|chf|sek|nok|dkk|pln|jpy|rs|inr|cny|kwh|sort code|routing|since|between|years?|"
    r"checkpoint|sequence|lease|counter|node|worker|change\.\w+|timestamp|epoch|offset|checksum|hash|score|range|from|lat|lon|page|pages|pp|section|clause|"
    r"article|note|isin|lei|duns|siren|siret|kvk|nip|regon|pesel|cpf|cnpj|bsn|aadhaar|hrb)"
    r"\b|№|#)[^\w\n]{0,4}(?:(?:no|nr|number|num|nummer|numero|is|was|of)\b[^\w\n]{0,3}){0,2}$",
    re.IGNORECASE,
)
_MONEY_AFTER = re.compile(
    r"\s?(?:€|\$|£|¥|%|eur\b|usd\b|gbp\b|chf\b|kr\b|zł|zl\b|pln\b|sek\b|nok\b|million|thousand|"
    r"mio|units?\b|元|円|원|万|億|亿|bytes\b|ms\b|km\b|kg\b|items?\b|rows\b|shares\b|people\b|inhabitants)",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"^(?:(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ][0-3]?\d(?:\D.*)?"
    r"|[0-3]?\d[-./ ][0-3]?\d[-./ ](?:19|20)\d\d(?:\D.*)?|(?:19|20)\d\d\s?[-/]\s?(?:19|20)?\d\d"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])[0-3]\d(?:[-_ ]?\d{4,6})?"
    r"|[0-3]\d[01]\d(?:19|20)\d\d)$"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IP_OR_VERSION = re.compile(rf"^{_OCTET}(?:\.{_OCTET}){{2,3}}$")
_NANP = re.compile(r"^(?:1[ .-]?)?(?:\(\d{3}\)[ .-]{0,2}|\d{3}[ .-])\d{3}[ .-]\d{4}$")
_PAIRS = re.compile(
    r"^\d{2}(?: \d{2}){3,4}$|^\d{2}(?:\.\d{2}){3}$|^\d{3}(?:\.\d{2}){3}$|^\d{2}\.\d{3}\.\d{2}\.\d{2}$|^\d{2}(?:\.\d{2}){4}$|^\d{3}(?: \d{2}){3}$"
)
# Decimals, versions and single digits in a row: columns of a table, not groups of a telephone.
_FIGURES = re.compile(
    r"^(?!0\d{1,4}\.\d{3,} ).*\d\.\d+ \d|\d \d+\.\d|^\d\.\d(?!\d\d[.-]\d{3}[.-]\d{4}$)|^(?:\d+\.){3}\d+$(?<=\.\d)|[ .]\d(?:[ .]\d+)*[ .]\d(?!\d)"
)
_AMOUNT = re.compile(r"[1-9]\d*[.,]\d{1,2}")
_ZIP = re.compile(r"^\d{5}-\d{4}$")
_STATE = re.compile(r"\b[A-Z]{2}[ ,]{1,3}$")
_DOTTED_PAIRS = re.compile(r"^(?!10\.)\d{2}(?:\.\d{2}){3}$")
_CARD_LIKE = re.compile(r"^\d{4}([ -])\d{4}\1\d{4}(?:\1\d{1,7})?$")
_ODD_NATIONAL = re.compile(
    r"^\d{3} \d{3} \d{3}$|^\d{2} \d{3} \d{2} \d{2}$|^\d{3} \d{2} \d{3}$|^\d{3} \d{3} \d{4}$"
    r"|^\d{3}-\d{3}-\d{3}$|^\d{5}[ -]\d{5}$|^\(\d{2,5}\) ?\d{3,5}[ -]?\d{3,4}$|^\d{3} \d{4} \d{4}$"
    r"|^\d{2} \d{4}[- ]\d{4}$|^\d{3}[ -]\d{7}$|^\d{2} \d{3} \d{4}$|^\d{4} \d{4}$"
    r"|^8[ -]\(?\d{3}\)?[ -]\d{3}[ -]\d{2}[ -]?\d{2}$|^\d{3} \d{6}$|^9 \d{4} \d{4}$"
)


def phones(text: str) -> list[Span]:
    """Telephone numbers in folded ``text``."""
    found: list[Span] = []
    for match in _CANDIDATE.finditer(text):
        for start, end in _apart(match):
            found += _judge(text, start, end)
    for match in _AFTER_SIGN.finditer(text):
        if any(s.start <= match.start() < s.end for s in found):
            continue
        if text[match.start()] == "+" or phone_word(
            text[max(0, match.start() - 22) : match.start()]
        ):
            found += _judge(text, match.start(), match.end())
    return found


def _apart(match: re.Match[str]) -> list[tuple[int, int]]:
    """Where the candidate stands, or each telephone of it if only spaces are between several."""
    groups = match[0].split(" ")
    sizes = side_by_side(groups) if all(group.lstrip("+").isdigit() for group in groups) else []
    places: list[tuple[int, int]] = []
    start = match.start()
    while len(sizes) > 1 and groups:
        size = sizes[len(places)]
        end = start + len(" ".join(groups[:size]))
        places.append((start, end))
        groups, start = groups[size:], end + 1
    return places or [match.span()]


# Under this only the grouping and the region's plan speak for a telephone.
SURE = 0.7


def _judge(text: str, start: int, end: int) -> list[Span]:
    raw = text[start:end]
    lead = len(raw) - len(raw.lstrip("("))
    if raw.count("(") != raw.count(")") and lead and raw.count("(") > raw.count(")"):
        start, raw = start + 1, raw[1:]
    if lead and raw.endswith(")") and raw.count("(") == 1:
        start, raw = start + 1, raw[1:-1]
    while raw.endswith(")") and raw.count("(") < raw.count(")"):
        raw = raw[:-1]
    count = sum(c.isdigit() for c in raw)
    if count < 7:
        return []
    if count > MOST_DIGITS and not (
        raw.startswith(("+", "(+")) or phone_word(text[max(0, start - 22) : start])
    ):
        return []  # a row of figures
    for length in _prefix_lengths(raw):
        confidence = _confidence(text, start, raw[:length])
        if confidence and not (confidence < SURE and _goes_on(raw[length:])):
            return [Span("PHONE", start, start + length, confidence)]
    return []


def _prefix_lengths(raw: str) -> list[int]:
    """The whole candidate first, then without its last groups ("… 4567 2024")."""
    cuts = [m.start() for m in re.finditer(r"(?<=[\d)])[ ]", raw)]
    lengths = [len(raw), *reversed(cuts)]
    fitting = [n for n in lengths if sum(c.isdigit() for c in raw[:n]) <= MOST_DIGITS]
    return fitting[:4]


def _goes_on(rest: str) -> bool:
    """Whether what was cut off is more than one group: then it is a row of numbers."""
    return len(rest.split()) > 1


def _confidence(text: str, start: int, raw: str) -> float:
    """0 for "not a phone number", else how sure."""
    body = _EXTENSION.sub("", raw).strip()
    digits = re.sub(r"\D", "", body)
    if not 7 <= len(digits) <= 16 or (len(set(digits)) < 3 and "+" not in body):
        return 0.0
    if re.search(r"(?<!\d)\d\d?/\d\d?/\d{4}|(?:19|20)\d\d-\d\d-\d\d", body):
        return 0.0
    if (_DATE.match(body) or _IP_OR_VERSION.match(body)) and not _DOTTED_PAIRS.match(body):
        return 0.0  # before all that is dear: there may be a page of them
    before = text[max(0, start - 45) : start]
    word = phone_word(before)
    if not word and _OTHER_NUMBER.search(before):
        return 0.0
    if (
        not word
        and "+" not in body
        and (_FIGURES.search(body) or (_ZIP.match(body) and _STATE.search(before)))
    ):
        return 0.0
    if body.startswith(("+", "(+")):
        return 0.9 if _international("+" + digits, body, word) else 0.0
    if _DOTTED_PAIRS.match(body) and names_telephone(before) and _valid_somewhere(digits):
        return 0.96  # surer than that it is an address
    if _DATE.match(body) or _IP_OR_VERSION.match(body) or (_CARD_LIKE.match(body) and not word):
        return 0.0
    if re.match(
        r"00?1[- .]\(?[2-9]\d\d\)?[- .]\d{3}[- .]\d{4}$", body
    ) and not _OTHER_NUMBER.search(before):
        return 0.8
    if digits.startswith(("00", "011")) and _international(
        "+" + (digits[3:] if digits.startswith("011") else digits[2:]), body, False
    ):
        return 0.85
    after = text[start + len(raw) : start + len(raw) + 40]
    if _AMOUNT.fullmatch(body) and not (word or phone_word(after) or _KEYED.search(before)):
        return 0.0  # two groups are no telephone's unless a word says so, whatever the line is
    left, right = line_around(text, start, start + len(raw))
    machine = is_machine_line(text[left:right])
    if machine:
        word = _KEYED.search(before) is not None
    if _MONEY_AFTER.match(text, start + len(raw)) and not word:
        return 0.0
    if _NANP.match(body) and not (machine and not word and " " in body):
        if word or digits[-10] in "23456789":
            return 0.8
    if word:
        return 0.75 if _after_phone_word(body, digits, before) else 0.0
    word_after = not machine and phone_word(after)
    return 0.6 if not machine and _national(body, digits, word_after) else 0.0


def _international(e164: str, body: str, word: bool) -> bool:
    number = _parse(e164, None)
    if number is None:
        # An area zero in brackets, "+44 (0)20 …", is not dialled from abroad.
        return False
    if phonenumbers.is_valid_number(number):
        return True
    bare = re.sub(r"\(0\)", "", body)
    if bare != body:
        return _international("+" + re.sub(r"\D", "", bare), bare, word)
    return body.startswith(("+", "(+")) and (
        phonenumbers.is_possible_number(number) or (word and 8 <= len(e164) <= 16)
    )


def _after_phone_word(body: str, digits: str, before: str) -> bool:
    if len(digits) <= 12 and _valid_somewhere(digits):
        return True
    gap = after_phone_word(before)
    if re.search(r"\d{4}|[.;!?]\s", gap):
        return False
    return (
        len(gap) <= 30
        and 7 <= len(digits) <= 12 + (digits[0] == "0")
        and not re.search(r"[.,]\d\d$", body)
    )


def _national(body: str, digits: str, word_after: bool) -> bool:
    if digits[0] == "0" and digits[1] != "0" and 8 + ("(" not in body) <= len(digits) <= 12:
        return _valid_somewhere(digits)
    if re.fullmatch(r"\(\d{1,3}\) ?\d[\d -]{6,11}", body) and _international(
        "+" + digits, "+" + digits, False
    ):
        return True
    if re.fullmatch(r"1[3-9]\d{9}", body):  # Chinese mobiles are written bare
        return _valid_in(digits, "CN")
    if not (_PAIRS.match(body) or _ODD_NATIONAL.match(body)):
        return (word_after or digits != body) and _valid_grouping(body, digits, word_after)
    return _valid_somewhere(digits)


def _valid_grouping(body: str, digits: str, word_after: bool) -> bool:
    """Grouped like no amount or date, and valid; bare digits only with a phone word behind."""
    groups = re.split(r"[ .\-/()]+", body.strip("()"))
    if not word_after and (len(groups) < 3 or max(map(len, groups)) > 4):
        return False
    if all(len(g) == 3 for g in groups[1:]) and len(groups[0]) <= 3 and not word_after:
        return False
    return 8 <= len(digits) <= 12 and _valid_somewhere(digits)


@lru_cache(maxsize=4096)
def _valid_somewhere(digits: str) -> bool:
    """Whether some known region has such a national number."""
    regions = ZERO_REGIONS if digits[0] == "0" else OTHER_REGIONS + ZERO_REGIONS
    for region in regions:
        number = _parse(digits, region)
        if number is not None and phonenumbers.is_valid_number_for_region(number, region):
            return True
    return digits.startswith("06") and _valid_in(digits, "HU")


def _valid_in(digits: str, region: str) -> bool:
    number = _parse(digits, region)
    return number is not None and phonenumbers.is_valid_number(number)


def _parse(digits: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
