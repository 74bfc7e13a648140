"""What people and checks said about recorded work. Rows are never changed, only superseded."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Subject(models.TextChoices):
    """What feedback is about; named by its id, without a constraint, since history is kept."""

    INVOCATION = "invocation"
    STEP = "step"
    RUN = "run"
    CONVERSATION = "conversation"


class Feedback(models.Model):
    """What one source said. The latest per source and kind counts; the rest is history."""

    class Kind(models.TextChoices):
        RATING = "rating"
        CORRECTION = "correction"
        SUGGESTION = "suggestion"
        COMPLAINT = "complaint"
        PRAISE = "praise"

    class Source(models.TextChoices):
        USER = "user"
        MANAGER = "manager"
        QUALITY = "quality"
        SYSTEM = "system"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    subject_kind = models.CharField(max_length=12, choices=Subject.choices)
    subject_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64, blank=True, default="")
    version_id = models.UUIDField(null=True, blank=True)
    unit = models.CharField(max_length=80, blank=True, default="")
    split_epoch = models.PositiveIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.USER)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    author_key = models.CharField(max_length=80, help_text="Who said it, for latest wins.")
    rating = models.PositiveSmallIntegerField(null=True, blank=True)
    text = models.TextField(blank=True, default="")
    corrected_output = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")
    category = models.CharField(
        max_length=40, blank=True, default="", help_text="Of the issue; assigned by its words."
    )
    category_by = models.CharField(
        max_length=80, blank=True, default="", help_text="Who corrected it; empty: nobody."
    )
    superseded_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "feedback"
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "kind", "author_key"],
                condition=Q(superseded_at=None),
                name="feedback_latest_once",
            ),
            models.CheckConstraint(
                condition=Q(rating=None) | Q(rating__range=(1, 5)), name="feedback_rating_1_to_5"
            ),
            models.CheckConstraint(
                condition=~Q(kind="rating") | Q(rating__isnull=False),
                name="feedback_rating_has_one",
            ),
            models.CheckConstraint(
                condition=~Q(kind="correction") | ~Q(corrected_output=""),
                name="feedback_correction_has_one",
            ),
        ]
        indexes = [
            models.Index(fields=["client_id", "-id"], name="feedback_client"),
            models.Index(fields=["agent_slug", "-id"], name="feedback_agent"),
            # What was said of a unit of a comparison, and what of it counts no more.
            models.Index(
                fields=["agent_slug", "unit"],
                condition=Q(split_epoch__isnull=False),
                name="feedback_unit",
            ),
            models.Index(
                fields=["agent_slug", "superseded_at"],
                condition=Q(split_epoch__isnull=False, superseded_at__isnull=False),
                name="feedback_superseded",
            ),
            # The same of a workflow's runs, which few rows are about.
            models.Index(fields=["id"], condition=Q(subject_kind="run"), name="feedback_of_runs"),
            models.Index(
                fields=["superseded_at"],
                condition=Q(subject_kind="run", superseded_at__isnull=False),
                name="feedback_of_runs_superseded",
            ),
            # What people corrected, of all agents, the newest first.
            models.Index(
                fields=["-created_at", "-id"],
                condition=Q(kind="correction"),
                name="feedback_corrections",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} on {self.subject_kind} {self.subject_id}"


class FeedbackRequest(models.Model):
    """One person asked by e-mail about one subject; the signed link holds only this row's id."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    subject_kind = models.CharField(max_length=12, choices=Subject.choices)
    subject_id = models.UUIDField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    asked_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(null=True, blank=True)
    declined_at = models.DateTimeField(
        null=True, blank=True, help_text="When the person wished to be asked no more by itself."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "user"], name="feedbackrequest_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject_kind} {self.subject_id}"


class Score(models.Model):
    """A named number with its source and version; the latest per source counts."""

    class Source(models.TextChoices):
        HUMAN = "human"
        CODE = "code"
        JUDGE = "judge"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    subject_kind = models.CharField(max_length=12, choices=Subject.choices)
    subject_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64, blank=True, default="")
    version_id = models.UUIDField(null=True, blank=True)
    unit = models.CharField(max_length=80, blank=True, default="")
    split_epoch = models.PositiveIntegerField(null=True, blank=True)
    name = models.CharField(max_length=60)
    value = models.FloatField()
    source = models.CharField(max_length=8, choices=Source.choices)
    source_version = models.CharField(max_length=60, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    superseded_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id", "name", "source", "source_version"],
                condition=Q(superseded_at=None),
                name="score_latest_once",
            )
        ]
        indexes = [
            models.Index(fields=["agent_slug", "name", "-id"], name="score_agent"),
            models.Index(
                fields=["agent_slug", "unit"],
                condition=Q(split_epoch__isnull=False),
                name="score_unit",
            ),
            models.Index(
                fields=["agent_slug", "superseded_at"],
                condition=Q(split_epoch__isnull=False, superseded_at__isnull=False),
                name="score_superseded",
            ),
            # The same of a workflow's runs, which few rows are about.
            models.Index(fields=["id"], condition=Q(subject_kind="run"), name="score_of_runs"),
            models.Index(
                fields=["superseded_at"],
                condition=Q(subject_kind="run", superseded_at__isnull=False),
                name="score_of_runs_superseded",
            ),
            # Most rows are checks by code; what judges and people said is found among them.
            models.Index(
                fields=["source", "name", "source_version"],
                condition=Q(superseded_at=None),
                name="score_standing",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.value:g}"
