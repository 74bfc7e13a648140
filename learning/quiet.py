"""Comparisons through incidents: their units never ship a version, but may show its harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from config import readable
from learning import folding
from learning.analysis import analyse
from monitoring import periods
from monitoring.domain.periods import joined
from monitoring.periods import Window


def windows(*, agent: str, workflow: str, since: datetime, until: datetime) -> list[Window]:
    """Incidents of the agent or the workflow, or of everybody, while a comparison ran."""
    scope, key = ("agent", agent) if agent else ("workflow", workflow)
    return periods.incident_windows(since, until, scope=scope, key=key)


def spans(incidents: Sequence[Window]) -> list[tuple[datetime, datetime]]:
    """Their spans, as folding takes them."""
    return [(one.since, one.until) for one in incidents]


def calm(incidents: Sequence[Window], since: datetime, until: datetime) -> timedelta:
    """How much of [since, until) lies outside of all incidents."""
    within = joined(
        (max(one.since, since), min(one.until, until)) for one in incidents
        if one.since < until and one.until > since
    )  # fmt: skip
    return until - since - sum((end - start for start, end in within), timedelta())


def read(
    owner_id: UUID, document: Callable[[bool], dict[str, Any]], incidents: Sequence[Window]
) -> dict[str, Any]:
    """The verdict document without the units that came during incidents, and what it left out.

    ``document(True)`` holds them too. Whether an arm harms is read on everything: what one arm
    breaks must not hide behind the incident that it caused. While an incident lasts, ``is_frozen``
    says that nothing may be concluded but harm.
    """
    found = analyse(document(False))
    left_out = folding.left_out(owner_id)
    found["incidents"] = [
        {"id": str(one.id), "title": one.title, "since": one.since.isoformat(),
         "until": None if one.is_open else one.until.isoformat()}
        for one in incidents
    ]  # fmt: skip
    found["left_out_units"] = left_out
    found["is_frozen"] = any(one.is_open for one in incidents)
    if left_out and found["verdict"] != "rollback":
        whole = analyse(document(True))
        if whole["verdict"] == "rollback":
            kept = ("incidents", "left_out_units")
            whole |= {key: found[key] for key in kept} | {"is_frozen": False}
            whole["notes"] = [*whole["notes"], "harm is read on everything, incidents too"]
            return whole
        found["stop_arms"] = list(dict.fromkeys([*found["stop_arms"], *whole["stop_arms"]]))
    if found["is_frozen"] and found["verdict"] != "rollback":
        title = next(one.title for one in incidents if one.is_open)
        found["frozen"] = f"Frozen while an incident lasts ({title}). "
        found["headline"] = f"{found['frozen']}{found['headline']}"
    if left_out:
        titles = [f"“{one.title}”" for one in incidents]
        names = readable.listed(list(dict.fromkeys(titles))) or "an incident"
        units = "1 unit" if left_out == 1 else f"{left_out} units"
        words = f"Left out: {units} that came during {names}."
        found["headline"] = f"{found['headline']} {words}"
        found["reasons"] = [*found["reasons"], words]
    return found
