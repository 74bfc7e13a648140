"""What an administrator allows: how approved changes are tried, and which are approved alone."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from learning.models.experiments import Rollout, Unit


def default_metrics() -> list[dict[str, Any]]:
    """Success decides; time and cost may not get a fifth worse."""
    return [
        {"key": "success", "role": "primary"},
        {"key": "seconds_per_call", "role": "guardrail", "margin": 0.2},
        {"key": "cost_usd_per_call", "role": "guardrail", "margin": 0.2},
    ]


class TrialPolicy(models.Model):
    """How approved improvements are tried on live traffic, for one agent or for all others."""

    class Approves(models.TextChoices):
        NOTHING = "nothing"
        LOW = "low", "low risk, replayed and not worse"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent_slug = models.CharField(
        max_length=64, blank=True, default="", unique=True, help_text="Empty: every other agent."
    )
    is_enabled = models.BooleanField(
        default=True, help_text="Approved changes start by themselves."
    )
    approves = models.CharField(
        max_length=8, choices=Approves.choices, default=Approves.NOTHING,
        help_text="What needs no person.",
    )  # fmt: skip
    most_approved_a_week = models.PositiveSmallIntegerField(default=3)
    unit = models.CharField(max_length=12, choices=Unit.choices, default=Unit.RUN)
    coverage_ratio = models.FloatField(
        default=0.4, validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="Share of all units in the experiment; half of it meets the change.",
    )  # fmt: skip
    metrics = models.JSONField(default=default_metrics)
    test = models.JSONField(default=dict, blank=True, help_text="Empty: sequential, tuned.")
    effect = models.FloatField(
        default=0.05, validators=[MinValueValidator(0.0001)],
        help_text="Smallest change of the primary metric worth finding, absolute.",
    )  # fmt: skip
    baseline = models.FloatField(
        default=0.9, help_text="The primary metric today, as believed; plans the size."
    )
    minimum_units = models.PositiveIntegerField(default=100, help_text="An arm.")
    minimum_days = models.FloatField(default=14, validators=[MinValueValidator(0)])
    maturity_hours = models.FloatField(
        default=0.0, db_default=0.0,
        validators=[MinValueValidator(0), MaxValueValidator(2160)],
        help_text="Age at which a unit counts, so that late feedback is in.",
    )  # fmt: skip
    most_size_ratio = models.FloatField(
        default=2.0, validators=[MinValueValidator(1)],
        help_text="Planned size at most, over that of a test for one look.",
    )  # fmt: skip
    strategy = models.CharField(
        max_length=10, choices=Rollout.Strategy.choices, default=Rollout.Strategy.GRADUAL
    )
    stages = models.JSONField(default=list, blank=True, help_text="For a custom strategy.")
    changed_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["agent_slug"]
        verbose_name_plural = "trial policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(coverage_ratio__gt=0, coverage_ratio__lte=1),
                name="trialpolicy_coverage_in_range",
            ),
            models.CheckConstraint(condition=Q(effect__gt=0), name="trialpolicy_effect_positive"),
        ]

    def __str__(self) -> str:
        return self.agent_slug or "every agent"


class AskingPolicy(models.Model):
    """Whether people who started a run are asked by e-mail how it was, and how often at most.

    The most particular one holds: of the workflow and client, of the workflow, of the client, of
    all others. Without any, nobody is asked.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow_name = models.CharField(
        "workflow", max_length=64, blank=True, default="", help_text="Empty: every other workflow."
    )
    client = models.ForeignKey(
        "access.Client", null=True, blank=True, on_delete=models.CASCADE,
        help_text="Empty: every other client.",
    )  # fmt: skip
    is_enabled = models.BooleanField(
        default=False, help_text="Off, nobody is asked, whatever wider policies say."
    )
    share_ratio = models.FloatField(
        default=1.0, validators=[MinValueValidator(0.01), MaxValueValidator(1)],
        help_text="Share of the runs that are asked about.",
    )  # fmt: skip
    after_hours = models.FloatField(
        default=1.0, validators=[MinValueValidator(0), MaxValueValidator(168)],
        help_text="After the run's end; whoever says something until then is not asked.",
    )  # fmt: skip
    most_a_week = models.PositiveSmallIntegerField(
        default=3, validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="Mails to one person in seven days.",
    )  # fmt: skip
    changed_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["workflow_name", "client"]
        verbose_name = "feedback mail policy"
        verbose_name_plural = "feedback mail policies"
        constraints = [
            models.UniqueConstraint(
                fields=["workflow_name", "client"], nulls_distinct=False, name="askingpolicy_once"
            ),
            models.CheckConstraint(
                condition=Q(share_ratio__gt=0, share_ratio__lte=1),
                name="askingpolicy_share_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_name or 'every other workflow'}, " + (
            str(self.client) if self.client_id else "every other client"
        )
