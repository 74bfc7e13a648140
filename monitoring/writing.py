"""The one writer of measurements and audit entries, alone or with the rows that they are about.

Everything goes as two JSON texts, so that there is one prepared statement however many rows there
are. Rows that come by the thousand put ``WRITES`` into the statement that stores them: a statement
of its own would cost more than they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from config import statements
from config.access.ids import uuid7
from monitoring.domain.noted import Audited, Measurement

# Common table expressions for a ``WITH``; ``given`` are their parameters.
WRITES = """
measured AS (
    INSERT INTO monitoring_measurement (id, at, labels, names, numbers)
    SELECT id, coalesce(at, now()), labels, names, numbers
    FROM jsonb_populate_recordset(NULL::monitoring_measurement, %(measured)s::jsonb)
), audited AS (
    INSERT INTO monitoring_auditentry (id, actor, action, target, client_id, user_id, session,
        before_digest, after_digest)
    SELECT id, actor, action, target, client_id, user_id, session, before_digest, after_digest
    FROM jsonb_populate_recordset(NULL::monitoring_auditentry, %(audited)s::jsonb)
    RETURNING id
), pending AS (
    INSERT INTO monitoring_auditpending (entry_id) SELECT id FROM audited
)"""
_WRITE = f"WITH {WRITES} SELECT"
_WRITE_INSTEAD = f"""
WITH done AS (DELETE FROM monitoring_auditintent WHERE id = %(instead_of)s), {WRITES} SELECT
"""  # noqa: S608  (constants)
# The same without a wait for the disk.
_WRITE_INSTEAD_SOON = f"""
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), done AS (
    DELETE FROM monitoring_auditintent WHERE id = %(instead_of)s AND (SELECT true FROM quick)
), {WRITES} SELECT
"""  # noqa: S608  (constants)


def given(measurements: Sequence[Measurement], entries: Sequence[Audited]) -> dict[str, str]:
    """The parameters of ``WRITES``."""
    return _parameters(measurements, [(uuid7(), entry) for entry in entries])


def record(measurements: Sequence[Measurement]) -> None:
    """Write all of them in one statement, in the caller's transaction."""
    if measurements:
        statements.execute(_WRITE, _parameters(measurements, ()))


def write_entries(
    entries: Sequence[tuple[UUID, Audited]],
    *,
    instead_of: UUID | None = None,
    waits: bool = True,
) -> None:
    """Write entries under their ids in one statement, which takes an intent away, too.

    That one need not wait for the disk (not ``waits``) where the intent is there already.
    """
    parameters = _parameters((), entries)
    if instead_of is None:
        statements.execute(_WRITE, parameters)
    else:
        statement = _WRITE_INSTEAD if waits else _WRITE_INSTEAD_SOON
        statements.execute(statement, {**parameters, "instead_of": instead_of})


def _parameters(
    measurements: Sequence[Measurement], entries: Sequence[tuple[UUID, Audited]]
) -> dict[str, str]:
    return {
        "measured": statements.storable([{"id": uuid7(), **one.as_row()} for one in measurements]),
        "audited": statements.storable(
            [{"id": entry_id, **entry.as_row()} for entry_id, entry in entries]
        ),
    }
