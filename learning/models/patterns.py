"""Clusters of failures and complaints, and how often each came up where."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Pattern(models.Model):
    """One cluster. Its key stays from week to week while its wording grows."""

    class Kind(models.TextChoices):
        FAILURE = "failure"
        COMPLAINT = "complaint"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    key = models.CharField(max_length=16)
    title = models.TextField(help_text="The template, or the words that tell the topic.")
    words = models.JSONField(default=list)
    example = models.TextField(blank=True, default="", help_text="Redacted.")
    trend = models.CharField(max_length=8, default="new")
    trend_ratio = models.FloatField(null=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="pattern_key_once"),
            models.CheckConstraint(
                condition=Q(last_seen_at__gte=models.F("first_seen_at")),
                name="pattern_seen_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.title[:80]


class PatternCount(models.Model):
    """How often a pattern came up for one client and agent on one day (UTC)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    pattern = models.ForeignKey(Pattern, on_delete=models.CASCADE, related_name="counts")
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64, blank=True, default="")
    day = models.DateField()
    count = models.PositiveIntegerField()
    user_ids = ArrayField(models.UUIDField(), default=list)
    run_ids = ArrayField(models.UUIDField(), default=list)
    invocation_ids = ArrayField(models.UUIDField(), default=list, help_text="The newest of them.")
    feedback_ids = ArrayField(
        models.UUIDField(), default=list, db_default=[], help_text="The newest of them."
    )
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["pattern", "client_id", "agent_slug", "day"], name="patterncount_once"
            )
        ]
        indexes = [models.Index(fields=["day"], name="patterncount_day")]

    def __str__(self) -> str:
        return f"{self.count} on {self.day}"
