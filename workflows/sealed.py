"""Proving the history of runs against its seals, and the seals against the audit log."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import Max

from config.privacy import ERASED
from monitoring import services
from monitoring.services import Fault
from workflows.database import execute
from workflows.models import HistorySeal
from workflows.sealing import ACTION, DIGESTS, TARGET, Digested, by_event, digest_of

_EVENTS = f"""
SELECT id, {DIGESTS}, run_id::text, name, actor, detail IS NULL FROM workflows_runevent
WHERE id BETWEEN %(first)s AND %(last)s
"""  # noqa: S608  (constants)
# Faults told one by one; a history that has more is not to be trusted in any part.
MOST_FAULTS = 100


def prove() -> tuple[str, int, list[Fault]]:
    """What was proved, how many of it, and what is wrong. What was erased is no fault."""
    # What is sealed from here on has its entry when it is looked for.
    until = HistorySeal.objects.aggregate(last=Max("number"))["last"] or 0
    said: dict[str, list[str]] = defaultdict(list)
    for entry in services.entries_about(TARGET, action=ACTION):
        said[entry.session].append(entry.after_digest)
    events, last = 0, 0
    faults: list[Fault] = []
    rows = HistorySeal.objects.filter(number__lte=until).order_by("number")
    for number, row in enumerate(rows.iterator(50), 1):
        if row.number != number or row.event_ids[0] <= last:
            faults.append(_fault("deleted", row, f"seal {number} of histories is not in its place"))
        faults += _against_log(row, said.pop(str(row.number), []))
        faults += _against_events(row, after=last)
        events, last = events + len(row.event_ids), row.event_ids[-1]
        if len(faults) >= MOST_FAULTS:
            return "transitions", events, faults
    newer = {
        str(one)
        for one in HistorySeal.objects.filter(number__gt=until).values_list("pk", flat=True)
    }
    faults += [
        Fault("deleted", 0, "", f"seal {name} of histories, which the log holds, is gone")
        for name in sorted(said.keys() - newer)
    ]
    return "transitions", events, faults


def _against_log(row: HistorySeal, digests: list[str]) -> list[Fault]:
    if not digests:
        return [_fault("unsealed", row, f"seal {row.number} of histories is not in the log")]
    if digests != [digest_of(row)]:
        return [_fault("forged", row, f"seal {row.number} of histories is not what the log holds")]
    return []


def _against_events(row: HistorySeal, *, after: int) -> list[Fault]:
    bounds = {"first": after + 1, "last": row.event_ids[-1], "salt": bytes(row.salt)}
    found = {one[0]: one for one in execute(_EVENTS, bounds)}
    faults = []
    for sealed in by_event(row):
        now = found.pop(sealed.event_id, None)
        if now is None:
            detail = "a transition of a run is gone"
            faults.append(Fault("deleted", 0, f"event {sealed.event_id}", detail))
        elif what := _changed(sealed, now):
            faults.append(
                Fault("tampered", 0, f"event {sealed.event_id}",
                      f"{now[5]} of run {now[4]}: its {what} is not what was sealed")
            )  # fmt: skip
    faults += [
        Fault("unsealed", 0, f"event {beside[0]}",
              f"{beside[5]} of run {beside[4]} was put between what was sealed")
        for beside in found.values()
    ]  # fmt: skip
    return faults


def _changed(sealed: Digested, now: tuple[Any, ...]) -> str:
    _, fixed, actor, detail, _, _, who, is_blank = now
    if fixed != sealed.fixed:
        return "place or time"
    if actor != sealed.actor and who != ERASED:
        return "actor"
    if detail != sealed.detail and not is_blank:
        return "detail"
    return ""


def _fault(kind: str, row: HistorySeal, detail: str) -> Fault:
    return Fault(kind, 0, f"event {row.event_ids[0]}", detail)
