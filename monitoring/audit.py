"""Writing the audit log: entries cheaply on the caller's path, seals by a task behind it."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from config import logs
from config.access.ids import uuid7
from config.errors import InvalidInput
from config.parsing import no_number
from config.partitions import first_id
from config.statements import execute
from monitoring import checkpoints
from monitoring.domain import chain
from monitoring.domain.noted import Audited
from monitoring.models import AuditEntry, AuditPayload, AuditSeal
from monitoring.proving import CONTENT
from monitoring.writing import write_entries

logger = logging.getLogger(__name__)
# Entries of one seal: small enough to check in memory, large enough to read quickly.
BATCH = 1000
# How far the clocks of two machines may be apart.
CLOCKS_DIFFER = timedelta(hours=1)
# Any number that nothing else uses; it keeps two sealers apart.
LOCK = 0x52415443  # "RATC"

_UNSEALED = f"""
SELECT e.id, {CONTENT} FROM monitoring_auditpending p
JOIN monitoring_auditentry e ON e.id = p.entry_id
ORDER BY p.entry_id LIMIT %(most)s
"""  # noqa: S608  (constants)


def digest_of(value: Any) -> str:
    """Hex SHA-256 of ``value`` as canonical JSON; of None, the empty string.

    Never fails, since what it is about is done: NaN and infinities count as null, as which
    they are kept.
    """
    return "" if value is None else hashlib.sha256(_canonical(value).encode()).hexdigest()


def audit_all(
    entries: Sequence[Audited], *, instead_of: UUID | None = None, waits: bool = True
) -> None:
    """Add entries in one statement, in the caller's transaction; they are sealed later.

    ``instead_of`` is an intent (see ``intents``) that goes in the same statement; not ``waits``:
    outside of transactions, and a crash may leave the intent where the entry was.
    """
    if entries:
        made = [(uuid7(), entry) for entry in entries]
        write_entries(made, instead_of=instead_of, waits=waits)


@transaction.atomic
def audit(
    *,
    actor: str,
    action: str,
    target: str = "",
    client_id: UUID | None = None,
    user_id: UUID | None = None,
    subject_id: UUID | None = None,
    session: str = "",
    before: Any = None,
    after: Any = None,
) -> UUID:
    """Add one entry; returns its id. In the caller's transaction if there is one.

    ``before`` and ``after`` (anything JSON can say, redacted by the caller's policy) are kept in
    an erasable payload, of which the entry holds salted digests. ``subject_id`` is the person
    they are about, for erasure. ``session`` defaults to the request at hand. Raises InvalidInput
    for NaN and infinities in them.
    """
    for name, value in (("before", before), ("after", after)):
        if (fault := no_number(value)) is not None:
            limit = "a finite number, or null: JSON has no other"
            raise InvalidInput(f"{name}.{fault[0]}" if fault[0] else name, fault[1], limit)
    entry_id, salt = uuid7(), secrets.token_hex(16)
    texts = [None if value is None else _canonical(value) for value in (before, after)]
    digests = [salted_digest(salt, text) for text in texts]
    session = session or (logs.context.get() or {}).get("request_id", "")
    entry = Audited(actor, action, target, client_id, user_id, session, *digests)
    write_entries([(entry_id, entry)])
    if any(text is not None for text in texts):
        AuditPayload.objects.create(
            entry_id=entry_id, subject_id=subject_id, salt=salt, before=texts[0], after=texts[1]
        )
    return entry_id


def audited(targets: Sequence[str], *, since: datetime) -> dict[str, list[tuple[str, datetime]]]:
    """What was done to each of ``targets`` from ``since`` on: actions and when, in order."""
    found: dict[str, list[tuple[str, datetime]]] = {}
    # An id is made by a clock of its own; the entry's time is the database's.
    rows = AuditEntry.objects.filter(
        target__in=list(targets), id__gte=first_id(since - CLOCKS_DIFFER), at__gte=since
    )
    for target, action, at in rows.order_by("id").values_list("target", "action", "at"):
        found.setdefault(target, []).append((action, at))
    return found


def entries_about(target: str, *, action: str) -> Iterator[AuditEntry]:
    """All entries of one target and action, oldest first."""
    rows = AuditEntry.objects.filter(target=target, action=action)
    return rows.order_by("id").iterator(chunk_size=BATCH)


def salted_digest(salt: str, text: str | None) -> str:
    """What an entry holds of a payload's text."""
    return "" if text is None else hashlib.sha256(f"{salt}{text}".encode()).hexdigest()


def seal() -> int:
    """Chain everything that waits; returns how many entries. Safe to run twice at once.

    Nothing is sealed onto a chain that is shorter than its last signed checkpoint says: that
    would hide a truncation. It is logged, and ``verify_audit`` tells it.
    """
    sealed = 0
    while batch := _seal_batch():
        sealed += batch
        if batch < BATCH:
            break
    return sealed


def _seal_batch() -> int:
    with transaction.atomic():
        execute("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": LOCK})
        last = AuditSeal.objects.order_by("-number").first()
        if not checkpoints.reaches(last):
            logs.event(logger, "monitoring.audit.truncated", level=logging.ERROR)
            return 0
        rows = execute(_UNSEALED, {"most": BATCH})
        if not rows:
            return 0
        previous = bytes(last.digests[-chain.SIZE :]) if last else chain.GENESIS
        ids = [entry_id for entry_id, _ in rows]
        made = AuditSeal.objects.create(
            number=last.number + 1 if last else 1,
            first_sequence=last.first_sequence + len(last.entry_ids) if last else 1,
            entry_ids=ids,
            digests=chain.extend(previous, (content for _, content in rows)),
        )
        execute("DELETE FROM monitoring_auditpending WHERE entry_id = ANY(%(ids)s)", {"ids": ids})
    checkpoints.write(made)
    return len(ids)


def _canonical(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    if "NaN" in text or "Infinity" in text:
        plain = json.loads(text, parse_constant=lambda _: None)
        return json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return text
