"""Caps on spending, and what is reserved of them while a call runs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.models.records import MONEY
from config.access.ids import uuid7


class Budget(models.Model):
    """A cap in USD for one scope and window. ``spent + held`` never exceeds ``cap``.

    ``key`` "*" is a template: the first call of a new run, agent, user or client copies it.
    """

    class Scope(models.TextChoices):
        RUN = "run"
        AGENT = "agent"
        USER = "user"
        CLIENT = "client"
        ALL = "all"

    class Window(models.TextChoices):
        TOTAL = "total"
        DAY = "day"
        MONTH = "month"

    TEMPLATE = "*"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField(null=True, blank=True)
    scope = models.CharField(max_length=8, choices=Scope.choices)
    key = models.CharField(max_length=64, help_text="Id of the run, agent, user or client.")
    window = models.CharField(max_length=8, choices=Window.choices)
    cap_usd = models.DecimalField(**MONEY)
    soft_cap_usd = models.DecimalField(
        **MONEY, null=True, blank=True, help_text="Above it, calls use the lightest model."
    )
    spent_usd = models.DecimalField(**MONEY, default=0)
    held_usd = models.DecimalField(**MONEY, default=0)
    window_started_at = models.DateTimeField(db_default=Now())
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["scope", "key", "window"]
        constraints = [
            models.UniqueConstraint(
                fields=["scope", "key", "window"], name="budget_once_per_scope_window"
            ),
            models.CheckConstraint(condition=Q(cap_usd__gte=0), name="budget_cap_not_negative"),
            models.CheckConstraint(condition=Q(held_usd__gte=0), name="budget_held_not_negative"),
            models.CheckConstraint(
                condition=Q(soft_cap_usd=None) | Q(soft_cap_usd__lte=F("cap_usd")),
                name="budget_soft_below_hard",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key} per {self.window}"

    @property
    def window_now(self) -> datetime:
        """When the window began that is open now; the row says so from its first call on."""
        now = timezone.now().astimezone(UTC)
        begins = {
            self.Window.DAY: now.replace(hour=0, minute=0, second=0, microsecond=0),
            self.Window.MONTH: now.replace(day=1, hour=0, minute=0, second=0, microsecond=0),
        }.get(self.Window(self.window), self.window_started_at)
        return max(self.window_started_at, begins)

    @property
    def spent_now_usd(self) -> Decimal:
        """What is spent in that window: nothing before its first call."""
        return self.spent_usd if self.window_now == self.window_started_at else Decimal(0)


class Hold(models.Model):
    """What one running call has reserved; it goes when the call is settled or has died."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    invocation_id = models.UUIDField()
    budget_ids = ArrayField(models.UUIDField())
    amount_usd = models.DecimalField(**MONEY)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="hold_expiry")]
        constraints = [
            models.CheckConstraint(condition=Q(amount_usd__gte=0), name="hold_not_negative")
        ]

    def __str__(self) -> str:
        return f"{self.amount_usd} USD for {self.invocation_id}"
