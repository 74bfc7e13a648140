"""What every test needs to know about a line: its payee, its size, its place in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agents.tools.ledger.book import Book
from agents.tools.ledger.journal import names


@dataclass(frozen=True, slots=True)
class Context:
    """The lines with the columns that tests share, and the look-alike pairs.

    Added columns: entity (payee), party (payee with look-alikes merged), size (|pence|),
    log_size (ln of pounds + 1), month (months since year 0), order (of numbering).
    """

    book: Book
    lines: pd.DataFrame
    pairs: pd.DataFrame


def prepare(book: Book) -> Context:
    """Compute the shared columns once."""
    lines = book.lines.reset_index(drop=True).copy()
    lines["entity"] = names.entities(lines)
    lines["party"], pairs = names.parties(lines, lines["entity"])
    lines["size"] = lines["pence"].abs()
    lines["log_size"] = np.log(lines["size"] / 100 + 1)
    lines["month"] = lines["date"].dt.year * 12 + lines["date"].dt.month
    lines["order"] = _order(lines)
    return Context(book, lines, pairs)


def _order(lines: pd.DataFrame) -> np.ndarray:
    """The order in which lines were numbered: which of two equal lines came later.

    Numbers of an unusual form count as later; without numbers the place in the file decides.
    """
    number = pd.to_numeric(lines["line_id"].str.extract(r"(\d{1,15})$")[0], errors="coerce")
    if number.isna().any():
        return np.arange(len(lines))
    form = lines["line_id"].str.replace(r"\d", "9", regex=True)
    unusual = form.map(form.value_counts()) < 0.05 * len(lines)
    keys = pd.DataFrame({"unusual": unusual, "number": number}).sort_values(
        ["unusual", "number"], kind="stable"
    )
    order = np.empty(len(lines), dtype=int)
    order[keys.index.to_numpy()] = np.arange(len(lines))
    return order


def none_of(lines: pd.DataFrame) -> pd.Series:
    """A strength of 0 for every line."""
    return pd.Series(0.0, index=lines.index)


def raise_to(strength: pd.Series, index: object, value: float) -> None:
    """Raise one line's strength to ``value`` if that is more."""
    if value > strength.at[index]:
        strength.at[index] = value
