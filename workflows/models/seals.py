"""What keeps the history of runs provable: seals of its events, and how far they reach."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class HistorySeal(models.Model):
    """Digests of some events, side by side; an audit entry holds the digest of this row.

    Of each event there are three digests of 16 bytes: of what can never change, of its actor, and
    of its detail. A person can be taken off the last two, and the first still holds.
    """

    number = models.BigIntegerField(primary_key=True, help_text="From 1, without gaps.")
    event_ids = ArrayField(models.BigIntegerField(), help_text="Ascending, above the seal before.")
    salt = models.BinaryField(help_text="In each digest of an actor or a detail.")
    digests = models.BinaryField()
    sealed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"seal {self.number}"


class HistoryMark(models.Model):
    """One row: how far the sealing of histories has come.

    ``seen_event`` was the last event when ``seen_xmax`` was the next transaction. When all that
    ran then has ended, no event up to it can appear any more.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    seen_event = models.BigIntegerField(default=0)
    seen_xmax = models.BigIntegerField(default=0)
    settled_event = models.BigIntegerField(default=0)
    ends_until = models.DateTimeField(
        null=True, help_text="Runs that ended before were looked after."
    )

    def __str__(self) -> str:
        return f"settled to {self.settled_event}"
