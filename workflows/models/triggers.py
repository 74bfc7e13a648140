"""What starts runs, or offers to: schedules with their ticks, watches with their suggestions."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from workflows.domain.ticks import Missed
from workflows.models.runs import Run


class Schedule(models.Model):
    """Starts a workflow at the times of a cron expression, in a time zone.

    ``next_at`` is the first tick that has not been decided. Beat sends a message at each tick; a
    sweep looks after ticks whose message never came.
    """

    class Overlap(models.TextChoices):
        ALLOW = "allow", "start beside it"
        SKIP = "skip", "leave this tick out"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey("access.Client", on_delete=models.PROTECT)
    name = models.CharField(max_length=80)
    workflow_name = models.CharField(max_length=64)
    inputs = models.JSONField(default=dict, blank=True)
    priority = models.CharField(max_length=8, blank=True, help_text="Empty: the workflow's own.")
    cron = models.CharField(max_length=120, help_text="Minute, hour, day, month, day of week.")
    time_zone = models.CharField(max_length=64, default="UTC")
    missed = models.CharField(
        max_length=8, choices=[(m.value, m.value) for m in Missed], default=Missed.LATEST.value,
        help_text="What happens with ticks that passed while nothing ran.",
    )  # fmt: skip
    grace_seconds = models.PositiveIntegerField(
        default=300, help_text="A tick later than this counts as missed."
    )
    overlap = models.CharField(
        max_length=8, choices=Overlap.choices, default=Overlap.ALLOW,
        help_text="While the run of an earlier tick is still open.",
    )  # fmt: skip
    is_paused = models.BooleanField(default=False)
    next_at = models.DateTimeField()
    revision = models.PositiveIntegerField(default=1, help_text="Counts changes, for If-Match.")
    runs_as = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT,
        help_text="Its runs are started with this person's rights at that time.",
    )  # fmt: skip
    # No name on the other side: it would hide that model's own ``schedule``, which beat reads.
    beat_task = models.OneToOneField(
        "django_celery_beat.PeriodicTask", null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "name"], name="schedule_name_once")
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(is_paused=False), name="schedule_due")
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleTick(models.Model):
    """One tick of one schedule, and what came of it. A doubled beat finds its row taken."""

    class State(models.TextChoices):
        DUE = "due", "decided, not started yet"
        STARTED = "started"
        MISSED = "missed"
        OVERLAPPED = "overlapped", "the run before was still open"
        REFUSED = "refused", "could not be started"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="ticks")
    at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL)
    error = models.JSONField(null=True, blank=True)
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["schedule", "at"], name="tick_once")]
        indexes = [
            models.Index(fields=["decided_at"], condition=Q(state="due"), name="tick_to_start")
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.at:%Y-%m-%d %H:%M}"


class Watch(models.Model):
    """A condition on what is monitored, and what it offers a person to start."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    client = models.ForeignKey(
        "access.Client", null=True, blank=True, on_delete=models.CASCADE,
        help_text="Watches this client only; empty: each of them.",
    )  # fmt: skip
    condition = models.JSONField(help_text="kind: measurement, overdue or arrival.")
    workflow_name = models.CharField(max_length=64)
    inputs = models.JSONField(
        default=dict, blank=True, help_text="With ${ value }, ${ artifact.id }, ${ client.name }."
    )
    every_seconds = models.PositiveIntegerField(default=300)
    cooldown_seconds = models.PositiveIntegerField(
        default=7 * 86400, help_text="Not offered again so long after it was answered."
    )
    is_active = models.BooleanField(default=True)
    is_shipped = models.BooleanField(default=False, help_text="Comes with the library.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    evaluated_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "watches"

    def __str__(self) -> str:
        return self.title


class Suggestion(models.Model):
    """What a watch offers a person to start, and what was made of it."""

    class State(models.TextChoices):
        OPEN = "open"
        STARTED = "started"
        DISMISSED = "dismissed"
        WITHDRAWN = "withdrawn", "its condition no longer holds"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    watch = models.ForeignKey(Watch, on_delete=models.CASCADE, related_name="suggestions")
    client = models.ForeignKey("access.Client", on_delete=models.PROTECT)
    key = models.CharField(max_length=200, blank=True, help_text="What it is about.")
    title = models.CharField(max_length=200)
    why = models.CharField(max_length=400)
    evidence = models.JSONField(default=dict)
    workflow_name = models.CharField(max_length=64)
    inputs = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    reason = models.CharField(max_length=500, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["watch", "client", "key"],
                condition=Q(state="open"),
                name="suggestion_one_open",
            )
        ]
        indexes = [models.Index(fields=["client", "state", "-id"], name="suggestion_by_client")]

    def __str__(self) -> str:
        return self.title
