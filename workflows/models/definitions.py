"""Tables of workflows: a name, its immutable versions, labels on them and shares between them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Workflow(models.Model):
    """A named process. What it does is in its versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    is_shipped = models.BooleanField(default=False, help_text="Comes with the library.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title


class WorkflowVersion(models.Model):
    """One immutable definition. New runs use the current one; old runs keep theirs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    source = models.TextField(help_text="As it was written.")
    definition = models.JSONField()
    is_current = models.BooleanField(default=False)
    deprecated_at = models.DateTimeField(null=True, blank=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["workflow", "-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "number"], name="workflowversion_number_once"
            ),
            models.UniqueConstraint(
                fields=["workflow", "digest"], name="workflowversion_digest_once"
            ),
            models.UniqueConstraint(
                fields=["workflow"],
                condition=Q(is_current=True),
                name="workflowversion_one_current",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow.name} v{self.number}"


class WorkflowLabel(models.Model):
    """A movable name for a version of a workflow: a run may be started on it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="labels")
    name = models.SlugField(max_length=40)
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="labels")
    moved_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "name"], name="workflowlabel_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} → {self.version}"


class WorkflowSplit(models.Model):
    """One epoch of shares between versions of a workflow. At most one is open per workflow.

    ``arms``: version and its list of [start, end) in 10,000 buckets, two arms may have one
    version; a unit outside all of them gets the current version.
    """

    class Unit(models.TextChoices):
        RUN = "run"
        CLIENT = "client"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="splits")
    epoch = models.PositiveIntegerField()
    seed = models.CharField(max_length=64)
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.RUN)
    arms = models.JSONField(default=list)
    gates = models.JSONField(
        default=list, blank=True, help_text="seed and ranges; a unit outside of one is not in it."
    )
    reason = models.CharField(max_length=300, blank=True, default="")
    opened_by = models.CharField(max_length=80, blank=True, default="")
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["workflow", "-epoch"]
        constraints = [
            models.UniqueConstraint(fields=["workflow", "epoch"], name="workflowsplit_epoch_once"),
            models.UniqueConstraint(
                fields=["workflow"], condition=Q(closed_at=None), name="workflowsplit_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_id} epoch {self.epoch}"
