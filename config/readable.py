"""Numbers as people read them: three significant digits and a unit. Pure, for pages and mails."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
_THOUSANDS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def significant(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, without an exponent: 0.0441, 1.2, 34, 1234."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "–"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: float, digits: int = 3) -> str:
    """A change with its sign, without an exponent: ``+12.5``, ``−0.00002``."""
    return ("−" if value < 0 else "+") + significant(abs(value), digits)


def duration(seconds: float | None) -> str:
    """``34 ms``, ``1.2 s``, ``2 min 5 s``, ``1 h 12 min``, ``3 d 4 h``; a dash for None."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{significant(max(seconds, 0) * 1000, 3 if seconds >= 0.01 else 2)} ms"
    if seconds < MINUTE:
        return f"{significant(seconds)} s"
    for whole, part, big, small in (
        (MINUTE, 1.0, "min", "s"), (HOUR, MINUTE, "h", "min"), (DAY, HOUR, "d", "h")
    ):  # fmt: skip
        limit = {"min": HOUR, "h": DAY}.get(big, math.inf)
        if seconds < limit:
            full, rest = divmod(int(seconds), int(whole))
            rest //= int(part)
            return f"{full} {big} {rest} {small}" if rest else f"{full} {big}"
    raise AssertionError("the last limit is infinite")


def money(usd: Decimal | float | str | None) -> str:
    """US dollars to three significant digits: ``$0.044``, ``$12.4``, ``$1,234``."""
    if usd is None:
        return "–"
    value = float(usd)
    return f"−${significant(-value)}" if value < 0 else f"${significant(value)}"


def count(number: float | None) -> str:
    """``950``, ``12.4 k``, ``3.1 M``."""
    if number is None:
        return "–"
    for size, unit in _THOUSANDS:
        if abs(number) >= 10 * size or (abs(number) >= size and size > 1e3):
            return f"{significant(number / size)} {unit}"
    return f"{number:,.0f}" if float(number).is_integer() else significant(number)


# Under this share, or this chance, more digits say nothing to anybody.
LEAST_RATIO, LEAST_P = 1e-5, 1e-4


def percent(ratio: float | None) -> str:
    """A ratio from 0 to 1 as ``98.3 %``; never 100 unless it is all, nor 0 unless it is none."""
    if ratio is None:
        return "–"
    if 0 < ratio < LEAST_RATIO:
        return f"< {LEAST_RATIO * 100:g} %"
    if 0.999 < ratio < 1:
        return "> 99.9 %"
    sign = "−" if ratio < 0 else ""
    return f"{sign}{significant(abs(ratio) * 100)} %"


def p_value(chance: float | None) -> str:
    """A p-value to two digits, ``0.034``; ``< 0.0001`` below that."""
    if chance is None:
        return "–"
    return f"< {LEAST_P:g}" if chance < LEAST_P else significant(chance, 2)


def size(number: int | None) -> str:
    """Bytes: ``812 B``, ``1.5 MB``."""
    if number is None:
        return "–"
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{significant(number / limit)} {unit}"
    return f"{number} B"


def ago(when: datetime | None, now: datetime) -> str:
    """``just now``, ``3 min ago``, ``in 2 h``: the largest unit only."""
    if when is None:
        return "–"
    seconds = (now - when).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    text = largest_unit(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def largest_unit(seconds: float) -> str:
    """``45 s``, ``3 min``, ``2 h``, ``5 d``: rounded down, for how long something has been so."""
    for length, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 run``, ``3 runs``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: list[str], limit: int = 3) -> str:
    """``a``, ``a and b``, ``a, b and 3 others``."""
    if len(names) > limit:
        names = [*names[: limit - 1], f"{len(names) - limit + 1} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))
