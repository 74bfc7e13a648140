"""Rules, alerts, incidents, silences, channels and what was sent through them, and actions."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from monitoring.domain.anomaly.severity import Severity
from monitoring.domain.metrics import fault_of_beside
from monitoring.domain.responses import faults_of
from monitoring.domain.rules import AlertState

SEVERITIES = [(s.value, s.value) for s in Severity]


class AlertRule(models.Model):
    """A condition on what is measured. An empty ``key`` stands for each key of the scope."""

    class Kind(models.TextChoices):
        THRESHOLD = "threshold"
        BASELINE = "baseline", "ratio to baseline"
        BURN_RATE = "burn_rate"
        ANOMALY = "anomaly"
        TOGETHER = "together", "several metrics unusual together"
        FORECAST = "forecast"
        NO_DATA = "no_data"
        HEARTBEAT = "heartbeat"

    class Statistic(models.TextChoices):
        TOTAL = "total"
        MEAN = "mean"
        P50 = "p50"
        P95 = "p95"
        P99 = "p99"
        MAXIMUM = "maximum"
        RATIO = "ratio", "share of the denominator"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=160)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    metric = models.CharField(max_length=40, blank=True)
    denominator = models.CharField(max_length=40, blank=True)
    beside = models.JSONField(
        default=list, blank=True,
        help_text='Together: further metrics, [{"metric": "cost_usd", "statistic": "total"}, …].',
    )  # fmt: skip
    statistic = models.CharField(max_length=8, choices=Statistic.choices, default=Statistic.TOTAL)
    scope = models.CharField(max_length=20, default="all")
    key = models.CharField(max_length=200, blank=True)
    above = models.BooleanField(default=True, help_text="Bad when above; otherwise when below.")
    limit = models.FloatField(help_text="Value, ratio to baseline, or burn factor.")
    clear = models.FloatField(null=True, blank=True, help_text="Well again at this; else at limit.")
    critical = models.FloatField(null=True, blank=True, help_text="Critical from here on.")
    target = models.FloatField(null=True, blank=True, help_text="Burn rate: share promised.")
    event_limit = models.FloatField(
        null=True, blank=True,
        help_text="Burn rate of single values: one beyond it is bad; else the objective's target.",
    )  # fmt: skip
    window_seconds = models.PositiveIntegerField(default=3600)
    short_window_seconds = models.PositiveIntegerField(default=300, help_text="Burn rate only.")
    baseline_seconds = models.PositiveIntegerField(default=7 * 86400)
    min_count = models.PositiveIntegerField(default=1, help_text="Fewer observations say nothing.")
    pending_seconds = models.PositiveIntegerField(default=0)
    resolve_seconds = models.PositiveIntegerField(default=120)
    every_seconds = models.PositiveIntegerField(default=15)
    severity = models.CharField(max_length=8, choices=SEVERITIES, default=Severity.MEDIUM.value)
    advice = models.CharField(max_length=400, blank=True)
    runbook = models.CharField(max_length=200, blank=True)
    responses = models.JSONField(
        default=list, blank=True, help_text='First response: [{"kind": "trip_breaker", …}].'
    )
    is_active = models.BooleanField(default=True)
    is_shipped = models.BooleanField(default=False, help_text="Kept up to date by the set-up.")
    objective = models.CharField(
        max_length=60, blank=True, default="", db_default="",
        help_text="Burn rate: the objective that is promised; what was set here stands.",
    )  # fmt: skip
    tuned = ArrayField(
        models.CharField(max_length=40), default=list, db_default=[], blank=True,
        help_text="What an operator set: the set-up leaves it as it is.",
    )  # fmt: skip
    evaluated_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        if self.kind == self.Kind.TOGETHER and (said := fault_of_beside(self.beside)):
            raise ValidationError({"beside": said})
        if faults := faults_of(self.responses, scope=self.scope):
            raise ValidationError({"responses": faults})


class Incident(models.Model):
    """Alerts with one cause."""

    class State(models.TextChoices):
        OPEN = "open"
        ACKNOWLEDGED = "acknowledged"
        RESOLVED = "resolved"
        MERGED = "merged"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cause = models.CharField(max_length=220)
    title = models.CharField(max_length=200)
    domain = models.CharField(max_length=40, blank=True)
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(db_default=Now())
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=120, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    escalation_level = models.PositiveSmallIntegerField(default=0)
    told_alerts = models.PositiveIntegerField(default=0, help_text="Alerts when last notified.")
    told_severity = models.CharField(max_length=8, blank=True)
    impact = models.JSONField(default=dict, help_text="users, runs, invocations, errors, usd.")
    summary = models.TextField(blank=True, help_text="Written after it was resolved.")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cause"],
                condition=Q(state__in=["open", "acknowledged"]),
                name="incident_one_open_per_cause",
            )
        ]
        indexes = [models.Index(fields=["state", "-id"], name="incident_state")]

    def __str__(self) -> str:
        return self.title


class IncidentEvent(models.Model):
    """One line of an incident's timeline."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField(db_default=Now())
    name = models.CharField(max_length=40)
    actor = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One period in which a rule's condition held for one key."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    incident = models.ForeignKey(
        Incident, null=True, blank=True, on_delete=models.SET_NULL, related_name="alerts"
    )
    scope = models.CharField(max_length=20)
    key = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=[(s.value, s.value) for s in AlertState])
    severity = models.CharField(max_length=8, choices=SEVERITIES)
    value = models.FloatField(null=True)
    baseline = models.FloatField(null=True)
    why = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, help_text="Last errors, or what cost most.")
    pending_since = models.DateTimeField()
    clear_since = models.DateTimeField(null=True)
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=120, blank=True)
    is_silenced = models.BooleanField(default=False)
    inhibited_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        db_index=False, help_text="The alert that it follows from; it is not told of itself.",
    )  # fmt: skip
    let_go_at = models.DateTimeField(
        null=True, help_text="Since when it follows from no other: only what came later is judged."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "key"], condition=~Q(state="resolved"), name="alert_one_open"
            )
        ]
        indexes = [
            models.Index(fields=["state", "-id"], name="alert_state"),
            models.Index(fields=["scope", "key", "-id"], name="alert_about"),
            models.Index(fields=["-resolved_at"], name="alert_resolved"),
            models.Index(  # also for the database, which looks here before it deletes an alert
                fields=["inhibited_by"],
                condition=Q(inhibited_by__isnull=False),
                name="alert_follows",
            ),
            models.Index(
                fields=["-let_go_at"], condition=Q(let_go_at__isnull=False), name="alert_let_go"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.key}".strip()


class Silence(models.Model):
    """A mute for what matches, for a time, with a reason. Empty fields match everything."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(AlertRule, null=True, blank=True, on_delete=models.CASCADE)
    scope = models.CharField(max_length=20, blank=True)
    key = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300)
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    created_by = models.CharField(max_length=120)

    def __str__(self) -> str:
        return self.reason


class Channel(models.Model):
    """Where notifications go: which domains, from which severity on, and when it is quiet."""

    class Kind(models.TextChoices):
        EMAIL = "email"
        SLACK = "slack"
        WEBHOOK = "webhook", "standard webhook"
        PAGER = "pager"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    address = models.CharField(max_length=500, help_text="E-mail address or URL.")
    secret = models.CharField(
        max_length=200, blank=True, help_text="Signing secret or routing key."
    )
    domains = models.JSONField(default=list, blank=True, help_text="Empty: all of them.")
    min_severity = models.CharField(max_length=8, choices=SEVERITIES, default=Severity.MEDIUM.value)
    quiet_from = models.TimeField(null=True, blank=True, help_text="UTC; critical comes through.")
    quiet_until = models.TimeField(null=True, blank=True)
    level = models.PositiveSmallIntegerField(
        default=0, help_text="0: told at once; n: told at the n-th escalation."
    )
    is_personal = models.BooleanField(
        default=False, help_text="One person's: told while on call by a rota, and of the end."
    )
    on_call_from = models.DateTimeField(null=True, blank=True, help_text="Only from then")
    on_call_until = models.DateTimeField(null=True, blank=True, help_text="and until then.")
    may_be_private = models.BooleanField(
        default=False, help_text="May lead to an address inside this network."
    )
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One notification through one channel, with every try."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="deliveries")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="deliveries")
    name = models.CharField(max_length=20, help_text="opened, updated, escalated, …")
    body = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="delivery_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.name} by {self.channel}"


class Action(models.Model):
    """What an incident asks an owner to do; the owner's sweep carries it out and reports."""

    class State(models.TextChoices):
        ASKED = "asked"
        TAKEN = "taken"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="actions")
    kind = models.CharField(max_length=40, help_text="pause_agent, trip_breaker, roll_back, …")
    target = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict)
    undoes = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    state = models.CharField(max_length=8, choices=State.choices, default=State.ASKED)
    asked_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    result = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "kind", "target"],
                condition=Q(undoes=None),
                name="action_once_per_incident",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"
