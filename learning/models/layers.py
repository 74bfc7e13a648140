"""Who meets no two experiments of a kind, and who meets none at all."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Layer(models.Model):
    """A namespace of experiments: no unit is in two of those that are open in it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    unit = models.CharField(max_length=12, help_text="Of every experiment in it.")
    seed = models.CharField(max_length=64)
    note = models.TextField(blank=True, default="")
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Holdout(models.Model):
    """A share of units that no experiment meets while it is open; one is open at a time."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    share_ratio = models.FloatField()
    seed = models.CharField(max_length=64)
    reason = models.TextField(blank=True, default="")
    opened_by = models.CharField(max_length=80, blank=True, default="")
    opened_at = models.DateTimeField(db_default=Now())
    closed_by = models.CharField(max_length=80, blank=True, default="")
    closed_at = models.DateTimeField(null=True, blank=True)
    analysis = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="What it says, in words first."
    )
    analysed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["closed_at"], condition=Q(closed_at=None), name="holdout_one_open",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(share_ratio__gt=0, share_ratio__lte=0.5),
                name="holdout_share_in_range",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.share_ratio:.1%} held out"
