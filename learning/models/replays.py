"""Replays: two versions answer the same recorded questions, beside live traffic."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from learning.models.judges import Judge


class Replay(models.Model):
    """One comparison of a candidate with a baseline on recorded questions."""

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        STOPPED = "stopped", "out of money"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField(help_text="Who pays.")
    agent_slug = models.CharField(max_length=64)
    baseline_id = models.UUIDField()
    candidate_id = models.UUIDField()
    improvement_id = models.UUIDField(null=True, blank=True)
    judge = models.ForeignKey(
        Judge, null=True, blank=True, on_delete=models.SET_NULL,
        help_text="Who grades the answers beside the code.",
    )  # fmt: skip
    most_recorded = models.PositiveIntegerField(default=30)
    cap_usd = models.DecimalField(max_digits=20, decimal_places=9)
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    verdict = models.CharField(max_length=12, blank=True, default="")
    result = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    worked_at = models.DateTimeField(db_default=Now(), help_text="Last sign of life.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="running", ended_at__isnull=True)
                | (~Q(state="running") & Q(ended_at__isnull=False)),
                name="replay_ended_iff_final",
            ),
            models.CheckConstraint(condition=Q(cap_usd__gt=0), name="replay_cap_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} {self.verdict or self.state}"


class ReplayCase(models.Model):
    """One question of a replay: both answers' scores from 0 to 1, or none of either."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    replay = models.ForeignKey(Replay, on_delete=models.CASCADE, related_name="cases")
    key = models.CharField(max_length=64)
    source = models.CharField(max_length=12)
    client_id = models.UUIDField()
    recorded_id = models.UUIDField(null=True, help_text="The invocation it was taken from.")
    baseline_score = models.FloatField(null=True)
    candidate_score = models.FloatField(null=True)
    cluster = models.CharField(
        max_length=36, blank=True, default="",
        help_text="The run that it belongs to; cases of one run hang together.",
    )  # fmt: skip
    answers = models.JSONField(
        default=list, help_text="On the way through a run: step, baseline's and candidate's score."
    )
    baseline_judged = models.FloatField(null=True, help_text="By the replay's judge, 0 to 1.")
    candidate_judged = models.FloatField(null=True)
    baseline_missing = models.JSONField(default=list)
    candidate_missing = models.JSONField(default=list)
    note = models.CharField(
        max_length=200, blank=True, default="",
        help_text="Why the run of a recorded call was not walked, or nothing compared.",
    )  # fmt: skip
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["replay", "key"], name="replaycase_once"),
            models.CheckConstraint(
                condition=Q(baseline_score__range=(0, 1)) & Q(candidate_score__range=(0, 1)),
                name="replaycase_scores_in_range",
            ),
            models.CheckConstraint(
                condition=Q(baseline_score=None, candidate_score=None)
                | Q(baseline_score__isnull=False, candidate_score__isnull=False),
                name="replaycase_both_scores_or_none",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.key[:12]}"


class Study(models.Model):
    """One search for a better prompt: goals, what was tried, what it cost."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField(help_text="Who pays.")
    agent_slug = models.CharField(max_length=64)
    version_id = models.UUIDField()
    goals = models.JSONField(default=list)
    cap_usd = models.DecimalField(max_digits=20, decimal_places=9)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    document = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.agent_slug} for {', '.join(self.goals)}"
