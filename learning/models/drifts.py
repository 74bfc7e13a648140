"""What each window of an agent's figures said beside its reference."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class DriftWindow(models.Model):
    """One comparison. ``drifted`` is NULL when there were too few rows to say."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent_slug = models.CharField(max_length=64)
    version_id = models.UUIDField()
    version_number = models.PositiveIntegerField()
    metric = models.CharField(max_length=80)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    reference_start = models.DateTimeField()
    test = models.CharField(max_length=24)
    p_value = models.FloatField(null=True)
    effect = models.FloatField(default=0.0)
    effect_name = models.CharField(max_length=16, default="")
    reference_rows = models.PositiveIntegerField(default=0)
    current_rows = models.PositiveIntegerField(default=0)
    reference_mean = models.FloatField(null=True)
    current_mean = models.FloatField(null=True)
    drifted = models.BooleanField(null=True)
    streak = models.PositiveSmallIntegerField(default=0, help_text="Drifted windows in a row.")
    is_confirmed = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-window_end", "agent_slug", "metric"]
        constraints = [
            models.UniqueConstraint(
                fields=["version_id", "metric", "window_end"], name="driftwindow_once"
            ),
            models.CheckConstraint(
                condition=Q(window_start__lt=models.F("window_end")), name="driftwindow_in_order"
            ),
        ]
        indexes = [models.Index(fields=["agent_slug", "-window_end"], name="driftwindow_agent")]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.metric} {self.window_end:%Y-%m-%d}"
