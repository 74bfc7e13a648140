"""What a guardrail holds back until a person has looked at it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Review(models.Model):
    """One text that went in or would have come out, and what a person says of it.

    An approval lets the same text of the same client to the same agent pass until ``expires_at``.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        APPROVED = "approved"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    version_id = models.UUIDField()
    invocation_id = models.UUIDField(help_text="The call that was held back.")
    user_id = models.UUIDField(null=True, blank=True)
    key_id = models.UUIDField(null=True, blank=True)
    conversation_id = models.UUIDField(null=True, blank=True)
    run_id = models.UUIDField(null=True, blank=True)
    about_run_id = models.UUIDField(null=True, blank=True)
    step_id = models.UUIDField(null=True, blank=True)
    guardrail = models.CharField(max_length=24)
    place = models.CharField(max_length=200, help_text="The input, a message, a tool, the answer.")
    reasons = models.JSONField(default=list)
    identity = models.CharField(max_length=64, help_text="Keyed digest of the text.")
    question = models.CharField(
        max_length=64, blank=True, default="", help_text="Of an answer: digest of what was asked."
    )
    held = models.TextField(editable=False, help_text="The text and its answer, encrypted.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    decided_by = models.UUIDField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["client_id", "identity"], name="review_identity"),
            models.Index(fields=["client_id", "question"], name="review_question"),
            models.Index(fields=["-id"], condition=Q(state="waiting"), name="review_open"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client_id", "identity"],
                condition=Q(state="waiting"),
                name="review_one_waiting",
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", decided_at=None)
                | (~Q(state="waiting") & Q(decided_at__isnull=False)),
                name="review_decided_iff_over",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.guardrail} of {self.agent_slug}: {self.place}"
