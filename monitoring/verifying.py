"""Proving the audit log: every entry against the chain, the chain against its checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max
from django.utils.module_loading import import_string

from config.statements import execute
from monitoring import checkpoints
from monitoring.audit import CONTENT, LOCK, salted_digest
from monitoring.checkpoints import BadCheckpoint
from monitoring.domain import chain
from monitoring.domain.chain import Fault
from monitoring.models import AuditSeal

# Faults told one by one; a log that has more is not to be trusted in any part.
MOST_FAULTS = 100
_SEALS_AT_ONCE = 8

# A seal's entries lie side by side but for a few that were committed late: a range is five times
# as fast as a list of ids. What the range leaves out is looked up.
_RANGE = f"""
SELECT e.id::text, {CONTENT} FROM monitoring_auditentry e
WHERE e.id BETWEEN %(low)s AND %(high)s LIMIT %(most)s
"""  # noqa: S608
_SINGLE = f"SELECT e.id::text, {CONTENT} FROM monitoring_auditentry e WHERE e.id = ANY(%(ids)s)"  # noqa: S608
_PAYLOADS = """
SELECT p.entry_id::text, p.salt, p.before, p.after, e.before_digest, e.after_digest
FROM monitoring_auditpayload p JOIN monitoring_auditentry e ON e.id = p.entry_id
WHERE p.entry_id >= %s
"""
_STRAY = """
SELECT count(*) - coalesce((SELECT sum(cardinality(entry_ids)) FROM monitoring_auditseal), 0)
       - (SELECT count(*) FROM monitoring_auditpending)
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


def verify(*, from_number: int = 1, payloads: bool = True) -> Report:
    """Check seals from ``from_number`` on, while nothing else seals.

    From 1 the counts are checked too, so that an entry beside the chain is found. ``payloads``
    also compares what has not been erased with its digests. Apps that sealed records of theirs
    into the log (``AUDIT_WITNESSES``) prove them then.
    """
    began, report = time.monotonic(), Report()
    with transaction.atomic():
        # Between two statements an entry could otherwise go from pending to sealed.
        execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": LOCK})
        previous, sequence = _start(from_number, report)
        ends: dict[int, tuple[int, str]] = {}
        first_id: UUID | None = None
        for seals, contents in _read_ahead(_in_groups(from_number)):
            for seal in seals:
                _continuity(seal, from_number + report.seals, sequence, report)
                ids = [str(entry_id) for entry_id in seal.entry_ids]
                digests = bytes(seal.digests)
                report.faults += chain.check_batch(
                    previous, seal.first_sequence, ids, digests, contents
                )
                previous = digests[-chain.SIZE :]
                sequence = seal.first_sequence + len(ids)
                report.seals += 1
                report.entries += len(ids)
                ends[seal.number] = (sequence - 1, previous.hex())
            first_id = first_id or seals[0].entry_ids[0]
            if len(report.faults) >= MOST_FAULTS:
                break
        else:
            if payloads and first_id:
                _payloads(first_id, report)
            _tail(ends, from_number, report)
    if from_number <= 1:
        for name in settings.AUDIT_WITNESSES:
            what, count, faults = import_string(name)()
            report.witnessed[what] = count
            report.faults += faults
    report.seconds = time.monotonic() - began
    return report


def _start(from_number: int, report: Report) -> tuple[bytes, int]:
    if from_number <= 1:
        return chain.GENESIS, 1
    before = AuditSeal.objects.filter(number=from_number - 1).first()
    if before is None:
        report.faults.append(Fault("truncated", 0, "", f"seal {from_number - 1} is gone"))
        return chain.GENESIS, 1
    digest = bytes(before.digests)[-chain.SIZE :]
    return digest, before.first_sequence + len(before.entry_ids)


def _in_groups(from_number: int) -> Iterator[list[AuditSeal]]:
    rows = AuditSeal.objects.filter(number__gte=from_number).order_by("number")
    stream = iter(rows.iterator(chunk_size=_SEALS_AT_ONCE))
    while group := list(islice(stream, _SEALS_AT_ONCE)):
        yield group


def _read_ahead(
    groups: Iterator[list[AuditSeal]],
) -> Iterator[tuple[list[AuditSeal], dict[str, str]]]:
    """Each group with what its entries say, read while the group before is being digested."""
    session = connection.connection  # of the transaction around; it takes turns by itself
    with ThreadPoolExecutor(1, thread_name_prefix="audit-reader") as reader:
        ahead: tuple[list[AuditSeal], Future[dict[str, str]]] | None = None
        for seals in groups:
            before, ahead = ahead, (seals, reader.submit(_range, session, seals))
            if before is not None:
                yield before[0], _contents(before[0], before[1].result())
        if ahead is not None:
            yield ahead[0], _contents(ahead[0], ahead[1].result())


def _range(session: psycopg.Connection[tuple[str, str]], seals: list[AuditSeal]) -> dict[str, str]:
    ids = [entry_id for seal in seals for entry_id in seal.entry_ids]
    bounds = {"low": min(ids), "high": max(ids), "most": 2 * len(ids)}
    return dict(session.execute(_RANGE, bounds).fetchall())


def _contents(seals: list[AuditSeal], found: dict[str, str]) -> dict[str, str]:
    ids = [entry_id for seal in seals for entry_id in seal.entry_ids]
    missing = [entry_id for entry_id in ids if str(entry_id) not in found]
    if missing:
        found.update(execute(_SINGLE, {"ids": missing}))
    return found


def _continuity(seal: AuditSeal, number: int, sequence: int, report: Report) -> None:
    if seal.number != number or seal.first_sequence != sequence:
        detail = (
            f"expected seal {number} with entry {sequence}, found seal {seal.number} "
            f"with entry {seal.first_sequence}"
        )
        report.faults.append(Fault("deleted", sequence, "", detail))


def _payloads(first_id: UUID, report: Report) -> None:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_PAYLOADS, [first_id])
        for entry_id, salt, before, after, before_digest, after_digest in cursor:
            same = salted_digest(salt, before) == before_digest
            if not (same and salted_digest(salt, after) == after_digest):
                detail = "the payload is not what its entry says"
                report.faults.append(Fault("tampered", 0, entry_id, detail))


def _tail(ends: dict[int, tuple[int, str]], from_number: int, report: Report) -> None:
    for (lost,) in execute(_LOST, {}):
        report.faults.append(Fault("deleted", 0, lost, "the entry is gone; it was not sealed yet"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM monitoring_auditpending")
        report.pending = cursor.fetchone()[0]
    if from_number <= 1 and report.ok:
        stray = int(execute(_STRAY, {})[0][0])
        if stray:
            detail = f"{stray} entries are outside the chain and wait for no seal"
            report.faults.append(Fault("unsealed", 0, "", detail))
    _against_checkpoints(ends, from_number, report)


def _against_checkpoints(
    ends: dict[int, tuple[int, str]], from_number: int, report: Report
) -> None:
    try:
        said = [*checkpoints.dated(), checkpoints.head()]
    except BadCheckpoint as error:
        report.faults.append(Fault("forged", 0, "", f"checkpoint {error}"))
        return
    last = AuditSeal.objects.aggregate(last=Max("number"))["last"] or 0
    for one in said:
        if one is None or one.number < from_number:
            continue
        if one.number > last:
            detail = f"at {one.at} the chain had {one.sequence} entries; its tail is gone"
            report.faults.append(Fault("truncated", one.sequence, "", detail))
        elif ends.get(one.number) != (one.sequence, one.digest):
            detail = f"the chain differs from what was signed at {one.at}"
            report.faults.append(Fault("forged", one.sequence, "", detail))
