"""Storing windows that were folded elsewhere: for a history that is brought in whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction

from monitoring.domain.rollups import Windows
from monitoring.models import Rollup, RollupMark, RollupWindow
from monitoring.rollups import KEEP_HOURS, MARK

Grain = Rollup.Grain
_COPY = "COPY monitoring_rollup (grain, start, scope, key, stats) FROM STDIN"


def keeps_hours_of(day: datetime, *, now: datetime) -> bool:
    """Whether hours of that day are still kept, or only the day."""
    return day > now - KEEP_HOURS


@transaction.atomic
def store_closed(windows: Iterable[tuple[str, datetime, Windows]]) -> int:
    """Write closed windows (grain, start, what was folded); returns how many rows they have.

    Windows that are there already are replaced. Measurements that come late into one of them
    are folded into it only while its own measurements are kept.
    """
    given = list(windows)
    for grain, start, _ in given:
        Rollup.objects.filter(grain=grain, start=start).delete()
        RollupWindow.objects.update_or_create(
            grain=grain, start=start, defaults={"source_rows": 0, "is_dirty": False}
        )
    rows = 0
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for grain, start, folded in given:
            at = start.isoformat()
            for (scope, key), metrics in folded.items():
                stats = json.dumps({name: stat.as_json() for name, stat in metrics.items()})
                copy.write_row((str(grain), at, scope, key[:200], stats))
                rows += 1
    return rows


def folded_through(now: datetime) -> None:
    """Say that everything up to now has been folded, so that the watch goes on from here."""
    RollupMark.objects.update_or_create(
        pk=MARK, defaults={"through": now - timedelta(seconds=1)}
    )  # fmt: skip
