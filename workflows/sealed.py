"""Proving the history of runs against its seals, and the seals against the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Max

from config.privacy import ERASED
from monitoring import services
from monitoring.services import Fault
from workflows.database import execute
from workflows.models import HistorySeal
from workflows.sealing import ACTION, BATCH, DIGESTS, TARGET, Digested, by_event, digest_of

# Each seal's events have its salt in their digests; no more than about this many are read at once.
_AT_ONCE = BATCH
_EVENTS = f"""
SELECT s.number, e.* FROM unnest(%(numbers)s::bigint[], %(firsts)s::bigint[], %(lasts)s::bigint[],
    %(salts)s::bytea[]) AS s(number, first, last, salt)
CROSS JOIN LATERAL (
    SELECT id, {DIGESTS.replace("%(salt)s", "s.salt")}, run_id::text, name, actor, detail IS NULL
    FROM workflows_runevent WHERE id BETWEEN s.first AND s.last
) AS e
"""  # noqa: S608  (constants)
# Entries that are read before the one that is looked for is taken for lost.
_MOST_AHEAD = 1000
# Faults told one by one; a history that has more is not to be trusted in any part.
MOST_FAULTS = 100


def prove() -> tuple[str, int, list[Fault]]:
    """What was proved, how many of it, and what is wrong. What was erased is no fault.

    Seals, their entries in the log and the events are read side by side, so the time grows with
    the events, and the memory does not.
    """
    # What is sealed from here on has its entry when it is looked for.
    until = HistorySeal.objects.aggregate(last=Max("number"))["last"] or 0
    log = _Log()
    events, last, number = 0, 0, 0
    faults: list[Fault] = []
    rows = HistorySeal.objects.filter(number__lte=until).order_by("number")
    for seals in _together(rows.iterator(50)):
        found = _events_of(seals, after=last)
        for row in seals:
            number += 1
            if row.number != number or row.event_ids[0] <= last:
                detail = f"seal {number} of histories is not in its place"
                faults.append(_fault("deleted", row, detail))
            faults += _against_log(row, log.digests_of(row.number))
            faults += _against_events(row, found[row.number])
            events, last = events + len(row.event_ids), row.event_ids[-1]
            if len(faults) >= MOST_FAULTS:
                return "transitions", events, faults
    newer = {
        str(one)
        for one in HistorySeal.objects.filter(number__gt=until).values_list("pk", flat=True)
    }
    faults += [_beside(name) for name in sorted(log.not_asked_for() - newer)]
    return "transitions", events, faults


def _beside(name: str) -> Fault:
    """An entry of the log that is not one of the seals', or is one too many."""
    if name.isdecimal() and HistorySeal.objects.filter(number=int(name)).exists():
        return Fault("forged", 0, "", f"seal {name} of histories is in the log more than once")
    return Fault("deleted", 0, "", f"seal {name} of histories, which the log holds, is gone")


class _Log:
    """What the audit log says of the seals, read in their order."""

    def __init__(self) -> None:
        self._entries = services.entries_about(TARGET, action=ACTION)
        # Read on the way to another's: two machines' clocks may order two entries otherwise.
        self._ahead: dict[str, list[str]] = {}

    def digests_of(self, number: int) -> list[str]:
        """One, if all is well. A second one further on is left to ``not_asked_for``."""
        name = str(number)
        while name not in self._ahead and len(self._ahead) < _MOST_AHEAD:
            entry = next(self._entries, None)
            if entry is None:
                break
            self._keep(entry.session, entry.after_digest)
        return self._ahead.pop(name, [])

    def not_asked_for(self) -> set[str]:
        for entry in self._entries:
            self._keep(entry.session, entry.after_digest)
        return set(self._ahead)

    def _keep(self, name: str, digest: str) -> None:
        self._ahead.setdefault(name, []).append(digest)


def _together(rows: Iterable[HistorySeal]) -> Iterator[list[HistorySeal]]:
    """Seals in their order, as many at a time as hold some ``_AT_ONCE`` events."""
    kept: list[HistorySeal] = []
    events = 0
    for row in rows:
        kept.append(row)
        events += len(row.event_ids)
        if events >= _AT_ONCE:
            yield kept
            kept, events = [], 0
    if kept:
        yield kept


def _events_of(seals: list[HistorySeal], *, after: int) -> dict[int, dict[int, tuple[Any, ...]]]:
    """By seal and id: what there is from ``after``, or the seal before, to the last one sealed."""
    lasts = [row.event_ids[-1] for row in seals]
    asked = {
        "numbers": [row.number for row in seals],
        "firsts": [last + 1 for last in (after, *lasts[:-1])],
        "lasts": lasts,
        "salts": [bytes(row.salt) for row in seals],
    }
    found: dict[int, dict[int, tuple[Any, ...]]] = {row.number: {} for row in seals}
    for number, *event in execute(_EVENTS, asked):
        found[number][event[0]] = tuple(event)
    return found


def _against_log(row: HistorySeal, digests: list[str]) -> list[Fault]:
    if not digests:
        return [_fault("unsealed", row, f"seal {row.number} of histories is not in the log")]
    if digests != [digest_of(row)]:
        return [_fault("forged", row, f"seal {row.number} of histories is not what the log holds")]
    return []


def _against_events(row: HistorySeal, found: dict[int, tuple[Any, ...]]) -> list[Fault]:
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
