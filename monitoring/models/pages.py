"""What pages show beside the numbers: marks on the time axis, people's own boards, reports."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7


class Mark(models.Model):
    """Something that was changed at a moment: drawn on the time axis of every plot it concerns."""

    class Kind(models.TextChoices):
        DEPLOYMENT = "deployment"
        EXPERIMENT = "experiment"
        ROLLBACK = "rollback"
        STOPPED = "stopped", "taken out of service by a person"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=12, choices=Kind.choices)
    scope = models.CharField(max_length=20, default="all")
    key = models.CharField(max_length=200, blank=True)
    text = models.CharField(max_length=160)
    begins = models.BooleanField(
        null=True, help_text="Something lasts from here (of this href); False: it is over."
    )
    href = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["scope", "key", "-at"], name="mark_about")]

    def __str__(self) -> str:
        return self.text


class Board(models.Model):
    """A dashboard that a person has put together."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="boards"
    )
    name = models.CharField(max_length=80)
    panels = models.JSONField(default=list, help_text="Metric, statistic, scope and key of each.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="board_name_once")]

    def __str__(self) -> str:
        return self.name


class SlaReport(models.Model):
    """How a month went against the objectives, as it was known when the month was over."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    month = models.DateField(help_text="Its first day.")
    scope = models.CharField(max_length=20)
    key = models.CharField(max_length=200, blank=True)
    document = models.JSONField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-month", "scope", "key"]
        constraints = [
            models.UniqueConstraint(fields=["month", "scope", "key"], name="slareport_once")
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} {self.scope} {self.key}".strip()
