"""Calls that were asked for with ``Prefer: respond-async``. A message only points at the row."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7


class AsyncCall(models.Model):
    """One call that waits for, or has had, its turn. Its invocation has the same id."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    user_id = models.UUIDField(null=True)
    key_id = models.UUIDField(null=True)
    agent_slug = models.CharField(max_length=64)
    inputs = models.JSONField(default=dict)
    conversation_id = models.UUIDField(null=True)
    unit = models.CharField(max_length=80, blank=True, db_default="")
    max_output_tokens = models.PositiveIntegerField(null=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveIntegerField(default=0)
    error = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    # Not before this: a limit was full.
    due_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["created_at"],
                name="asynccall_open",
                condition=models.Q(state__in=["queued", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.state}"
