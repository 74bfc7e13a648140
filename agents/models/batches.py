"""Many questions to one agent that may wait: asked together, for less, answered within a day."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models.records import MONEY
from config.access.ids import uuid7


class Batch(models.Model):
    """Questions that travel together. ``token`` fences the worker that is on it until ``lease``."""

    class State(models.TextChoices):
        OPEN = "open", "questions are prepared or answers are taken in"
        SUBMITTED = "submitted", "the provider works on it"
        CANCELLING = "cancelling"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    user_id = models.UUIDField(null=True)
    key_id = models.UUIDField(null=True)
    agent_slug = models.CharField(max_length=64)
    version_id = models.UUIDField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    round = models.PositiveSmallIntegerField(default=0)
    endpoint = models.CharField(max_length=64, blank=True, default="")
    model = models.CharField(max_length=120, blank=True, default="")
    external_id = models.CharField(max_length=120, blank=True, default="")
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    submitted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["client_id", "-id"], name="batch_client"),
            models.Index(
                fields=["id"],
                name="batch_open",
                condition=Q(state__in=["open", "submitted", "cancelling"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.state}"


class BatchItem(models.Model):
    """One question of a batch; its invocation has the same id.

    ``replies``: what the model said so far, for tools may be asked for before the answer comes.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField()
    custom_id = models.CharField(max_length=120)
    inputs = models.JSONField(default=dict)
    replies = models.JSONField(default=list)
    body = models.JSONField(null=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    error = models.JSONField(null=True)
    hold_id = models.UUIDField(null=True)
    budget_ids = ArrayField(models.UUIDField(), default=list)
    held_usd = models.DecimalField(**MONEY, default=0)

    class Meta:
        ordering = ["batch", "number"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "custom_id"], name="batchitem_custom_id_once")
        ]

    def __str__(self) -> str:
        return f"{self.custom_id} {self.state}"
