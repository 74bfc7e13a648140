"""Learning cycles: one row a tick, one a piece of work, so that a lost piece is done again."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Cycle(models.Model):
    """One scheduled pass. A tick is the day it is about, so a second beat makes no second pass."""

    class Cadence(models.TextChoices):
        DAILY = "daily"
        WEEKLY = "weekly"
        MONTHLY = "monthly"

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cadence = models.CharField(max_length=8, choices=Cadence.choices)
    tick = models.DateField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    report = models.TextField(blank=True, default="", help_text="Markdown.")
    figures = models.JSONField(default=dict)
    sent_at = models.DateTimeField(db_default=Now(), help_text="When its work was last sent out.")
    sends = models.PositiveSmallIntegerField(default=0)
    mailed_at = models.DateTimeField(null=True, blank=True, help_text="The latest attempt.")
    readers = models.PositiveIntegerField(
        null=True, blank=True, help_text="Whom the report was mailed to; null: not counted."
    )
    mail_error = models.CharField(
        max_length=80,
        blank=True,
        default="",
        db_default="",
        help_text="Why the mail server did not take all of them yet.",
    )
    mail_left = ArrayField(
        models.UUIDField(), default=list, db_default=[], blank=True,
        help_text="People whom it has to be mailed to yet; empty after none: all.",
    )  # fmt: skip
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-tick", "cadence"]
        constraints = [
            models.UniqueConstraint(fields=["cadence", "tick"], name="cycle_once_per_tick"),
            models.CheckConstraint(
                condition=Q(state="running", ended_at__isnull=True)
                | (Q(state="done") & Q(ended_at__isnull=False)),
                name="cycle_ended_iff_done",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cadence} {self.tick}"


class CycleStep(models.Model):
    """What one piece of a cycle found; written once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cycle = models.ForeignKey(Cycle, on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(max_length=80)
    result = models.JSONField(default=dict)
    error = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cycle", "name"], name="cyclestep_once")]

    def __str__(self) -> str:
        return self.name
