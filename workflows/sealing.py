"""Sealing the history of runs into the audit log, in batches, while they still go on.

A task behind the engine digests new events and adds one audit entry for each batch; an entry per
event would cost the engine its speed. Nothing is sealed before every transaction that could still
add an event in between has ended, so a batch is final. The same task makes up the end of a run
that a crash kept from being told.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from config import logs
from monitoring import services
from monitoring.services import Audited
from workflows import measuring
from workflows.database import execute, repeat_if_deadlocked
from workflows.models import HistoryMark, HistorySeal

logger = logging.getLogger(__name__)
ACTION = "workflows.history.sealed"
# One target for all seals, so that an auditor finds them in one list.
TARGET = "history"
BATCH = 2000
# Of one pass, which takes its turn on the lane of sweeps: 50,000 events in about 2 s.
MOST_BATCHES = 25
# Any numbers that nothing else uses: of one batch, and of a whole pass.
LOCK = 0x48495354  # "HIST"
PASS_LOCK = 0x48504153  # "HPAS"
# What is told when a run has ended is told within a moment, or was lost.
TOLD_WITHIN = timedelta(minutes=5)
# Where making up begins: what was lost before there was this is not known any more.
LOOK_BACK = timedelta(days=2)
STRETCH = timedelta(minutes=10)
MOST_STRETCHES = 300
# A pass ends by then, and the next goes on: only one that hangs is missed as late.
MOST_SECONDS = 30.0

SIZE = 16
_PARTS = 3
DIGESTS = """
    substr(sha256(convert_to(concat_ws(chr(31), id::text, run_id::text, coalesce(step_id::text, ''),
        key, item::text, attempt::text, name, (extract(epoch FROM at) * 1000000)::bigint::text,
        transaction::text), 'UTF8')), 1, 16),
    substr(sha256(%(salt)s || convert_to(id::text || actor, 'UTF8')), 1, 16),
    substr(sha256(%(salt)s || convert_to(id::text || coalesce(detail::text, ''), 'UTF8')), 1, 16)
"""
_NOW = """
SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
    coalesce((SELECT max(id) FROM workflows_runevent), 0)
FROM pg_current_snapshot() s
"""
_NEW = f"""
SELECT id, {DIGESTS} FROM workflows_runevent
WHERE id > %(after)s AND id <= %(until)s ORDER BY id LIMIT %(most)s
"""  # noqa: S608  (constants of this file)
_ENDED = """
SELECT id, state, ended_at FROM workflows_run
WHERE ended_at >= %(since)s AND ended_at < %(until)s ORDER BY ended_at
"""


@dataclass(frozen=True, slots=True)
class Digested:
    """The digests of one event: what stays, who did it, what was said."""

    event_id: int
    fixed: bytes
    actor: bytes
    detail: bytes


def seal() -> dict[str, int] | None:
    """Seal what is final, and make up ended runs; how many of each.

    None while another pass goes on: two would tell one end twice.
    """
    if not execute("SELECT pg_try_advisory_lock(%(lock)s)", {"lock": PASS_LOCK})[0][0]:
        logs.event(logger, "workflows.history.busy", level=logging.WARNING)
        return None
    try:
        # In this order: whatever keeps an end from being told keeps nothing from being sealed.
        return {"events": _seal_all(), "ends": _make_up()}
    finally:
        execute("SELECT pg_advisory_unlock(%(lock)s)", {"lock": PASS_LOCK})


def _seal_all() -> int:
    _settle()
    sealed = 0
    for _ in range(MOST_BATCHES):
        batch = _seal_batch()
        sealed += batch
        if batch < BATCH:
            break
    return sealed


def digest_of(row: HistorySeal) -> str:
    """What the audit entry of a seal holds: hex SHA-256 over all of it."""
    head = f"{row.number}|{','.join(map(str, row.event_ids))}|".encode()
    return hashlib.sha256(head + bytes(row.salt) + bytes(row.digests)).hexdigest()


def by_event(row: HistorySeal) -> Iterator[Digested]:
    """The digests that a seal holds, event by event."""
    held, step = bytes(row.digests), SIZE * _PARTS
    for place, event_id in enumerate(row.event_ids):
        one = held[place * step : (place + 1) * step]
        yield Digested(event_id, one[:SIZE], one[SIZE : 2 * SIZE], one[2 * SIZE :])


@transaction.atomic
def _settle() -> None:
    xmin, xmax, last = execute(_NOW, {})[0]
    HistoryMark.objects.get_or_create(pk=1)
    mark = HistoryMark.objects.select_for_update().get(pk=1)
    if mark.seen_event and mark.seen_xmax <= xmin:
        mark.settled_event = max(mark.settled_event, mark.seen_event)
        mark.seen_event = 0
    # After a restore into another server transactions count anew, and lower.
    if not mark.seen_event or mark.seen_xmax > xmax:
        mark.seen_event, mark.seen_xmax = last, xmax
    mark.save()


@transaction.atomic
def _seal_batch() -> int:
    execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": LOCK})
    mark = HistoryMark.objects.get(pk=1)
    last = HistorySeal.objects.order_by("-number").first()
    salt = secrets.token_bytes(SIZE)
    rows = execute(
        _NEW,
        {
            "after": last.event_ids[-1] if last else 0,
            "until": mark.settled_event,
            "salt": salt,
            "most": BATCH,
        },
    )
    if not rows:
        return 0
    made = HistorySeal(
        number=last.number + 1 if last else 1, event_ids=[row[0] for row in rows], salt=salt,
        digests=b"".join(bytes(part) for row in rows for part in row[1:]),
    )  # fmt: skip
    made.save(force_insert=True)
    entry = Audited(actor="system:engine", action=ACTION, target=TARGET,
                    session=str(made.number), after_digest=digest_of(made))  # fmt: skip
    services.audit_all([entry])
    return len(rows)


def _make_up() -> int:
    """Tell the ends of runs whose worker died before it could; how many there were."""
    now: datetime = execute("SELECT now()", {})[0][0]
    mark = HistoryMark.objects.get_or_create(pk=1)[0]
    since, made = mark.ends_until or now - LOOK_BACK, 0
    stop = time.monotonic() + MOST_SECONDS
    for _ in range(MOST_STRETCHES):
        until = min(since + STRETCH, now - TOLD_WITHIN)
        if until <= since or time.monotonic() > stop:
            break
        ended = execute(_ENDED, {"since": since, "until": until})
        for run_id, at in _untold(ended):
            if time.monotonic() > stop:  # a crash may have left very many in one stretch
                HistoryMark.objects.filter(pk=1).update(ends_until=at)
                return made
            made += _tell(run_id)
        HistoryMark.objects.filter(pk=1).update(ends_until=until)
        since = until
    return made


def _tell(run_id: UUID) -> bool:
    """Whether the end could be told; one that can't be is logged, and is not looked at again.

    Raises OperationalError of a database that is away or busy: the next pass begins here.
    """
    try:
        repeat_if_deadlocked(measuring.record_end)(run_id)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("workflows.run.unmeasured", extra={"fields": {"run": str(run_id)}})
        return False
    return True


def _untold(ended: Sequence[tuple[Any, ...]]) -> list[tuple[UUID, datetime]]:
    """The runs of which no end was told, and when they ended, the first first."""
    if not ended:
        return []
    told = services.audited([f"run:{run_id}" for run_id, _, _ in ended], since=ended[0][2])
    return [
        (run_id, ended_at)
        for run_id, state, ended_at in ended
        if not any(
            action == f"workflows.run.{state}" and at >= ended_at
            for action, at in told.get(f"run:{run_id}", ())
        )
    ]
