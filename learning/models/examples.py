"""Reviewed examples: what a right answer looks like, for prompts and for tuning."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Example(models.Model):
    """A question with its right answer, redacted. Nothing is used before a person approved it."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REJECTED = "rejected"
        RETIRED = "retired"

    class Source(models.TextChoices):
        CORRECTION = "correction"
        PERSON = "person", "written by a person"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    source = models.CharField(max_length=12, choices=Source.choices)
    invocation_id = models.UUIDField(null=True, blank=True)
    feedback_id = models.UUIDField(null=True, blank=True)
    before = models.JSONField(
        default=list, db_default=[], blank=True,
        help_text="What was said before it in a conversation, redacted: role, text.",
    )  # fmt: skip
    question = models.TextField()
    answer = models.TextField()
    wrong_answer = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")
    digest = models.CharField(
        max_length=64, help_text="Of agent, question and what was said before it."
    )
    masked = models.PositiveIntegerField(default=0, help_text="Spans that redaction masked.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.PROPOSED)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug", "digest"],
                condition=Q(state__in=["proposed", "approved"]),
                name="example_question_once",
            ),
            models.UniqueConstraint(
                fields=["feedback_id"],
                condition=Q(feedback_id__isnull=False),
                name="example_once_per_feedback",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True)
                | (~Q(state="proposed") & Q(decided_at__isnull=False)),
                name="example_decided_iff_not_proposed",
            ),
        ]
        indexes = [models.Index(fields=["agent_slug", "state"], name="example_library")]

    def __str__(self) -> str:
        return f"{self.agent_slug}: {self.question[:60]}"

    @property
    def asked(self) -> str:
        """The question; of a conversation all of it, a line a turn."""
        if not self.before:
            return self.question
        turns = [*self.before, ["user", self.question]]
        return "\n".join(f"{role}: {text}" for role, text in turns)
