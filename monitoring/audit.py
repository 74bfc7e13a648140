"""Writing the audit log: entries cheaply on the caller's path, seals by a task behind it."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from config import logs
from config.access.ids import uuid7
from monitoring import checkpoints
from monitoring.domain import chain
from monitoring.models import AuditPayload, AuditSeal
from monitoring.writing import execute

logger = logging.getLogger(__name__)
# Entries of one seal: small enough to check in memory, large enough to read quickly.
BATCH = 1000
# Any number that nothing else uses; it keeps two sealers apart.
LOCK = 0x52415443  # "RATC"

# What the chain digests of an entry: its fields as text, with a separator that no field holds.
CONTENT = """concat_ws(chr(31), e.id::text, (extract(epoch FROM e.at) * 1000000)::bigint::text,
    e.actor, e.action, e.target, coalesce(e.client_id::text, ''), coalesce(e.user_id::text, ''),
    e.session, e.before_digest, e.after_digest)"""

_ADD = """
WITH done AS (
    DELETE FROM monitoring_auditintent WHERE id = %(instead_of)s::uuid
), entry AS (
    INSERT INTO monitoring_auditentry (id, actor, action, target, client_id, user_id, session,
        before_digest, after_digest)
    SELECT * FROM unnest(%(id)s::uuid[], %(actor)s::text[], %(action)s::text[],
        %(target)s::text[], %(client_id)s::uuid[], %(user_id)s::uuid[], %(session)s::text[],
        %(before_digest)s::text[], %(after_digest)s::text[])
    RETURNING id
)
INSERT INTO monitoring_auditpending (entry_id) SELECT id FROM entry
"""

_UNSEALED = f"""
SELECT e.id, {CONTENT} FROM monitoring_auditpending p
JOIN monitoring_auditentry e ON e.id = p.entry_id
ORDER BY p.entry_id LIMIT %(most)s
"""  # noqa: S608  (constants of this file)

_FIELDS = ("id", "actor", "action", "target", "client_id", "user_id", "session",
           "before_digest", "after_digest")  # fmt: skip
_UNPRINTABLE = dict.fromkeys((*range(32), 127), " ")


@dataclass(frozen=True, slots=True)
class Audited:
    """One thing that was done, for ``audit_all``.

    ``before_digest`` and ``after_digest`` are hex SHA-256 of what was there, or of an agent
    action's input and output (see ``digest_of``). ``session`` is a request's or conversation's.
    """

    actor: str
    action: str
    target: str = ""
    client_id: UUID | None = None
    user_id: UUID | None = None
    session: str = ""
    before_digest: str = ""
    after_digest: str = ""


def digest_of(value: Any) -> str:
    """Hex SHA-256 of ``value`` as canonical JSON; of None, the empty string."""
    return "" if value is None else hashlib.sha256(_canonical(value).encode()).hexdigest()


def audit_all(entries: Sequence[Audited], *, instead_of: UUID | None = None) -> None:
    """Add entries in one statement, in the caller's transaction; they are sealed later.

    ``instead_of`` is an intent (see ``intents``) that goes in the same statement.
    """
    if entries:
        _insert([uuid7() for _ in entries], entries, instead_of)


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
    they are about, for erasure. ``session`` defaults to the request at hand.
    """
    entry_id, salt = uuid7(), secrets.token_hex(16)
    texts = [None if value is None else _canonical(value) for value in (before, after)]
    digests = [salted_digest(salt, text) for text in texts]
    session = session or (logs.context.get() or {}).get("request_id", "")
    entry = Audited(actor, action, target, client_id, user_id, session, *digests)
    _insert([entry_id], [entry])
    if any(text is not None for text in texts):
        AuditPayload.objects.create(
            entry_id=entry_id, subject_id=subject_id, salt=salt, before=texts[0], after=texts[1]
        )
    return entry_id


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


def _insert(
    ids: Sequence[UUID], entries: Sequence[Audited], instead_of: UUID | None = None
) -> None:
    limits = {"actor": 120, "action": 80, "target": 200, "session": 80}
    columns: dict[str, Any] = {"id": list(ids), "instead_of": instead_of}
    for field in _FIELDS[1:]:
        values = [getattr(entry, field) for entry in entries]
        if field in limits:
            values = [clean(value, limits[field]) for value in values]
        columns[field] = values
    execute(_ADD, columns)


def clean(value: str, limit: int) -> str:
    """A field of an entry: without what could shift its bounds, and not longer than its column."""
    return str(value).translate(_UNPRINTABLE)[:limit]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
