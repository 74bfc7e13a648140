"""A recorded series read row by row by the shipped anomaly detector.

The same code as live: a row's score uses that row and earlier ones only.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from config.errors import AppError
from monitoring.domain.anomaly.detector import Detector, Settings

COLUMNS = ("timestamp", "value")
# A clock set back (end of summer time) is life; more is a file in the wrong order.
MOST_STEP_BACK_SECONDS = 2 * 3600
MISSING = {"", "nan", "null", "none", "na"}


class InvalidSeries(AppError):
    """A series file that cannot be read; the line counts from 1 and includes the header."""

    code, http_status = "invalid_series", 422

    def __init__(self, line: int, got: str, limit: str) -> None:
        super().__init__(line, got, limit)
        self.line, self.got, self.limit = line, got[:80], limit

    def __str__(self) -> str:
        return f"line {self.line}: got {self.got!r}; {self.limit}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a series: the texts as given, seconds since 1970, and None for a gap."""

    timestamp: str
    text: str
    at_seconds: float
    value: float | None


@dataclass(frozen=True, slots=True)
class Scored:
    """One line of the answer. ``score`` is 0 to 1, 0.5 at the limit."""

    timestamp: str
    value: str
    score: float
    flagged: bool
    cause: str


def read_series(lines: Iterable[str]) -> Iterator[Row]:
    """Rows of a CSV with the columns ``timestamp`` and ``value`` (others are ignored).

    Times are ISO 8601 (UTC if they name no zone) or seconds since 1970, in order; a value may be
    empty. Raises InvalidSeries that names the line.
    """
    reader = csv.reader(lines)
    header = [name.strip().lstrip("\ufeff").lower() for name in next(reader, [])]
    if not set(COLUMNS) <= set(header):
        raise InvalidSeries(1, ",".join(header), "needs a header with timestamp,value")
    at, column = header.index("timestamp"), header.index("value")
    last = -math.inf
    for cells in reader:
        if not cells:
            continue
        if len(cells) <= max(at, column):
            limit = f"needs {len(header)} columns as in the header"
            raise InvalidSeries(reader.line_num, ",".join(cells), limit)
        row = _row(reader.line_num, cells[at].strip(), cells[column].strip())
        if row.at_seconds < last - MOST_STEP_BACK_SECONDS:
            raise InvalidSeries(reader.line_num, row.timestamp, "rows must be in order of time")
        last = row.at_seconds
        yield row


def backtest(rows: Iterable[Row], settings: Settings | None = None) -> Iterator[Scored]:
    """Score every row, in order, as if it had just arrived."""
    detector = Detector(settings)
    for row in rows:
        reading = detector.update(row.at_seconds, row.value)
        cause = reading.cause if reading.flagged else ""
        yield Scored(row.timestamp, row.text, reading.score, reading.flagged, cause)


def _row(line: int, timestamp: str, text: str) -> Row:
    if text.lower() in MISSING:
        return Row(timestamp, text, _seconds(line, timestamp), None)
    try:
        value = float(text)
    except ValueError:
        raise InvalidSeries(line, text, "the value must be a number or empty") from None
    if math.isinf(value):
        raise InvalidSeries(line, text, "the value must be finite")
    return Row(timestamp, text, _seconds(line, timestamp), value)


def _seconds(line: int, timestamp: str) -> float:
    try:
        number = float(timestamp)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        limit = "the timestamp must be ISO 8601 or seconds since 1970"
        raise InvalidSeries(line, timestamp, limit) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
