"""Tables of what runs need from outside: answers, signals and files."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from workflows.models.runs import Run, StepRun


class Approval(models.Model):
    """A human answer that a step waits for; one row per level, and anew for each ``turn``."""

    class State(models.TextChoices):
        WAITING = "waiting"
        APPROVED = "approved"
        REJECTED = "rejected"
        EXPIRED = "expired"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey("access.Client", on_delete=models.PROTECT)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="approvals")
    step = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="approvals")
    turn = models.PositiveSmallIntegerField(
        default=1, help_text="Which time its step asks: a retried run asks again."
    )
    level = models.PositiveSmallIntegerField(default=1)
    levels = models.PositiveSmallIntegerField(default=1)
    role = models.CharField(max_length=32)
    forbid_self = models.BooleanField(default=True)
    form = models.JSONField(null=True, blank=True, help_text="JSON Schema of the answer.")
    shown = models.JSONField(null=True, blank=True, help_text="What the approver is shown.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    answer = models.JSONField(null=True, blank=True)
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    told = models.CharField(
        max_length=12, blank=True, help_text="What its approvers were told: asked, escalated."
    )
    escalated_at = models.DateTimeField(null=True, blank=True)
    escalates_at = models.DateTimeField(null=True, blank=True)
    escalates_to = models.CharField(max_length=32, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["step", "turn", "level"], name="approval_once_per_level"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "rejected"]) | Q(decided_by__isnull=False),
                name="approval_decided_by_a_person",
            ),
        ]
        indexes = [
            models.Index(
                fields=["role", "-id"], condition=Q(state="waiting"), name="approval_open"
            ),
            models.Index(
                fields=["-decided_at", "-id"],
                condition=Q(decided_at__isnull=False),
                name="approval_answered",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run} level {self.level} ({self.role})"

    def before(self) -> models.QuerySet[Approval]:
        """The earlier levels of the same turn."""
        return Approval.objects.filter(
            step_id=self.step_id, turn=self.turn, level__lt=self.level
        ).order_by("level")


class Artifact(models.Model):
    """A stored file. The same content of one client is stored once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey("access.Client", on_delete=models.PROTECT)
    name = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    file = models.FileField(upload_to="artifacts/%Y/%m/", max_length=300)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "sha256", "name"], name="artifact_once")
        ]

    def __str__(self) -> str:
        return self.name


class ArtifactUse(models.Model):
    """That a run was given a file or made it, or that a person gave one that was there already."""

    id = models.BigAutoField(primary_key=True)
    artifact = models.ForeignKey(
        Artifact, on_delete=models.CASCADE, related_name="uses", db_index=False
    )
    run = models.ForeignKey(Run, null=True, on_delete=models.CASCADE, related_name="files")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["artifact", "run", "user"],
                name="artifactuse_once",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.artifact} in {self.run_id or self.user_id}"


class Signal(models.Model):
    """A message to a run from outside; kept, so that one that comes early is not lost."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="signals")
    name = models.CharField(max_length=64)
    payload = models.JSONField(null=True)
    sent_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    taken_by_step = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name
