"""Fine-tuning jobs: a set of examples on its way to a provider, and the model that comes back."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class TuningJob(models.Model):
    """One job. ``token`` fences the worker that is on it until ``lease_until``."""

    class State(models.TextChoices):
        QUEUED = "queued", "to be handed in"
        SUBMITTED = "submitted", "the provider trains"
        CANCELLING = "cancelling"
        SUCCEEDED = "succeeded", "its model waits for review"
        FAILED = "failed"
        CANCELLED = "cancelled"

    OPEN = (State.QUEUED, State.SUBMITTED, State.CANCELLING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField(help_text="Who pays.")
    agent_slug = models.CharField(max_length=64)
    base_version_id = models.UUIDField()
    endpoint = models.CharField(max_length=64)
    served_as = models.CharField(max_length=120, help_text="The base model as it is served.")
    model = models.CharField(max_length=120, help_text="The base model as the provider tunes it.")
    digest = models.CharField(max_length=64, help_text="Of the lessons on their sides.")
    training_id = models.UUIDField(help_text="Artifact.")
    validation_id = models.UUIDField(null=True, help_text="Artifact.")
    card_id = models.UUIDField(help_text="Artifact: the data card.")
    lessons = models.PositiveIntegerField(help_text="Training examples.")
    data = models.JSONField(default=dict, help_text="What the export said: sizes, leak rate.")
    cap_usd = models.DecimalField(max_digits=20, decimal_places=9)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    hold_id = models.UUIDField(null=True)
    held_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    budget_ids = ArrayField(models.UUIDField(), default=list)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    external_id = models.CharField(max_length=120, blank=True, default="")
    tuned_model = models.CharField(max_length=200, blank=True, default="")
    trained_tokens = models.PositiveBigIntegerField(null=True)
    candidate_version_id = models.UUIDField(null=True)
    improvement_id = models.UUIDField(null=True)
    reason = models.CharField(max_length=500, blank=True, default="", help_text="Why it ended so.")
    asked_by = models.CharField(max_length=80, blank=True, default="")
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0, help_text="Looks since the last answer.")
    next_at = models.DateTimeField(db_default=Now(), help_text="Not looked at before.")
    created_at = models.DateTimeField(db_default=Now())
    submitted_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug", "digest", "model"],
                condition=Q(state__in=["queued", "submitted", "cancelling"]),
                name="tuningjob_open_once",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "submitted", "cancelling"], ended_at__isnull=True)
                | (
                    Q(state__in=["succeeded", "failed", "cancelled"])
                    & Q(ended_at__isnull=False, hold_id__isnull=True)
                ),
                name="tuningjob_ended_iff_final",
            ),
            models.CheckConstraint(condition=Q(cap_usd__gt=0), name="tuningjob_cap_positive"),
        ]
        indexes = [
            models.Index(
                fields=["next_at"],
                name="tuningjob_open",
                condition=Q(state__in=["queued", "submitted", "cancelling"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.state}"
