"""Judges: whom they preferred, and how far they agree with people."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from config.access.ids import uuid7


class Judge(models.Model):
    """One version of a judge of one score, as measured last. Only an admitted one may decide."""

    class State(models.TextChoices):
        BARRED = "barred", "may not decide"
        ADMITTED = "admitted", "may decide"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, help_text="The score that it gives.")
    version = models.CharField(max_length=60, help_text="The source_version of its scores.")
    criterion = models.TextField(
        blank=True, default="", help_text="Of a judge that Ratchet asks: what is good."
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.BARRED)
    faults = models.JSONField(default=list, help_text="What bars it, in words.")
    measured = models.JSONField(default=dict, help_text="Kappa, length and position bias.")
    measured_at = models.DateTimeField(null=True, blank=True)
    asked = models.JSONField(
        default=dict, help_text="Of one that Ratchet asks: the labels and corrections it gets."
    )
    cap_usd = models.DecimalField(
        max_digits=20, decimal_places=9, default=0, help_text="What asking it may cost in all."
    )
    worked_at = models.DateTimeField(
        null=True, blank=True, help_text="The last sign of life; none: there is nothing to ask."
    )
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name", "version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="judge_version_once"),
            models.CheckConstraint(
                condition=~Q(state="admitted") | Q(measured_at__isnull=False),
                name="judge_admitted_iff_measured",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} by {self.version}"


class Preference(models.Model):
    """Which of two answers a judge preferred, in the order in which it was shown them."""

    class Place(models.TextChoices):
        FIRST = "first"
        SECOND = "second"
        TIE = "tie"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    name = models.CharField(max_length=60)
    source_version = models.CharField(max_length=60)
    first_id = models.UUIDField(help_text="The invocation that was shown first.")
    second_id = models.UUIDField()
    preferred = models.CharField(max_length=6, choices=Place.choices)
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "source_version", "first_id", "second_id"],
                name="preference_order_once",
            ),
            models.CheckConstraint(condition=~Q(first_id=F("second_id")), name="preference_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.preferred}"
