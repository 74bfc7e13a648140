"""Wrong answers on purpose: plausible ones, decided by hash, the same at every try."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta
from typing import Any

# Each is a slip that people make: a margin added or taken off, a wrong base, a digit slipped.
SLIPS = (1.1, 0.9, 1.21, 0.79, 1.5, 0.1)
# Verdict words and what a contradiction says instead.
OPPOSITES = {
    "low": "high", "high": "low", "pass": "fail", "fail": "pass", "passes": "fails",
    "fails": "passes", "passed": "failed", "failed": "passed", "adequate": "inadequate",
    "inadequate": "adequate", "material": "immaterial", "immaterial": "material",
    "effective": "ineffective", "ineffective": "effective", "within": "outside",
    "outside": "within", "above": "below", "below": "above", "over": "under", "under": "over",
    "required": "not required", "accept": "decline", "decline": "accept", "yes": "no", "no": "yes",
    "increase": "decrease", "decrease": "increase", "favourable": "adverse",
    "adverse": "favourable", "deductible": "not deductible", "taxable": "exempt",
    "exempt": "taxable", "reasonable": "unreasonable", "significant": "insignificant",
    "compliant": "non-compliant", "not": "", "strong": "weak", "weak": "strong",
}  # fmt: skip

_NUMBER = re.compile(r"(?<![\w.,-])-?\d[\d,]*(?:\.\d+)?(?![\w-]|[.,]\d)")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DATE_SPLIT = re.compile(r"(\b\d{4}-\d{2}-\d{2}\b)")
_WORD = re.compile(r"[A-Za-z]+")


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on ``parts`` only, not on process, order or time."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


def distort(value: Any, key: str) -> Any:
    """``value`` as a wrong answer has it: figures off by one common slip, verdicts contradicted.

    The slip is drawn from ``key``. Texts without a number or a verdict word are dropped, so no
    statement of a result survives.
    """
    slip = SLIPS[int(draw(key, "slip") * len(SLIPS))]
    return _distorted(value, slip)


def _distorted(value: Any, slip: float) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return _off(value, slip)
    if isinstance(value, str):
        return contradict(value, slip)
    if isinstance(value, list):
        kept = [_distorted(one, slip) for one in value]
        return [one for one in kept if one != ""]
    if isinstance(value, dict):
        wrong = {name: _distorted(one, slip) for name, one in value.items()}
        return {name: one for name, one in wrong.items() if one != ""}
    return value


def _off(value: int | float, slip: float) -> int | float:
    if isinstance(value, int):
        wrong = round(value * slip)
        return wrong if wrong != value else value + 1
    places = max(2, len(repr(value).partition(".")[2])) if "e" not in repr(value) else 12
    wrong_value = round(value * slip, places)
    return wrong_value if abs(wrong_value - value) > 0.01 else round(value + 0.11, places)


def contradict(text: str, slip: float) -> str:
    """``text`` with its dates moved, numbers off and verdict words turned; "" if it has none."""
    changed = "".join(
        _DATE.sub(_other_day, piece) if place % 2 else _turned(piece, slip)
        for place, piece in enumerate(_DATE_SPLIT.split(text))
    )
    changed = " ".join(changed.split()) if "\n" not in changed else changed
    return "" if changed == text else changed


def _slip(match: re.Match[str], slip: float) -> str:
    digits = match[0].replace(",", "")
    decimals = len(digits.partition(".")[2])
    wrong = _off(float(digits) if decimals else int(digits), slip)
    return f"{wrong:.{decimals}f}"


def _turned(text: str, slip: float) -> str:
    off = _NUMBER.sub(lambda m: _slip(m, slip), text)
    return _WORD.sub(lambda m: _matched_case(m[0]), off)


def _matched_case(word: str) -> str:
    opposite = OPPOSITES.get(word.lower())
    if opposite is None:
        return word
    return opposite.capitalize() if word[0].isupper() else opposite


def _other_day(match: re.Match[str]) -> str:
    try:
        return (date(int(match[1]), int(match[2]), int(match[3])) + timedelta(days=31)).isoformat()
    except (ValueError, OverflowError):
        return match[0]
