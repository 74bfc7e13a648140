"""Attacks and leaks that were stopped, and objectives."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from config.access.ids import uuid7
from monitoring.models.alerts import SEVERITIES


class SecurityEvent(models.Model):
    """An injection, personal data, a denied access, a misused key: what was seen and stopped."""

    class Kind(models.TextChoices):
        INJECTION = "injection"
        PERSONAL_DATA = "personal_data"
        SECRET = "secret"  # noqa: S105
        DENIED = "denied"
        KEY_MISUSE = "key_misuse"
        UNUSUAL = "unusual"
        AUDIT = "audit"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=16, choices=Kind.choices)
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    actor = models.CharField(max_length=120, blank=True)
    target = models.CharField(max_length=200, blank=True)
    client_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    address = models.GenericIPAddressField(null=True)
    detail = models.JSONField(default=dict, help_text="Scores and reasons; never the text itself.")

    class Meta:
        indexes = [
            models.Index(fields=["kind", "-id"], name="security_kind"),
            models.Index(fields=["client_id", "-id"], name="security_client"),
            models.Index(fields=["actor", "-id"], name="security_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.actor}"


class Objective(models.Model):
    """What was promised: a metric, how it is summed up, and the target."""

    slug = models.SlugField(primary_key=True, max_length=60)
    title = models.CharField(max_length=160)
    definition = models.CharField(max_length=300)
    metric = models.CharField(max_length=40)
    denominator = models.CharField(max_length=40, blank=True)
    statistic = models.CharField(max_length=12)
    target = models.FloatField()
    above = models.BooleanField(help_text="Met when at or above the target; otherwise below it.")
    window_seconds = models.PositiveIntegerField(default=28 * 86400)
    is_budgeted = models.BooleanField(default=False, help_text="Has an error budget.")
    is_active = models.BooleanField(default=True)
    tuned = ArrayField(
        models.CharField(max_length=40), default=list, db_default=[], blank=True,
        help_text="What an operator set: the set-up leaves it as it is.",
    )  # fmt: skip

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.title
