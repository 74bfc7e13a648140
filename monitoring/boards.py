"""Dashboards that people put together for themselves: written here, read by nobody else."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from config.errors import Conflict, InvalidInput, NotFound
from monitoring.domain.metrics import METRICS, SCOPES, Kind
from monitoring.models import Board

MOST_BOARDS, MOST_PANELS = 30, 24
STATISTICS = ("total", "mean", "p50", "p95", "p99", "band", "ratio")


def create(*, user_id: UUID, name: str) -> Board:
    """An empty board. Raises InvalidInput, Conflict for a name that the person has used."""
    tidy = " ".join(name.split())
    if not 1 <= len(tidy) <= 80:
        raise InvalidInput("name", name, "from 1 to 80 characters")
    if Board.objects.filter(user_id=user_id).count() >= MOST_BOARDS:
        raise InvalidInput("name", name, f"at most {MOST_BOARDS} dashboards")
    try:
        with transaction.atomic():
            return Board.objects.create(user_id=user_id, name=tidy)
    except IntegrityError:
        raise Conflict(f"dashboard {tidy!r}", "there already", "another name") from None


def find(*, user_id: UUID, board_id: UUID) -> Board:
    """One of the person's own; raises NotFound for others' too."""
    row = Board.objects.filter(pk=board_id, user_id=user_id).first()
    if row is None:
        raise NotFound("dashboard", board_id)
    return row


@transaction.atomic
def add_panel(*, user_id: UUID, board_id: UUID, panel: dict[str, Any]) -> Board:
    """Append a panel: metric, statistic, scope, key. Raises InvalidInput for what isn't known."""
    checked = _checked(panel)
    row = Board.objects.select_for_update().filter(pk=board_id, user_id=user_id).first()
    if row is None:
        raise NotFound("dashboard", board_id)
    if len(row.panels) >= MOST_PANELS:
        raise InvalidInput("panel", len(row.panels), f"at most {MOST_PANELS} on one dashboard")
    row.panels = [*row.panels, checked]
    row.save(update_fields=["panels"])
    return row


@transaction.atomic
def remove_panel(*, user_id: UUID, board_id: UUID, place: int) -> Board:
    """Take the panel at ``place`` (from 0) away; harmless if it is gone."""
    row = Board.objects.select_for_update().filter(pk=board_id, user_id=user_id).first()
    if row is None:
        raise NotFound("dashboard", board_id)
    if 0 <= place < len(row.panels):
        row.panels = [panel for n, panel in enumerate(row.panels) if n != place]
        row.save(update_fields=["panels"])
    return row


def delete(*, user_id: UUID, board_id: UUID) -> None:
    """Delete one of the person's own; raises NotFound."""
    find(user_id=user_id, board_id=board_id).delete()


def _checked(panel: dict[str, Any]) -> dict[str, str]:
    metric, scope = str(panel.get("metric", "")), str(panel.get("scope") or "all")
    statistic, key = str(panel.get("statistic") or "total"), str(panel.get("key") or "").strip()
    if metric not in METRICS:
        raise InvalidInput("metric", metric, f"one of {', '.join(METRICS)}")
    if scope not in SCOPES:
        raise InvalidInput("scope", scope, f"one of {', '.join(SCOPES)}")
    if statistic not in STATISTICS:
        raise InvalidInput("statistic", statistic, f"one of {', '.join(STATISTICS)}")
    if statistic not in ("total", "mean", "ratio") and METRICS[metric].kind is Kind.COUNTER:
        raise InvalidInput("statistic", statistic, f"total or mean: {metric} is a count")
    if scope != "all" and not 1 <= len(key) <= 200:
        raise InvalidInput("key", key, f"which {scope}, up to 200 characters")
    found = {"metric": metric, "statistic": statistic, "scope": scope,
             "key": "" if scope == "all" else key}  # fmt: skip
    if statistic == "ratio":
        of = str(panel.get("of") or "invocations")
        if of not in METRICS:
            raise InvalidInput("of", of, f"one of {', '.join(METRICS)}")
        found["of"] = of
    return found
