"""The audit log: entries that are only added, payloads that can be erased, seals that chain them.

An entry holds digests, never what was written; that lies in its payload, which may be erased
while the chain still verifies. A seal orders a batch of entries and holds the chain's digest at
each of them. The application's role may not change entries or seals (see the migration).
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7


class AuditEntry(models.Model):
    """Who did what to what. Partitioned by month on ``id``."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=120, help_text="user:…, key:…, agent:… or system:…")
    action = models.CharField(max_length=80, help_text="app.noun.past_participle")
    target = models.CharField(max_length=200, blank=True, default="")
    client_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    session = models.CharField(max_length=80, blank=True, default="")
    before_digest = models.CharField(max_length=64, blank=True, default="")
    after_digest = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["actor", "-id"], name="audit_actor"),
            models.Index(fields=["target", "-id"], name="audit_target"),
            models.Index(fields=["client_id", "-id"], name="audit_client"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class AuditPayload(models.Model):
    """What an entry's digests stand for. The salt keeps an erased value from being guessed."""

    entry_id = models.UUIDField(primary_key=True)
    subject_id = models.UUIDField(null=True, db_index=True, help_text="The person it is about.")
    salt = models.CharField(max_length=32)
    before = models.TextField(null=True, help_text="JSON, as digested.")  # noqa: DJ001
    after = models.TextField(null=True, help_text="JSON, as digested.")  # noqa: DJ001

    def __str__(self) -> str:
        return str(self.entry_id)


class AuditPending(models.Model):
    """An entry that is not sealed yet; written with it and taken away by its seal."""

    entry_id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return str(self.entry_id)


class AuditIntent(models.Model):
    """A change that a door has begun; its entry takes its place once it is done."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=120)
    action = models.CharField(max_length=80)
    target = models.CharField(max_length=200)
    user_id = models.UUIDField(null=True)
    client_id = models.UUIDField(null=True)
    session = models.CharField(max_length=80, blank=True)

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"


class AuditSeal(models.Model):
    """A batch of entries in their order, with the chain's digest at each of them."""

    number = models.BigIntegerField(primary_key=True, help_text="From 1, without gaps.")
    first_sequence = models.BigIntegerField(help_text="Of its first entry; from 1.")
    entry_ids = ArrayField(models.UUIDField())
    digests = models.BinaryField(help_text="32 bytes an entry: SHA-256 of the chain up to it.")
    sealed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"seal {self.number}"
