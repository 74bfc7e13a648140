"""Comparisons on live traffic: experiments with their variants, rollouts with their stages.

An agent has one open comparison at a time, because it has one open traffic split.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from learning.domain.decisions import ADVICE, WAITING
from learning.models.improvements import Improvement
from learning.models.layers import Layer

# How the reason of one begins whose winner no machine may bring to everybody.
WAITS = "It waits for a person"


class Unit(models.TextChoices):
    """What is assigned, and what is analysed."""

    RUN = "run"
    USER = "user"
    CLIENT = "client"
    CONVERSATION = "conversation"


class Experiment(models.Model):
    """Two or more versions of one agent or one workflow, side by side.

    Test, plan, layer and gates are fixed at the start.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        STOPPED = "stopped", "stopped by a person"
        CONCLUDED = "concluded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64, blank=True, default="")
    workflow_name = models.CharField(
        max_length=64, blank=True, default="", help_text="In the place of an agent."
    )
    name = models.CharField(max_length=120)
    hypothesis = models.TextField(blank=True, default="")
    unit = models.CharField(max_length=12, choices=Unit.choices, default=Unit.RUN)
    seed = models.CharField(max_length=64)
    coverage_ratio = models.FloatField(default=1.0, help_text="Share of all units in any arm.")
    layer = models.ForeignKey(Layer, null=True, blank=True, on_delete=models.PROTECT)
    layer_share_ratio = models.FloatField(
        null=True, blank=True, help_text="Share of the layer that it takes."
    )
    gates = models.JSONField(
        default=list, blank=True, help_text="kind, seed, ranges: whom it may meet at all."
    )
    is_aa = models.BooleanField(default=False, help_text="All arms are one version.")
    metrics = models.JSONField(default=list)
    test = models.JSONField(default=dict)
    plan = models.JSONField(default=dict)
    maturity_hours = models.FloatField(default=0.0, help_text="Age at which a unit counts.")
    autoconclude = models.BooleanField(default=False)
    batch_hours = models.FloatField(
        default=24.0, help_text="Of a bandit: between two looks that move its shares."
    )
    batches = models.JSONField(
        default=list, blank=True,
        help_text="Each change of shares: began_at, ranges, shares; and the arms that it stopped.",
    )  # fmt: skip
    rollout_plan = models.JSONField(
        default=dict, blank=True, help_text="strategy and stages of the rollout of a winner."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    state_by = models.CharField(max_length=80, blank=True, default="")
    state_reason = models.CharField(max_length=500, blank=True, default="")
    improvement = models.ForeignKey(
        Improvement, null=True, blank=True, on_delete=models.SET_NULL, related_name="experiments"
    )
    verdict = models.CharField(max_length=12, blank=True, default="")
    headline = models.CharField(max_length=500, blank=True, default="")
    analysis = models.JSONField(default=dict, help_text="The latest verdict document.")
    analysed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    is_past_mismatch = models.BooleanField(
        default=False, db_default=False,
        help_text="A person went on with it in spite of its sample ratio mismatch.",
    )  # fmt: skip
    paused_at = models.DateTimeField(null=True, blank=True, help_text="While it is paused.")
    paused_seconds = models.FloatField(
        default=0.0, db_default=0.0, help_text="Of its pauses that are over: no days of it."
    )
    read_until = models.DateTimeField(
        null=True, blank=True,
        help_text="Of a test for one look, its declared end: units after it don't count.",
    )  # fmt: skip
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug"],
                condition=Q(state__in=["running", "paused"]) & ~Q(agent_slug=""),
                name="experiment_one_open_per_agent",
            ),
            models.UniqueConstraint(
                fields=["workflow_name"],
                condition=Q(state__in=["running", "paused"]) & ~Q(workflow_name=""),
                name="experiment_one_open_per_workflow",
            ),
            models.CheckConstraint(
                condition=Q(agent_slug="") ^ Q(workflow_name=""), name="experiment_of_one_thing"
            ),
            models.CheckConstraint(
                condition=Q(coverage_ratio__gt=0, coverage_ratio__lte=1),
                name="experiment_coverage_in_range",
            ),
            models.CheckConstraint(
                condition=Q(state="draft", started_at=None)
                | (~Q(state="draft") & Q(started_at__isnull=False)),
                name="experiment_started_iff_not_draft",
            ),
        ]
        # The list of all, the newest first, by what it can be narrowed to.
        indexes = [
            models.Index(fields=["client_id", "-id"], name="experiment_client"),
            models.Index(fields=["agent_slug", "-id"], name="experiment_agent"),
            models.Index(fields=["state", "-id"], name="experiment_state"),
            models.Index(fields=["verdict", "-id"], name="experiment_verdict"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def said(self) -> str:
        """Where it stands in words, also before its first look; once it is over, how it ended."""
        return self.said_without(str(self.analysis.get("frozen", "")) if self.analysis else "")

    def said_without(self, passed: str) -> str:
        """The same where its analysis was not read: ``passed`` is what that says is ``frozen``."""
        if self.state == self.State.DRAFT:
            return "Not started yet."
        if not self.headline:
            return "Ended before its first look." if self.ended_at else "Not looked at yet."
        if not self.ended_at:
            return self.headline
        said = self.headline.removeprefix(passed).replace(ADVICE, "")
        if self.state != self.State.STOPPED:
            _, waits, why = self.state_reason.partition(WAITS)
            return f"{said} {waits}{why}" if waits else said
        said = WAITING.sub("", said)  # nobody waits for what was stopped
        return said[:1].upper() + said[1:]

    @property
    def outcome(self) -> str:
        """Its state, or of one that was concluded what came of it."""
        found = {"rollback": "rolled_back", "inconclusive": "unclear"}
        return found.get(self.verdict, self.state) if self.state == "concluded" else self.state

    @property
    def subject(self) -> str:
        """The agent or the workflow that is compared."""
        return self.agent_slug or self.workflow_name

    @property
    def called(self) -> str:
        """How others are told of it."""
        return f"the experiment {self.name!r} ({self.pk})"

    @property
    def subject_href(self) -> str:
        """Its page."""
        if self.agent_slug:
            return f"/dashboard/agents/{self.agent_slug}"
        return f"/dashboard/workflows/{self.workflow_name}"


class Variant(models.Model):
    """One arm: a version and its first bucket ranges; only a bandit's looks give it others."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    key = models.CharField(max_length=40)
    version_id = models.UUIDField()
    version_number = models.PositiveIntegerField()
    agent_versions = models.JSONField(
        default=dict, blank=True, help_text="Agent → version id, in an arm of a workflow."
    )
    weight = models.FloatField(default=1.0)
    is_control = models.BooleanField(default=False)
    ranges = models.JSONField(default=list, help_text="[[start, end)] in 10,000 buckets.")

    class Meta:
        ordering = ["experiment", "-is_control", "id"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key"], name="variant_key_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(is_control=True), name="variant_one_control"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Rollout(models.Model):
    """Staged adoption of one version, each stage beside a control of the same time."""

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        ROLLED_BACK = "rolled_back"

    class Strategy(models.TextChoices):
        IMMEDIATE = "immediate"
        GRADUAL = "gradual"
        CANARY = "canary"
        CUSTOM = "custom"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client_id = models.UUIDField()
    agent_slug = models.CharField(max_length=64)
    from_version_id = models.UUIDField()
    to_version_id = models.UUIDField()
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.GRADUAL)
    stages = models.JSONField(default=list, help_text="share, minimum_hours, minimum_units, gate.")
    stage = models.PositiveSmallIntegerField(default=0, help_text="Index into stages.")
    unit = models.CharField(max_length=12, choices=Unit.choices, default=Unit.RUN)
    seed = models.CharField(max_length=64)
    metrics = models.JSONField(default=list)
    test = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    state_by = models.CharField(max_length=80, blank=True, default="")
    state_reason = models.CharField(max_length=500, blank=True, default="")
    improvement = models.ForeignKey(
        Improvement, null=True, blank=True, on_delete=models.SET_NULL, related_name="rollouts"
    )
    experiment = models.ForeignKey(
        Experiment, null=True, blank=True, on_delete=models.SET_NULL, related_name="rollouts"
    )
    verdict = models.CharField(max_length=12, blank=True, default="")
    headline = models.CharField(max_length=500, blank=True, default="")
    analysis = models.JSONField(default=dict)
    analysed_at = models.DateTimeField(null=True, blank=True)
    stage_started_at = models.DateTimeField(db_default=Now())
    is_drill = models.BooleanField(
        default=False, help_text="Of an agent of its own, to be taken back."
    )
    postcheck = models.JSONField(
        default=dict, blank=True, help_text="What was forecast, what was measured."
    )
    breached_at = models.DateTimeField(null=True, blank=True)
    last_exposure_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=80, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent_slug"],
                condition=Q(state__in=["running", "paused"]),
                name="rollout_one_open_per_agent",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["running", "paused"], ended_at=None)
                | (Q(state__in=["done", "rolled_back"]) & Q(ended_at__isnull=False)),
                name="rollout_ended_iff_final",
            ),
        ]
        # The list of all, the newest first, by what it can be narrowed to.
        indexes = [
            models.Index(fields=["client_id", "-id"], name="rollout_client"),
            models.Index(fields=["agent_slug", "-id"], name="rollout_agent"),
            models.Index(fields=["state", "-id"], name="rollout_state"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_slug} at stage {self.stage + 1}"


class ArmDay(models.Model):
    """Sufficient statistics of one arm on one day: units by the day that they first met it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner_id = models.UUIDField(help_text="The experiment or rollout.")
    client_id = models.UUIDField()
    stage = models.CharField(max_length=20, default="all")
    arm = models.CharField(max_length=40)
    day = models.DateField()
    units = models.PositiveIntegerField()
    statistics = models.JSONField(default=dict, help_text="Metric → sums.")
    folded_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["owner_id", "stage", "day", "arm"]
        constraints = [
            models.UniqueConstraint(fields=["owner_id", "stage", "arm", "day"], name="armday_once")
        ]

    def __str__(self) -> str:
        return f"{self.arm} {self.day}: {self.units}"


class StageSums(models.Model):
    """What a stage's units came to when all of it had ended before a moment.

    No sweep adds that up again: it adds what has come since.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner_id = models.UUIDField(help_text="The experiment or rollout.")
    stage = models.CharField(max_length=20)
    digest = models.CharField(max_length=64, help_text="Of what was added up, and how.")
    recorded_before = models.DateTimeField(help_text="Of calls, feedback and scores.")
    made_at = models.DateTimeField(help_text="When all of it was last added up.", db_default=Now())
    came_before = models.DateTimeField(help_text="Of units: when their first call began.")
    incidents = models.JSONField(default=list, help_text="[since, until) of those by then.")
    cells = models.JSONField(default=list, help_text="stage, arm, day, units, statistics.")
    caps = models.JSONField(null=True, help_text="Metric: what a percentile caps a unit at.")
    made_of = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="Units when all of it was last added up."
    )
    number = models.PositiveIntegerField(default=1, help_text="Of its writes.")

    class Meta:
        ordering = ["owner_id", "stage"]
        constraints = [models.UniqueConstraint(fields=["owner_id", "stage"], name="stagesums_once")]

    def __str__(self) -> str:
        return f"{self.stage} before {self.recorded_before}"
