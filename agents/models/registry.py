"""Agents, their immutable versions, labels, and the traffic splits between versions."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from config.errors import Conflict


class Agent(models.Model):
    """A name that callers use. What answers is one of its versions."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        RETIRED = "retired"

    class Risk(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"

    class Audience(models.TextChoices):
        INTERNAL = "internal"
        EXTERNAL = "external"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    domain = models.CharField(max_length=40, db_index=True)
    purpose = models.TextField()
    audience = models.CharField(max_length=16, choices=Audience.choices, default=Audience.INTERNAL)
    risk = models.CharField(max_length=8, choices=Risk.choices, default=Risk.MEDIUM)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    state_reason = models.CharField(max_length=300, blank=True, default="")
    scaling = models.JSONField(default=dict, help_text="Lane, workers, target wait.")
    objectives = models.JSONField(default=dict, help_text="p95 seconds, accuracy, errors.")
    limits = models.JSONField(
        default=dict, blank=True, help_text="requests_per_minute, tokens_per_minute."
    )
    fallback = models.TextField(
        blank=True, default="", help_text="The answer when no endpoint answers."
    )
    cases = models.JSONField(default=list, help_text="Graded cases of the catalogue.")
    catalogue_digest = models.CharField(
        max_length=64, blank=True, default="", help_text="Content last loaded from the catalogue."
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["active", "paused", "retired"]), name="agent_state_known"
            )
        ]

    def __str__(self) -> str:
        return self.slug


class AgentVersion(models.Model):
    """What answers: prompt, model, tools, guardrails. Its content never changes.

    A trigger refuses updates of content in the database too; only ``retired_at`` moves.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    prompt = models.TextField()
    variables = models.JSONField(default=list)
    model = models.JSONField(default=dict, help_text="tier, temperature, max_output_tokens, …")
    tools = models.JSONField(default=list)
    guardrails = models.JSONField(default=dict)
    output_schema = models.JSONField(null=True, blank=True)
    retrieval = models.JSONField(default=dict)
    examples = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    note = models.CharField(max_length=300, blank=True, default="")
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["agent", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "number"], name="agentversion_number_once"),
            models.UniqueConstraint(fields=["agent", "digest"], name="agentversion_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id}@{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only; raises Conflict for a row that exists."""
        if not self._state.adding:
            raise Conflict("agent version", "immutable", "a new version")
        super().save(*args, **kwargs)


class Label(models.Model):
    """A movable pointer to a version; ``production`` answers where no split says otherwise."""

    class Name(models.TextChoices):
        PRODUCTION = "production"
        CANDIDATE = "candidate"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(max_length=40, choices=Name.choices)
    version = models.ForeignKey(AgentVersion, on_delete=models.PROTECT, related_name="labels")
    moved_by = models.CharField(max_length=80, blank=True, default="")
    moved_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "name"], name="label_once_per_agent")
        ]

    def __str__(self) -> str:
        return self.name


class TrafficSplit(models.Model):
    """One epoch of shares between versions. At most one is open per agent.

    ``arms``: version id → list of [start, end) in 10,000 buckets; a unit outside all of them
    meets the production version.
    """

    class Unit(models.TextChoices):
        RUN = "run"
        USER = "user"
        CLIENT = "client"
        CONVERSATION = "conversation"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="splits")
    epoch = models.PositiveIntegerField()
    seed = models.CharField(max_length=64)
    unit = models.CharField(max_length=16, choices=Unit.choices, default=Unit.RUN)
    arms = models.JSONField(default=dict)
    audience = models.JSONField(
        default=list, blank=True, help_text="kind:name; only these are in it. Empty: everybody."
    )
    gates = models.JSONField(
        default=list, blank=True, help_text="seed and ranges; a unit outside of one is not in it."
    )
    reason = models.CharField(max_length=300, blank=True, default="")
    opened_by = models.CharField(max_length=80, blank=True, default="")
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["agent", "-epoch"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "epoch"], name="trafficsplit_epoch_once"),
            models.UniqueConstraint(
                fields=["agent"], condition=Q(closed_at=None), name="trafficsplit_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} epoch {self.epoch}"
