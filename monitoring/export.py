"""The record as Parquet files by day, in a folder or at any address that fsspec knows.

``<root>/<dataset>/day=2026-11-20/part-0.parquet``, which every reader of a lake takes as a table
partitioned by ``day`` (UTC). A day that is over is written once and never again; today's file is
made anew each time. ``_ratchet/manifest.json`` says what is there: an export that was cut off goes
on where it stopped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection, transaction

from config import logs
from config.errors import InvalidInput, Unavailable
from config.partitions import first_id, time_of
from monitoring.exported import MANIFEST
from monitoring.lake import BY_ID, Dataset

logger = logging.getLogger(__name__)
# A row's id is made a little before it is committed: a day is closed this long after midnight.
SETTLED_AFTER = timedelta(hours=1)
ROWS_AT_ONCE = 10_000
# One file a day and table: that many rows are still one comfortable Parquet file.
MOST_DAYS = 4000
FORMAT = 1
# Of the one scheduled pass at a time, among all advisory locks.
LOCK = 0x4C414B45
# Parts of files that an export left behind when it was killed are nobody's after this.
ORPHANED_AFTER = timedelta(days=1)


@dataclass(slots=True)
class Done:
    """What one export did: files written, rows in them, days that were there already."""

    files: int = 0
    rows: int = 0
    skipped: int = 0
    datasets: list[str] = field(default_factory=list)


def datasets(only: Sequence[str] = ()) -> list[Dataset]:
    """All tables that the apps give, or those named. Raises InvalidInput for an unknown name."""
    found = {
        one.name: one
        for source in settings.TELEMETRY_SOURCES
        for one in import_module(source).DATASETS
    }
    for name in only:
        if name not in found:
            raise InvalidInput("only", name, f"some of {', '.join(sorted(found))}")
    return [one for name, one in sorted(found.items()) if not only or name in only]


def export(
    root: str,
    *,
    since: date,
    until: date,
    now: datetime,
    only: Sequence[str] = (),
    again: bool = False,
) -> Done:
    """Write every day from ``since`` to ``until`` (both included) that is not there yet.

    ``again`` writes closed days anew, too. Raises InvalidInput for a stretch that is empty or too
    long, Unavailable for a place that cannot be written.
    """
    if not timedelta() <= until - since < timedelta(days=MOST_DAYS):
        raise InvalidInput("since", since, f"not after {until}, and within {MOST_DAYS} days")
    lake = _Lake(root)
    done = Done()
    for one in datasets(only):
        done.datasets.append(one.name)
        for day in _days(since, until):
            if not again and lake.is_closed(one.name, day):
                done.skipped += 1
                continue
            closed = now >= _midnight(day) + timedelta(days=1) + SETTLED_AFTER
            rows = lake.put(one, day, closed)
            done.files += bool(rows)
            done.rows += rows
    logs.event(logger, "monitoring.export.done", files=done.files, rows=done.rows)
    return done


def keep_up(*, now: datetime) -> Done:
    """Write every day that is over and not in the lake yet, back to the first row there is.

    Another pass at the same time, or ``LAKE_EXPORT`` off, does nothing. A pass that was cut off
    left whole days, and the next goes on behind them. Raises Unavailable.
    """
    if not settings.LAKE_EXPORT:
        return Done()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (mine,) = cursor.fetchone()
    if not mine:
        return Done()
    try:
        last = (now - timedelta(days=1) - SETTLED_AFTER).astimezone(UTC).date()
        first = _first_day()
        if first is None or first > last:
            return Done()
        since = max(first, last - timedelta(days=MOST_DAYS - 1))
        return export(settings.LAKE_URL, since=since, until=last, now=now)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _first_day() -> date | None:
    """The day of the oldest row of the tables whose rows are of the day of their id."""
    found: list[UUID] = []
    with connection.cursor() as cursor:
        for one in datasets():
            if one.day == BY_ID and " " not in one.source:
                cursor.execute(f'SELECT id FROM "{one.source}" ORDER BY id LIMIT 1')  # noqa: S608
                found += [row[0] for row in cursor.fetchall()]
    return time_of(min(found)).date() if found else None


class _Lake:
    """A place with its manifest. Every file is written under another name first."""

    def __init__(self, root: str) -> None:
        try:
            self.files, path = fsspec.core.url_to_fs(root)
            self.root = path.rstrip("/")
            self.files.makedirs(f"{self.root}/_ratchet", exist_ok=True)
            self.manifest = self._read()
            self._drop_orphans()
        except (OSError, ValueError, ImportError) as error:
            raise Unavailable("the lake", f"{root}: {error}") from None

    def _drop_orphans(self) -> None:
        """Delete the unfinished files of exports that were killed; another may be at work now."""
        old = datetime.now(UTC) - ORPHANED_AFTER
        for path in self.files.glob(f"{self.root}/_ratchet/*.partial"):
            with suppress(OSError, NotImplementedError, TypeError):
                if self.files.modified(path) < old:
                    self.files.rm(path)

    def is_closed(self, name: str, day: date) -> bool:
        entry = self.manifest["days"].get(name, {}).get(day.isoformat())
        return bool(entry and entry["closed"])

    def put(self, one: Dataset, day: date, closed: bool) -> int:
        """One day of one table; how many rows it has. No file for none."""
        folder = f"{self.root}/{one.name}/day={day.isoformat()}"
        partial = f"{self.root}/_ratchet/{uuid4().hex}.partial"
        target = f"{folder}/part-0.parquet"
        try:
            rows, size = self._write(one, day, partial)
            before = self.manifest["days"].get(one.name, {}).get(day.isoformat(), {})
            if not rows and before.get("rows"):
                # The rows have left the database since, and the file is all that is left of them.
                self.files.rm(partial)
                return 0
            if rows:
                self.files.makedirs(folder, exist_ok=True)
                self._move(partial, target)
            else:
                self.files.rm(partial)
                if self.files.exists(target):
                    self.files.rm(target)
        except OSError as error:
            raise Unavailable("the lake", f"{target}: {error}") from None
        entry = {"rows": rows, "bytes": size if rows else 0, "closed": closed}
        self.manifest["days"].setdefault(one.name, {})[day.isoformat()] = entry
        self._save()
        return rows

    def _write(self, one: Dataset, day: date, path: str) -> tuple[int, int]:
        rows = 0
        with (
            self.files.open(path, "wb") as file,
            pq.ParquetWriter(file, one.schema, compression="zstd") as writer,
        ):
            for batch in _batches(one, day):
                writer.write_batch(batch)
                rows += batch.num_rows
        return rows, int(self.files.size(path))

    def _read(self) -> dict[str, Any]:
        path = f"{self.root}/{MANIFEST}"
        if not self.files.exists(path):
            return {"format": FORMAT, "installation": settings.INSTALLATION, "days": {}}
        found: dict[str, Any] = json.loads(self.files.cat_file(path))
        if found.get("installation") != settings.INSTALLATION:
            raise ValueError("it holds the export of another installation; give another place")
        return found

    def _save(self) -> None:
        partial = f"{self.root}/_ratchet/{uuid4().hex}.partial"
        self.files.pipe_file(partial, json.dumps(self.manifest, indent=1).encode())
        self._move(partial, f"{self.root}/{MANIFEST}")

    def _move(self, source: str, target: str) -> None:
        if "file" in self.files.protocol:
            self.files.mv(source, target)  # a rename, which replaces at once
            return
        self.files.copy(source, target)
        self.files.rm(source)


def _batches(one: Dataset, day: date) -> Iterator[pa.RecordBatch]:
    begin, end = _midnight(day), _midnight(day) + timedelta(days=1)
    bounds: dict[str, Any] = {
        "first": first_id(begin),
        "last": first_id(end),
        "since": begin,
        "until": end,
    }
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(one.select, bounds)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array(list(values), type=field.type)
                for values, field in zip(columns, one.schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=one.schema)


def _days(since: date, until: date) -> Iterator[date]:
    return (since + timedelta(days=n) for n in range((until - since).days + 1))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
