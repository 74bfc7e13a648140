"""Traces of agents that run elsewhere, as they were sent here."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class ExternalTrace(models.Model):
    """One trace of one client: gathered while its spans come in, then kept or dropped whole."""

    class State(models.TextChoices):
        GATHERING = "gathering"
        KEPT = "kept"
        DROPPED = "dropped", "counted, and not kept"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    trace_id = models.CharField(max_length=32)
    agent = models.CharField(max_length=80, blank=True, default="")
    state = models.CharField(max_length=9, choices=State.choices, default=State.GATHERING)
    asked: ArrayField[list[str], list[str]] = ArrayField(
        models.CharField(max_length=80), default=list, db_default=[],
        help_text="The endpoints and models that it asked, as figures call them.",
    )  # fmt: skip
    is_error = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    arrived_at = models.DateTimeField(db_default=Now(), help_text="Its last spans.")
    weight = models.FloatField(default=1.0, help_text="How many traces this one stands for.")
    spans = models.JSONField(default=dict, help_text="By span id; ids alone once dropped.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client_id", "trace_id"], name="externaltrace_once")
        ]
        indexes = [
            models.Index(
                fields=["arrived_at"], condition=Q(state="gathering"), name="externaltrace_open"
            ),
            models.Index(fields=["agent", "-id"], name="externaltrace_agent"),
            GinIndex(fields=["asked"], name="externaltrace_asked"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.trace_id}"
