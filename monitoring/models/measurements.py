"""Raw measurements by month, and the windows they are folded into."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7


class Measurement(models.Model):
    """Several numbers that were taken at once, with the same labels. Partitioned by month."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now(), help_text="When it happened; rows may come late.")
    labels = models.JSONField(default=dict)
    names = ArrayField(models.CharField(max_length=40))
    numbers = ArrayField(models.FloatField())

    class Meta:
        indexes = [models.Index(fields=["at"], name="measurement_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.names}"


class Rollup(models.Model):
    """All metrics of one scope and key in one window: a minute, an hour or a day."""

    class Grain(models.TextChoices):
        MINUTE = "m"
        HOUR = "h"
        DAY = "d"

    grain = models.CharField(max_length=1, choices=Grain.choices)
    start = models.DateTimeField()
    scope = models.CharField(max_length=20)
    key = models.CharField(max_length=200, blank=True)
    stats = models.JSONField(help_text="Metric to [count, total, sketch].")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["grain", "scope", "key", "start"], name="rollup_once_per_window"
            )
        ]
        indexes = [
            models.Index(fields=["grain", "start"], name="rollup_window"),
            models.Index(fields=["grain", "scope", "start"], name="rollup_scope"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.start} {self.scope} {self.key}"


class RollupWindow(models.Model):
    """What is known of one window: how many rows went in, and whether it must be made anew."""

    grain = models.CharField(max_length=1, choices=Rollup.Grain.choices)
    start = models.DateTimeField()
    source_rows = models.PositiveIntegerField(default=0)
    is_dirty = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["grain", "start"], name="rollupwindow_once")]

    def __str__(self) -> str:
        return f"{self.grain} {self.start}"


class RollupMark(models.Model):
    """Up to when arrivals have been folded. One row."""

    name = models.CharField(primary_key=True, max_length=40)
    through = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.through}"


class MetricTotal(models.Model):
    """All that ever was of one metric, up to a day: what makes Prometheus' counters only grow."""

    scope = models.CharField(max_length=20)
    key = models.CharField(max_length=200, blank=True)
    metric = models.CharField(max_length=40)
    count = models.BigIntegerField()
    total = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "key", "metric"], name="metrictotal_once")
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key} {self.metric}"
