"""Proving the audit log: every entry against the chain, the chain against its checkpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.utils.module_loading import import_string

from config.statements import execute
from monitoring import checkpoints
from monitoring.audit import LOCK, salted_digest
from monitoring.checkpoints import BadCheckpoint
from monitoring.domain import chain
from monitoring.domain.chain import Fault
from monitoring.domain.checkpoints import Checkpoint
from monitoring.models import AuditSeal
from monitoring.proving import BEGINNING, MOST_FAULTS, Place, Proved, prove, prove_together

# A process more pays from so many seals on.
SEALS_EACH = 100

# Where the chain stands behind the seal after which the n-th part begins.
_PLACE = """
SELECT number, first_sequence + cardinality(entry_ids), substring(digests FROM length(digests) - 31)
FROM monitoring_auditseal WHERE number = (
    SELECT number FROM monitoring_auditseal WHERE number >= %(first)s
    ORDER BY number OFFSET %(seals)s - 1 LIMIT 1)
"""
_PAYLOADS = """
SELECT p.entry_id::text, p.salt, p.before, p.after, e.before_digest, e.after_digest
FROM monitoring_auditpayload p JOIN monitoring_auditentry e ON e.id = p.entry_id
WHERE p.entry_id >= %s
"""
_STRAY = """
SELECT count(*) - %(sealed)s::bigint - (SELECT count(*) FROM monitoring_auditpending)
FROM monitoring_auditentry
"""
_LOST = """
SELECT p.entry_id::text FROM monitoring_auditpending p
LEFT JOIN monitoring_auditentry e ON e.id = p.entry_id WHERE e.id IS NULL LIMIT 20
"""


@dataclass(slots=True)
class Report:
    """What was looked at and what was wrong. ``seconds`` is the whole check."""

    seals: int = 0
    entries: int = 0
    pending: int = 0
    seconds: float = 0.0
    witnessed: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults


def verify(*, from_number: int = 1, payloads: bool = True, processes: int = 1) -> Report:
    """Check seals from ``from_number`` on, while nothing else seals.

    From 1 the counts are checked too, so that an entry beside the chain is found. ``payloads``
    also compares what has not been erased with its digests. Apps that sealed records of theirs
    into the log (``AUDIT_WITNESSES``) prove them then. A long chain is shared between
    ``processes``: each link stands on the digest before it, and the ends are joined.
    """
    began, report = time.monotonic(), Report()
    with transaction.atomic():
        # Between two statements an entry could otherwise go from pending to sealed.
        execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": LOCK})
        signed = _signed(from_number, report)
        asked = frozenset(one.number for one in signed)
        parts = _prove(_start(from_number, report), from_number, processes, asked)
        ends: dict[int, tuple[int, str]] = {}
        for part in parts:
            report.faults += part.faults
            report.seals += part.seals
            report.entries += part.entries
            ends |= part.ends
        if len(report.faults) < MOST_FAULTS:
            if payloads and parts[0].first_id:
                _payloads(UUID(parts[0].first_id), report)
            _tail(ends, signed, from_number, report)
    if from_number <= 1:
        for name in settings.AUDIT_WITNESSES:
            what, count, faults = import_string(name)()
            report.witnessed[what] = count
            report.faults += faults
    report.seconds = time.monotonic() - began
    return report


def _start(from_number: int, report: Report) -> Place:
    if from_number <= 1:
        return BEGINNING
    before = AuditSeal.objects.filter(number=from_number - 1).first()
    if before is None:
        report.faults.append(Fault("truncated", 0, "", f"seal {from_number - 1} is gone"))
        return Place(from_number - 1, 1, chain.GENESIS)
    digest = bytes(before.digests)[-chain.SIZE :]
    return Place(before.number, before.first_sequence + len(before.entry_ids), digest)


def _prove(begin: Place, from_number: int, processes: int, asked: frozenset[int]) -> list[Proved]:
    """The parts of the chain, in its order."""
    counted = AuditSeal.objects.filter(number__gte=from_number)
    seals, last = counted.count(), counted.aggregate(last=Max("number"))["last"] or 0
    several = max(1, min(processes, seals // SEALS_EACH))
    places = [begin]
    for part in range(1, several):
        where = {"first": from_number, "seals": seals * part // several}
        number, sequence, digest = execute(_PLACE, where)[0]
        places.append(Place(number, sequence, bytes(digest)))
    session = connection.connection  # of the transaction around
    with connection.wrap_database_errors:
        if several == 1:
            return [prove(session, begin, last, asked)]
        return join(prove_together(session, places, last, asked), places)


def join(parts: list[Proved], places: list[Place]) -> list[Proved]:
    """Each part must end where the next one began; it is a fault of the part if it does not."""
    for part, place in zip(parts, places[1:], strict=False):
        if part.end != place and len(part.faults) < MOST_FAULTS:
            detail = f"seal {place.number} changed while it was looked at"
            part.faults.append(Fault("forged", place.sequence - 1, "", detail))
    return parts


def _payloads(first_id: UUID, report: Report) -> None:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_PAYLOADS, [first_id])
        for entry_id, salt, before, after, before_digest, after_digest in cursor:
            same = salted_digest(salt, before) == before_digest
            if not (same and salted_digest(salt, after) == after_digest):
                detail = "the payload is not what its entry says"
                report.faults.append(Fault("tampered", 0, entry_id, detail))


def _tail(
    ends: dict[int, tuple[int, str]], signed: list[Checkpoint], from_number: int, report: Report
) -> None:
    for (lost,) in execute(_LOST, {}):
        report.faults.append(Fault("deleted", 0, lost, "the entry is gone; it was not sealed yet"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM monitoring_auditpending")
        report.pending = cursor.fetchone()[0]
    if from_number <= 1 and report.ok:
        stray = int(execute(_STRAY, {"sealed": report.entries})[0][0])
        if stray:
            detail = f"{stray} entries are outside the chain and wait for no seal"
            report.faults.append(Fault("unsealed", 0, "", detail))
    _against(signed, ends, report)


def _signed(from_number: int, report: Report) -> list[Checkpoint]:
    """What was signed of seals from ``from_number`` on; a bad signature is a fault."""
    try:
        said = [*checkpoints.dated(), checkpoints.head()]
    except BadCheckpoint as error:
        report.faults.append(Fault("forged", 0, "", f"checkpoint {error}"))
        return []
    return [one for one in said if one is not None and one.number >= from_number]


def _against(signed: list[Checkpoint], ends: dict[int, tuple[int, str]], report: Report) -> None:
    last = AuditSeal.objects.aggregate(last=Max("number"))["last"] or 0
    for one in signed:
        if one.number > last:
            detail = f"at {one.at} the chain had {one.sequence} entries; its tail is gone"
            report.faults.append(Fault("truncated", one.sequence, "", detail))
        elif ends.get(one.number) != (one.sequence, one.digest):
            detail = f"the chain differs from what was signed at {one.at}"
            report.faults.append(Fault("forged", one.sequence, "", detail))
