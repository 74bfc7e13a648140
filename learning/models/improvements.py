"""Proposals with their evidence, and the records that bar what was rolled back."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Improvement(models.Model):
    """One proposed change to one agent. ``proposal`` says what, ``evidence`` says why."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REJECTED = "rejected"
        TESTING = "testing", "in an experiment"
        ROLLING_OUT = "rolling_out"
        SHIPPED = "shipped"
        REFUSED = "refused", "not shown to help"
        ROLLED_BACK = "rolled_back"

    OPEN = (State.PROPOSED, State.APPROVED, State.TESTING, State.ROLLING_OUT)

    class Kind(models.TextChoices):
        PROMPT = "prompt"
        MODEL = "model"
        PARAMETERS = "parameters"
        TOOLS = "tools"
        RETRIEVAL = "retrieval"
        KNOWLEDGE = "knowledge"
        FLOW = "flow"
        CACHE = "cache"
        ROUTING = "routing"

    class Risk(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    title = models.CharField(max_length=200)
    proposal = models.JSONField(default=dict)
    evidence = models.JSONField(default=dict)
    expected = models.JSONField(default=dict, help_text="Metric and expected change.")
    impact = models.FloatField(default=0.0)
    confidence = models.FloatField(default=0.0)
    effort = models.FloatField(default=1.0)
    priority = models.FloatField(default=0.0, help_text="impact × confidence ÷ effort")
    risk = models.CharField(max_length=8, choices=Risk.choices, default=Risk.MEDIUM)
    base_version_id = models.UUIDField(null=True, blank=True)
    candidate_version_id = models.UUIDField(null=True, blank=True)
    digest = models.CharField(max_length=64, help_text="Of what is proposed; bars repeats.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.CharField(max_length=80, blank=True, default="")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_reason = models.CharField(max_length=500, blank=True, default="")
    is_by_policy = models.BooleanField(
        default=False, db_default=False, help_text="Approved by a trial policy, no person."
    )
    override = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="Who lets this version go live in spite of its replay: by, reason, found, at.",
    )
    work_item = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="What the issue tracker made of it: id, url, at.",
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-priority", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug", "digest"],
                condition=Q(state__in=["proposed", "approved", "testing", "rolling_out"]),
                name="improvement_open_once",
            ),
            models.CheckConstraint(condition=Q(effort__gt=0), name="improvement_effort_positive"),
        ]
        indexes = [models.Index(fields=["state", "-priority"], name="improvement_ranked")]

    def __str__(self) -> str:
        return f"{self.agent_slug}: {self.title}"


class Tombstone(models.Model):
    """What was rolled back and why; it is not tried again until a person lifts this."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, help_text="The version's content.")
    version_id = models.UUIDField()
    reason = models.CharField(max_length=500)
    evidence = models.JSONField(default=dict)
    raised_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug", "digest"],
                condition=Q(lifted_at=None),
                name="tombstone_standing_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug}: {self.reason}"
