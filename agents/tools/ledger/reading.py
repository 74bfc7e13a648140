"""A ledger file read into clean lines and a list of everything that was wrong with it.

Nothing is dropped in silence: a row that cannot be used is a problem with its line number and
reason, and is counted; a row that can be used although something is odd is kept and listed too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents.tools.ledger import amounts, columns, dates
from config.errors import InvalidInput

# A worker parses the file in memory at about ten times its size; larger ledgers come in parts.
MAX_BYTES = 25 * 1024 * 1024
DELIMITERS = (",", ";", "\t", "|")
UNKNOWN = "(none)"

_EXPORT = "export the ledger as CSV text"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of one row. ``line`` counts physical lines from 1, the header included."""

    line: int
    reason: str
    action: str  # "excluded" or "kept"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"line": self.line, "reason": self.reason, "action": self.action}


@dataclass(slots=True)
class Reading:
    """What was read: parallel columns, the problems, and the decisions taken."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    encoding: str = ""
    delimiter: str = ""


def read(content: bytes) -> Reading:
    """Parse a delimited ledger. Raises InvalidInput for what is not one at all."""
    text, encoding = decoded(content)
    delimiter = _delimiter(text)
    records = _records(text, delimiter)
    first = next(records, None)
    if first is None:
        raise InvalidInput("ledger", "an empty file", "a header and at least one line are needed")
    header = first[2]
    where = columns.required(header, delimiter)
    reading = Reading(encoding=encoding, delimiter=delimiter)
    usable = [
        (line, record)
        for line, end, record in records
        if _right_width(reading, line, end, record, len(header))
    ]
    _convert(reading, usable, where)
    if not reading.rows:
        why = reading.problems[0].reason if reading.problems else "there are no rows below it"
        raise InvalidInput("ledger", f"{len(usable)} rows, none usable", f"first reason: {why}")
    _repeated_ids(reading)
    return reading


def decoded(content: bytes) -> tuple[str, str]:
    """The text of a file and its encoding: UTF-8, UTF-16 or Windows-1252."""
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            "ledger",
            f"{len(content) / 2**20:.1f} MB",
            f"the limit is {MAX_BYTES // 2**20} MB; split the ledger by period",
        )
    if not content.strip(b"\x00 \t\r\n\xef\xbb\xbf"):
        raise InvalidInput("ledger", "an empty file", "a header and at least one line are needed")
    if content[:4] == b"PK\x03\x04" or content[:4] == b"%PDF" or content[:2] == b"\x1f\x8b":
        raise InvalidInput("ledger", "a workbook, PDF or archive", _EXPORT)
    for encoding in _candidates(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text and not _mostly_control(text):
            return text, encoding
    raise InvalidInput("ledger", "a binary file", _EXPORT)


def _candidates(content: bytes) -> tuple[str, ...]:
    if content[:3] == b"\xef\xbb\xbf":
        return ("utf-8-sig",)
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    head = content[:2000]
    if head[1::2].count(0) > len(head) // 4:
        return ("utf-16-le",)
    if head[0::2].count(0) > len(head) // 4:
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def _mostly_control(text: str) -> bool:
    head = text[:4000]
    return sum(ch < " " and ch not in "\t\r\n" for ch in head) > len(head) // 100


def _delimiter(text: str) -> str:
    head = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda mark: (_known(head, mark), head.count(mark)))


def _known(head: str, delimiter: str) -> int:
    try:
        return len(columns.matched(next(csv.reader([head], delimiter=delimiter), [])))
    except (InvalidInput, csv.Error):
        return 0


def _records(text: str, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """Non-blank records with their first and last physical line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    end = 0
    while True:
        start = end + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput("ledger", f"line {reader.line_num}", str(error)) from error
        end = reader.line_num
        if any(cell.strip() for cell in record):
            yield start, end, record


def _right_width(reading: Reading, line: int, end: int, record: list[str], width: int) -> bool:
    extra = [cell for cell in record[width:] if cell.strip()]
    if end - line >= 1 and any("\n" in cell and cell.count(",") > 4 for cell in record):
        reason = f"a quote that is not closed takes in lines {line} to {end}"
    elif len(record) < width or extra:
        reason = f"{len(record)} fields where the header has {width}"
    else:
        return True
    reading.problems.extend(Problem(number, reason, "excluded") for number in range(line, end + 1))
    return False


def _convert(reading: Reading, usable: list[tuple[int, list[str]]], where: dict[str, int]) -> None:
    amount_at, date_at = where["amount_gbp"], where["payment_date"]
    convention = amounts.decide((r[amount_at] for _, r in usable), delimiter=reading.delimiter)
    order = dates.decide(r[date_at] for _, r in usable)
    _note_decisions(reading, convention, order)
    for line, record in usable:
        row: dict[str, Any] = {name: " ".join(record[at].split()) for name, at in where.items()}
        try:
            if not row["line_id"]:
                raise ValueError("the line_id is empty")
            row["pence"], rounded = amounts.pence(row.pop("amount_gbp"), convention)
            row["date"] = dates.day(row.pop("payment_date"), order)
        except ValueError as error:
            reading.problems.append(Problem(line, str(error), "excluded"))
            continue
        if rounded:
            reason = "the amount has fractions of a penny; rounded half up"
            reading.problems.append(Problem(line, reason, "kept"))
        for name in ("vendor_id", "vendor", "account_code", "account", "doc_no"):
            if not row[name]:
                row[name] = UNKNOWN
                reading.problems.append(Problem(line, f"the {name} is empty", "kept"))
        row.setdefault("source_file", "")
        row["line"] = line
        reading.rows.append(row)


def _note_decisions(reading: Reading, convention: amounts.Convention, order: dates.Order) -> None:
    if convention.decimal_mark == ",":
        reading.notes.append("amounts are read with a decimal comma")
    if order.numeric_values:
        chosen = "day first" if order.day_first else "month first"
        why = "shown by the column" if order.proven else "assumed: no value decides it"
        reading.notes.append(f"dates with slashes or dots are read {chosen} ({why})")
    if order.contradicting:
        reading.notes.append(f"{order.contradicting} dates contradict that order")


def _repeated_ids(reading: Reading) -> None:
    first_line: dict[str, int] = {}
    for row in reading.rows:
        seen = first_line.setdefault(row["line_id"], row["line"])
        if seen != row["line"]:
            reason = f"line_id {row['line_id']!r} was used before on line {seen}"
            reading.problems.append(Problem(row["line"], reason, "kept"))
    reading.problems.sort(key=lambda problem: problem.line)
