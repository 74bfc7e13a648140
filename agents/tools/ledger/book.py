"""A loaded ledger as a data frame, and how it is kept: a Parquet artifact with its period.

Columns: line_id, vendor_id, vendor, account_code, account, doc_no (text), pence (int64, negative
for credits), date (datetime64), source_file (text), line (physical line of the source).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agents.tools.ledger import period as periods
from agents.tools.ledger.reading import MAX_BYTES, Reading, read
from agents.tools.registry import ToolContext
from config.errors import InvalidInput, Unavailable

PARQUET_TYPE = "application/vnd.apache.parquet"
_MAGIC = b"PAR1"
_KEY = b"ratchet.ledger"
_TEXT = ("line_id", "vendor_id", "vendor", "account_code", "account", "doc_no", "source_file")


@dataclass(frozen=True, slots=True)
class Book:
    """The lines and the audited period."""

    lines: pd.DataFrame
    period: periods.Period

    @property
    def in_year(self) -> pd.Series:
        """True where a line is dated in the audited period."""
        day = self.lines["date"]
        return (day >= pd.Timestamp(self.period.start)) & (day <= pd.Timestamp(self.period.end))

    @property
    def audited(self) -> pd.DataFrame:
        """The lines of the audited period."""
        return self.lines[self.in_year]


def open_book(ledger: str, context: ToolContext, year: int | str | None = None) -> Book:
    """The ledger behind a reference, or behind CSV text (it contains a newline).

    ``year`` overrides the period kept at loading; with neither, all lines are the period.
    Raises InvalidInput, NotFound.
    """
    content = content_of(ledger, context)
    if content[:4] == _MAGIC:
        return _from_parquet(content, year)
    return from_reading(read(content), year)


def content_of(ledger: str, context: ToolContext) -> bytes:
    """The bytes of inline CSV text or of an artifact."""
    if "\n" in ledger:
        return ledger.encode()
    if not ledger.strip():
        raise InvalidInput("ledger", ledger, "give an artifact reference or CSV text with lines")
    if context.artifacts is None:
        raise Unavailable("the artifact store", "this call was given none")
    content = context.artifacts.read(ledger)
    if len(content) > MAX_BYTES and content[:4] != _MAGIC:
        read(content)  # names the size and the limit
    return content


def from_reading(reading: Reading, year: int | str | None) -> Book:
    """A book of clean rows, with one spelling for each account."""
    frame = pd.DataFrame.from_records(reading.rows)
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[s]")
    frame["pence"] = frame["pence"].astype("int64")
    frame["account"] = _one_spelling(frame)
    for name in _TEXT:
        frame[name] = frame[name].astype(object)
    return Book(frame, _period(frame, year))


def to_parquet(book: Book) -> bytes:
    """The book as Parquet; the same book gives the same bytes."""
    table = pa.Table.from_pandas(book.lines, preserve_index=False)
    kept = json.dumps(book.period.as_dict()).encode()
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_KEY: kept}), sink, compression="zstd")
    return sink.getvalue()


def _from_parquet(content: bytes, year: int | str | None) -> Book:
    try:
        table = pq.read_table(io.BytesIO(content))
        kept = json.loads((table.schema.metadata or {})[_KEY])
    except (pa.ArrowInvalid, KeyError, ValueError) as error:
        raise InvalidInput(
            "ledger", "a Parquet file", "only one that ledger.load wrote can be opened"
        ) from error
    frame = table.to_pandas()
    frame["date"] = frame["date"].astype("datetime64[s]")
    for name in _TEXT:
        frame[name] = frame[name].astype(object)
    if year is not None:
        return Book(frame, periods.parse(year))
    start, end = date.fromisoformat(kept["start"]), date.fromisoformat(kept["end"])
    return Book(frame, periods.Period(kept["label"], start, end))


def _period(frame: pd.DataFrame, year: int | str | None) -> periods.Period:
    if year is not None:
        return periods.parse(year)
    return periods.Period("all lines", frame["date"].min().date(), frame["date"].max().date())


def _one_spelling(frame: pd.DataFrame) -> pd.Series:
    """The commonest spelling of each account's name; ties go to the one seen last."""
    chosen: dict[Any, str] = {}
    for code, names in frame.groupby("account_code")["account"]:
        counts = Counter(names)
        best = max(counts.values())
        chosen[code] = next(name for name in reversed(list(names)) if counts[name] == best)
    return frame["account_code"].map(chosen)


def pounds(pence: float | int) -> float:
    """Pounds with two decimals."""
    return round(float(pence) / 100, 2)
