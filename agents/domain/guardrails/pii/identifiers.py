# ruff: noqa: E501 (patterns and word lists read better whole)
"""National, tax and VAT numbers that their own shape and check digits give away.

A bare run of digits is never enough here: a weak check digit passes one time in ten or eleven.
Those need a label (``labels``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.pii.context import is_machine_line, line_around

_E = r"(?![\w]|[-/.]\w)"
# Where an identifier may begin: a few letters and a digit, not inside a longer token.
_BEGIN = re.compile(r"(?<![\w./-])(?=[A-Za-z]{0,6}[ -]?\d|[A-Z]{3} [A-Z]{3} \d)")


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern, the stdnum module that must accept it ("" for none) and the type it gives."""

    type: str
    pattern: re.Pattern[str]
    module: str = ""
    confidence: float = 0.85


def _shape(kind: str, body: str, module: str = "", confidence: float = 0.85) -> Shape:
    return Shape(kind, re.compile(f"(?:{body})" + _E), module, confidence)


SHAPES: tuple[Shape, ...] = (
    # United States
    _shape("SSN", r"(?!000|666|9)\d{3}([- .])(?!00)\d{2}\1(?!0000)\d{4}"),
    _shape("TAX_ID", r"9\d{2}([- ])(?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])\1\d{4}", "us.itin"),
    # United Kingdom, Ireland
    _shape(
        "NATIONAL_ID",
        r"(?i:(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z])"
        r"[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?(?i:[A-D])",
    ),
    _shape("NATIONAL_ID", r"\d{7}[ -]?[A-W][ABHIW]?", "ie.pps", 0.75),
    # Romance countries
    _shape("TAX_ID", r"(?i:[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z])", "it.codicefiscale"),
    _shape(
        "TAX_ID",
        r"(?i:[A-Z]{3} [A-Z]{3} \d{2}[ABCDEHLMPRST]\d{2} [A-Z]\d{3}[A-Z])",
        "it.codicefiscale",
    ),
    _shape(
        "NATIONAL_ID",
        r"(?i:\d{8}[ -]?[A-HJ-NP-TV-Z]|\d{2}\.\d{3}\.\d{3}[ -]?[A-HJ-NP-TV-Z])",
        "es.dni",
    ),
    _shape("NATIONAL_ID", r"(?i:[XYZ][ -]?\d{7}[ -]?[A-HJ-NP-TV-Z])", "es.nie"),
    _shape("TAX_ID", r"(?i:[ABCDEFGHJNPQRSUVW][ -]?\d{7}[ -]?[0-9A-J])", "es.cif", 0.7),
    _shape(
        "NATIONAL_ID",
        r"[1-478] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3}"
        r"[ -]?\d{2}",
        "fr.nir",
    ),
    _shape("TAX_ID", r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", "br.cnpj"),
    _shape("NATIONAL_ID", r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf"),
    _shape("NATIONAL_ID", r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", "cl.rut"),
    _shape("NATIONAL_ID", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", "mx.curp"),
    _shape("NATIONAL_ID", r"\d{8} ?\d ?[A-Z]{2}\d", "pt.cc"),
    _shape("TAX_ID", r"(?:20|23|24|27|30|33|34)-\d{8}-\d", "ar.cuit"),
    # Northern and central Europe
    _shape(
        "NATIONAL_ID",
        r"(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[-+]\d{4}",
        "se.personnummer",
    ),
    _shape("NATIONAL_ID", r"(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{2}-\d{4}", "dk.cpr", 0.8),
    _shape(
        "NATIONAL_ID", r"(?:[0-2]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A-FU-Y]\d{3}[0-9A-Y]", "fi.hetu"
    ),
    _shape("NATIONAL_ID", r"(?:[0-7]\d)(?:0[1-9]|1[0-2])\d{2} \d{5}", "no.fodselsnummer"),
    _shape("NATIONAL_ID", r"\d{2}(?:[0257]\d|[1368][0-2])(?:[0-2]\d|3[01])/\d{3,4}", "cz.rc"),
    _shape("NATIONAL_ID", r"756\.?\d{4}\.?\d{4}\.?\d{2}", "ch.ssn"),
    _shape("NATIONAL_ID", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", "be.nn"),
    _shape("NATIONAL_ID", r"\d{4} [0-3]\d[01]\d\d{2}", "at.vnr", 0.7),
    _shape("TAX_ID", r"CHE-?\d{3}\.\d{3}\.\d{3}", "ch.uid"),
    _shape("TAX_ID", r"[1-9]\d \d{3} \d{3} \d{3}", "de.idnr", 0.75),
    _shape("NATIONAL_ID", r"\d{2}(?:[02468][1-9]|[13579][0-2])[0-3]\d{6}", "pl.pesel", 0.55),
    _shape("TAX_ID", r"\d{3}-\d{3}-\d{2}-\d{2}|\d{3}-\d{2}-\d{2}-\d{3}", "pl.nip"),
    # Asia and Oceania
    _shape("NATIONAL_ID", r"\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])[0-3]\d{4}[\dXx]", "cn.ric"),
    _shape("NATIONAL_ID", r"\d{6}-[1-8]\d{6}", "kr.rrn"),
    _shape("NATIONAL_ID", r"[2-9]\d{3} \d{4} \d{4}|[2-9]\d{3}-\d{4}-\d{4}", "in_.aadhaar"),
    _shape("TAX_ID", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", "in_.pan"),
    _shape("TAX_ID", r"\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]", "in_.gstin"),
    _shape("NATIONAL_ID", r"[STFGM]\d{7}[A-Z]", "", 0.6),  # Singapore's NRIC and FIN
)
_FROM_LETTER = tuple(
    s for s in SHAPES if re.match(r"\(\?:(?:\(\?i:)?(?:\(\?!|\[[A-Z]|CHE)", s.pattern.pattern)
)
_FROM_DIGIT = tuple(
    s for s in SHAPES if s not in _FROM_LETTER or s.module == "us.ssn" or s.type == "SSN"
)


def _any_of(shapes: tuple[Shape, ...]) -> re.Pattern[str]:
    """What matches where one of ``shapes`` does: one try instead of thirty at most places."""
    bodies = []
    for number, shape in enumerate(shapes):
        body = shape.pattern.pattern
        if "\\1" in body:  # its group has another number beside others
            body = body.replace("([", f"(?P<g{number}>[", 1).replace("\\1", f"(?P=g{number})")
        bodies.append(body)
    return re.compile("|".join(bodies))


_ANY_FROM_LETTER, _ANY_FROM_DIGIT = _any_of(_FROM_LETTER), _any_of(_FROM_DIGIT)
# European VAT numbers by prefix: letters, then 8 to 12 characters that a country's check accepts.
_VAT = re.compile(
    r"(?<![\w-])(?i:(AT|BE|BG|CHE|CY|CZ|DE|DK|EE|EL|ES|FI|FR|GB|GR|HR|HU|IE|IT|LT|LU|LV|MT|NL|NO|PL"
    r"|PT|RO|SE|SI|SK|XI))[ .-]{0,2}((?:[0-9A-Za-z+*][ .\-/]{0,2}){7,13}[0-9A-Za-z])"
    r"(?:[ ]?(?i:MWST|TVA|IVA|MVA))?(?![\w]|-\w)"
)
# Forms so much a VAT number's own that prose may hold them with a wrong check digit.
_VAT_FORM = re.compile(
    r"(?<![\w./-])(?:ATU ?\d{8}|NL ?\d{9} ?B ?\d{2}|CHE[ -]?\d{3}\.?\d{3}\.?\d{3}|SE ?\d{10}01|FR ?[A-Z0-9]{2} ?\d{9}"
    r"|HR ?\d{11}|LV ?\d{11}|IT ?\d{11}|(?:PL|SK) ?\d{10}|CZ ?\d{8,10}|(?:DE|EL|GB|PT|EE) ?\d{9}|BE ?[01]\d{9}"
    r"|IE ?\d[0-9A-Z]\d{5}[A-Z]{1,2}|ES ?[A-Z]\d{7}[A-Z0-9])(?![\w]|[-./]\w)"
)
_COUNTED = re.compile(
    r"\b(?:offset|checkpoint|order|invoice|job|batch|ref|reference|document|ticket|trace|amount|"
    r"total|size|bytes|account|vendor|voucher|journal|posting|item|sku|serial|tracking|"
    r"transaction|code|quantity|qty)\w*[^\w\n]{0,4}(?:(?:no|nr|number|is|was|of)\b\W{0,3})?$",
    re.IGNORECASE,
)
_PASSPORT_MRZ = re.compile(r"P[<A-Z][A-Z]{3}[A-Z]+<<[A-Z<]{5,37}(?:\n[A-Z0-9<]{44})?")


@cache
def validator(module: str) -> Callable[[str], bool]:
    """stdnum's ``is_valid`` of one module, imported on first use (most texts need none)."""
    found: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
    return found


def identifiers(text: str) -> list[Span]:
    """Self-evident national and tax numbers in folded ``text``."""
    spans = []
    for begin in _BEGIN.finditer(text):
        from_digit = text[begin.start()].isdigit()
        any_shape = _ANY_FROM_DIGIT if from_digit else _ANY_FROM_LETTER
        if any_shape.match(text, begin.start()) is None:
            continue
        for shape in _FROM_DIGIT if from_digit else _FROM_LETTER:
            m = shape.pattern.match(text, begin.start())
            if m is None or (shape.module and not validator(shape.module)(m[0].upper())):
                continue
            if shape.confidence < 0.8 and _among_records(text, m.start(), m.end()):
                continue
            spans.append(Span(shape.type, m.start(), m.end(), shape.confidence))
    spans += [Span("PASSPORT", m.start(), m.end(), 0.9) for m in _PASSPORT_MRZ.finditer(text)]
    return spans + vat_numbers(text)


def _among_records(text: str, start: int, end: int) -> bool:
    """Whether a shape with a weak check stands in a machine's line or after another key."""
    left, right = line_around(text, start, end)
    return is_machine_line(text[left:right]) or _COUNTED.search(text, left, start) is not None


def vat_numbers(text: str) -> list[Span]:
    """European VAT numbers with their prefix and a right check digit."""
    spans = []
    for m in _VAT.finditer(text):
        end = m.end()
        while end > m.start() + 8:
            raw = text[m.start() : end]
            if _vat_valid(m[1].upper(), raw):
                spans.append(Span("VAT_ID", m.start(), end, 0.9))
                break
            cut = raw.rstrip().rfind(" ")
            if cut < 8:
                break
            end = m.start() + cut
    for m in _VAT_FORM.finditer(text):
        left, right = line_around(text, m.start(), m.end())
        if not is_machine_line(text[left:right]):
            spans.append(Span("VAT_ID", m.start(), m.end(), 0.6))
    return spans


def _vat_valid(country: str, raw: str) -> bool:
    compact = re.sub(r"[ .\-/]", "", raw).upper()
    if sum(c.isdigit() for c in compact) < 7:
        return False
    if country in ("GB", "XI"):
        return validator("gb.vat")(compact)
    if country == "CHE":
        return validator("ch.vat")(compact) or validator("ch.uid")(compact)
    if country == "NO":
        return compact.endswith("MVA") and validator("no.mva")(compact)
    return validator("eu.vat")(compact)
