"""What a door is about to change, on record before it does: a crash in between loses no entry.

The intent is committed before the change begins, so it lies before the change in the database's
log: whenever the change is there after a crash, so is the intent, and a sweep makes it an entry.
Its commit need not wait for the disk for that; the change's own commit takes it along.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from config import logs
from config.access.ids import uuid7
from config.statements import execute
from monitoring.audit import audit_all
from monitoring.domain.noted import Audited, clean

# A request that has not ended by then never will. Streams end sooner.
GRACE = timedelta(minutes=15)
MOST = 1000
UNFINISHED = ".unfinished"

_INTEND = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO monitoring_auditintent (id, actor, action, target, user_id, client_id, session)
SELECT %(id)s, %(actor)s, %(action)s, %(target)s, %(user_id)s::uuid, %(client_id)s::uuid,
       %(session)s FROM quick
"""
_FORGET = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
DELETE FROM monitoring_auditintent WHERE id = %(id)s AND (SELECT true FROM quick)
"""
_LEFT = """
DELETE FROM monitoring_auditintent WHERE id IN (
    SELECT id FROM monitoring_auditintent WHERE at < %(before)s
    ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED)
RETURNING actor, action, target, user_id, client_id, session
"""


@dataclass(frozen=True, slots=True)
class Intent:
    """Who is about to do what where; ``begin`` has put it on record."""

    id: UUID
    actor: str
    action: str
    target: str
    user_id: UUID | None
    client_id: UUID | None
    session: str

    @classmethod
    def begin(
        cls, *, actor: str, action: str, target: str, user_id: UUID | None, client_id: UUID | None
    ) -> Intent:
        """Put it on record and commit, before the change. Raises DatabaseError if that fails."""
        session = (logs.context.get() or {}).get("request_id", "")
        made = cls(uuid7(), clean(actor, 120), action, clean(target, 200), user_id, client_id,
                   clean(session, 80))  # fmt: skip
        execute(_INTEND, made.as_row())
        return made

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def settle(
        self, action: str = "", client_id: UUID | None = None, *, waits: bool = True
    ) -> None:
        """It was done: an entry instead of the intent. The client may be known only now.

        Where the change itself waited for the disk, the intent is there with it, and the entry need
        not wait again (not ``waits``): a crash right now leaves the intent, which the sweep ends.
        """
        done = Audited(self.actor, action or self.action, self.target,
                       client_id or self.client_id, self.user_id, self.session)  # fmt: skip
        audit_all([done], instead_of=self.id, waits=waits)

    def withdraw(self) -> None:
        """It was refused: nothing has changed."""
        execute(_FORGET, {"id": self.id})


def complete(*, now: datetime) -> int:
    """Make entries of intents whose end nobody wrote down; returns how many. Safe to run twice.

    Such an entry says that it is not known whether the change came about.
    """
    with transaction.atomic():
        rows = execute(_LEFT, {"before": now - GRACE, "most": MOST})
        audit_all([
            Audited(actor, action + UNFINISHED, target, client_id, user_id, session)
            for actor, action, target, user_id, client_id, session in rows
        ])  # fmt: skip
    return len(rows)
