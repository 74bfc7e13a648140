"""Reading back what was exported: days of one table from the lake, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import fsspec
import pyarrow.parquet as pq

from config.errors import Unavailable

ROWS_AT_ONCE = 20_000
# What was exported, by table and day, under the lake's root.
MANIFEST = "_ratchet/manifest.json"


def days(root: str, dataset: str, *, since: date, until: date) -> list[date]:
    """Which days of [since, until) have a file. Raises Unavailable for a place without access."""
    files, path = _place(root)
    span = (since + timedelta(days=n) for n in range((until - since).days))
    try:
        return [day for day in span if files.exists(_file(path, dataset, day))]
    except OSError as error:
        raise Unavailable("the lake", f"{root}: {error}") from None


def covered(root: str, dataset: str, *, since: date, until: date) -> int:
    """How many days of [since, until) were exported, those without rows, and so a file, too.

    Raises Unavailable.
    """
    files, path = _place(root)
    try:
        told = files.cat_file(f"{path}/{MANIFEST}") if files.exists(f"{path}/{MANIFEST}") else b"{}"
        known = set(json.loads(told).get("days", {}).get(dataset, {}))
    except (OSError, ValueError) as error:
        raise Unavailable("the lake", f"{root}: {error}") from None
    span = {since + timedelta(days=n) for n in range((until - since).days)}
    there = set(days(root, dataset, since=since, until=until))
    return len(there | {day for day in span if day.isoformat() in known})


def rows(
    root: str, dataset: str, day: date, columns: Sequence[str]
) -> Iterator[dict[str, list[Any]]]:
    """One day's file as columns of plain values, a batch at a time. Raises Unavailable.

    A column that an earlier release did not write holds None.
    """
    files, path = _place(root)
    try:
        with files.open(_file(path, dataset, day), "rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE, columns=list(columns)):
                found = batch.to_pydict()
                yield {name: found.get(name, [None] * batch.num_rows) for name in columns}
    except (OSError, ValueError) as error:
        raise Unavailable("the lake", f"{dataset} of {day}: {error}") from None


def _file(path: str, dataset: str, day: date) -> str:
    return f"{path}/{dataset}/day={day.isoformat()}/part-0.parquet"


def _place(root: str) -> tuple[Any, str]:
    try:
        files, path = fsspec.core.url_to_fs(root)
    except (OSError, ValueError, ImportError) as error:
        raise Unavailable("the lake", f"{root}: {error}") from None
    return files, path.rstrip("/")
