"""What monitoring gives to a data lake, and what a table of it is.

Rows hold ids, names and numbers, never a text of anybody: a lake is read by many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

MONEY = pa.decimal128(20, 9)
TIME = pa.timestamp("us", tz="UTC")
TEXT, WHOLE, REAL, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_LABELS = ("agent", "version", "domain", "workflow", "step", "endpoint", "model", "client", "user",
           "audience", "experiment", "code", "queue", "budget")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table of the lake. ``columns`` are its columns by name, each with its SQL and type.

    ``day`` is the condition that puts a row into one day for good, with ``%(first)s`` and
    ``%(last)s`` (ids of UUIDv7, half open) or ``%(since)s`` and ``%(until)s`` (times).
    """

    name: str
    source: str
    columns: dict[str, tuple[str, Any]]
    day: str
    order: str = "1"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, kind) for name, (_, kind) in self.columns.items()])

    @property
    def select(self) -> str:
        """The rows of one day; the parameters are ``day``'s."""
        wanted = ", ".join(f"{text} AS {name}" for name, (text, _) in self.columns.items())
        return f"SELECT {wanted} FROM {self.source} WHERE {self.day} ORDER BY {self.order}"  # noqa: S608


BY_ID = "id >= %(first)s AND id < %(last)s"


def plain(*names: str, kind: Any = TEXT, cast: str = "") -> dict[str, tuple[str, Any]]:
    """Columns that are taken as they are."""
    return {name: (f'"{name}"{cast}', kind) for name in names}


DATASETS = (
    Dataset(
        "measurements",
        "monitoring_measurement m, unnest(m.names, m.numbers) AS one(name, number)",
        {
            "id": ("id::text", TEXT),
            "at": ("at", TIME),
            "metric": ("one.name", TEXT),
            "value": ("one.number", REAL),
            **{name: (f"labels->>'{name}'", TEXT) for name in _LABELS},
        },
        BY_ID,
        order="id, one.name",
    ),
    Dataset(
        "audit",
        "monitoring_auditentry",
        {
            **plain("id", cast="::text"),
            "at": ("at", TIME),
            **plain("actor", "action", "target"),
            **plain("client_id", "user_id", cast="::text"),
            **plain("before_digest", "after_digest"),
        },
        BY_ID,
    ),
    Dataset(
        "security_events",
        "monitoring_securityevent",
        {
            **plain("id", cast="::text"),
            "at": ("at", TIME),
            **plain("kind", "severity", "actor", "target"),
            **plain("client_id", "user_id", cast="::text"),
        },
        BY_ID,
    ),
    Dataset(
        "incidents",
        "monitoring_incident",
        {
            **plain("id", cast="::text"),
            **plain("cause", "title", "domain", "severity", "state"),
            **plain("opened_at", "acknowledged_at", "resolved_at", kind=TIME),
        },
        "resolved_at >= %(since)s AND resolved_at < %(until)s",
        order="resolved_at, id",
    ),
)
