"""The audited year: a calendar year or a financial year from April to March."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from config.errors import InvalidInput

_LIMIT = "write a calendar year such as 2012 or a financial year such as 2012/13 (April to March)"
_FINANCIAL = re.compile(r"(?:FY\s*)?(\d{4})\s*[/\-–]\s*(\d{4}|\d{2})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """The days from ``start`` to ``end``, both in it."""

    label: str
    start: date
    end: date

    def as_dict(self) -> dict[str, str]:
        """JSON form: label and ISO dates."""
        return {
            "label": self.label,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
        }


def parse(year: int | str) -> Period:
    """The period that ``year`` names; raises InvalidInput."""
    text = str(year).strip()
    if re.fullmatch(r"\d{4}", text):
        number = _checked(int(text), year)
        return Period(text, date(number, 1, 1), date(number, 12, 31))
    found = _FINANCIAL.match(text)
    if not found:
        raise InvalidInput("year", year, _LIMIT)
    first = _checked(int(found[1]), year)
    if int(found[2]) % 100 != (first + 1) % 100 or len(found[2]) == 4 != int(found[2]) - first + 3:
        raise InvalidInput("year", year, "a financial year ends in the year after it starts")
    return Period(f"{first}/{(first + 1) % 100:02d}", date(first, 4, 1), date(first + 1, 3, 31))


def _checked(number: int, given: int | str) -> int:
    if not 1970 <= number <= 2100:
        raise InvalidInput("year", given, "the year must lie between 1970 and 2100")
    return number
