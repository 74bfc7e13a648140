"""The last minute as it is: the one question that is put to measurements, not to rollups.

It reads a minute of rows by their time, so it costs the same whatever the history; streams of
one process that ask the same within a second share the answer.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from config.errors import InvalidInput
from config.statements import execute
from monitoring.domain.metrics import SCOPES
from monitoring.models import RollupMark
from monitoring.rollups import MARK

# Labels that may be followed alone.
FOLLOWED = ("agent", "domain", "workflow", "endpoint", "client")
KEPT_SECONDS = 1.0
MOST_KEPT = 500

_NOW = """
SELECT now(),
    coalesce(sum(n) FILTER (WHERE name = 'invocations'), 0)::float8,
    coalesce(sum(n) FILTER (WHERE name = 'invocation_errors'), 0)::float8,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY n)
        FILTER (WHERE name = 'invocation_duration_seconds'),
    coalesce(sum(n) FILTER (WHERE name = 'cost_usd'), 0)::float8
FROM monitoring_measurement m, unnest(m.names, m.numbers) AS t(name, n)
WHERE m.at >= now() - interval '60 seconds'
  AND (%(label)s = '' OR m.labels->>%(label)s = %(key)s)
  AND (%(all)s OR m.labels->>'client' = ANY(%(clients)s))
"""


@dataclass(frozen=True, slots=True)
class Now:
    """Calls of the last 60 seconds; ``p95_seconds`` None without one."""

    at: datetime
    calls: float
    errors: float
    p95_seconds: float | None
    cost_usd: float


_kept: dict[tuple[str, str, tuple[str, ...] | None], tuple[float, Now]] = {}
_lock = threading.Lock()


def label_of(scope: str, key: str) -> tuple[str, str]:
    """The label that a scope of one label follows. Raises InvalidInput for another."""
    if scope == "all":
        return "", ""
    if scope not in FOLLOWED or not key:
        raise InvalidInput("scope", scope, f"all, or with a key one of {', '.join(FOLLOWED)}")
    return SCOPES[scope][0], key


def now_of(label: str, key: str, clients: tuple[str, ...] | None) -> Now:
    """The last minute of what carries this label; an empty label is everything."""
    place = (label, key, clients)
    kept = _kept.get(place)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    row = execute(_NOW, {"label": label, "key": key, "all": clients is None,
                         "clients": list(clients or ())})[0]  # fmt: skip
    found = Now(*row)
    with _lock:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[place] = (time.monotonic() + KEPT_SECONDS, found)
    return found


def rolled_through() -> datetime | None:
    """Up to when arrivals have been folded."""
    return RollupMark.objects.filter(pk=MARK).values_list("through", flat=True).first()
