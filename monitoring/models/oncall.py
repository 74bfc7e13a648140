"""Who is on call when: rotas, their people in order, and the days on which somebody stands in."""

from __future__ import annotations

from datetime import time

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.oncall import is_time_zone
from monitoring.models.alerts import SEVERITIES, Channel

MOST_SHIFT_DAYS = 56


def known_time_zone(name: str) -> None:
    """Raises ValidationError for a name that no time zone has."""
    if not is_time_zone(name):
        raise ValidationError(f"{name!r} is no time zone; such as Europe/Berlin")


class Rota(models.Model):
    """People who take turns in being told first; who does not answer is followed by the next."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80, unique=True)
    domains = models.JSONField(default=list, blank=True, help_text="Empty: what no other covers.")
    min_severity = models.CharField(max_length=8, choices=SEVERITIES, default=Severity.HIGH.value)
    first_day = models.DateField(help_text="The first person's first day.")
    hand_over_at = models.TimeField(default=time(9), help_text="Local time of every hand-over.")
    time_zone = models.CharField(max_length=40, default="UTC", validators=[known_time_zone])
    shift_days = models.PositiveSmallIntegerField(
        default=7, validators=[MinValueValidator(1), MaxValueValidator(MOST_SHIFT_DAYS)]
    )
    on_call = models.ForeignKey(
        Channel, null=True, blank=True, editable=False, on_delete=models.SET_NULL,
        related_name="+", help_text="Who was on call when the watch last looked.",
    )  # fmt: skip
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(shift_days__gte=1, shift_days__lte=MOST_SHIFT_DAYS),
                name="rota_shift_days",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RotaPlace(models.Model):
    """One person's place in the order of a rota."""

    rota = models.ForeignKey(Rota, on_delete=models.CASCADE, related_name="places")
    position = models.PositiveSmallIntegerField()
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="places")

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["rota", "position"], name="rotaplace_one_a_position"),
            models.UniqueConstraint(fields=["rota", "channel"], name="rotaplace_once_a_rota"),
        ]

    def __str__(self) -> str:
        return f"{self.position}: {self.channel}"


class RotaOverride(models.Model):
    """Somebody stands in for whoever would be on call; the one that was made last wins."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rota = models.ForeignKey(Rota, on_delete=models.CASCADE, related_name="overrides")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="overrides")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=160, blank=True)
    created_by = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="rotaoverride_ends_after_start"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} from {self.starts_at} to {self.ends_at}"
