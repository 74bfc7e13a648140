"""The holdout: units that meet nothing which the loop tries while it is open."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q

from agents.domain.traffic import BUCKETS
from learning.models import Holdout


def gates(began_at: datetime | None = None) -> list[dict[str, Any]]:
    """The gate of the holdout that is open, or was at ``began_at``; none without one."""
    rows = Holdout.objects.filter(closed_at=None)
    if began_at is not None:
        is_open = Q(closed_at=None) | Q(closed_at__gte=began_at)
        rows = Holdout.objects.filter(is_open, opened_at__lte=began_at)
    held = rows.first()
    if held is None:
        return []
    first = round(BUCKETS * held.share_ratio)
    return [{"kind": "holdout", "seed": held.seed, "ranges": [[first, BUCKETS]]}]
