"""The tables of the engine. A row is the truth; a message only points at it.

Definitions are immutable versions; a run keeps its own. ``StepRun`` has one row per step, item of
a fan-out and iteration of a repeat. Rows are moved by the statements in ``workflows.statements``.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.access.ids import uuid7
from workflows.domain.transitions import RunState, StepState
from workflows.models.definitions import WorkflowVersion


def _choices(states: type[RunState] | type[StepState]) -> list[tuple[str, str]]:
    return [(state.value, state.value) for state in states]


class Run(models.Model):
    """One run of a workflow version, for one client."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.ForeignKey("access.Client", on_delete=models.PROTECT)
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT)
    workflow_name = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=_choices(RunState), default=RunState.RUNNING)
    priority = models.CharField(max_length=8, default="default")
    inputs = models.JSONField(default=dict)
    outputs = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    inputs_digest = models.CharField(max_length=64)
    # NULL, not "": a unique constraint lets many rows have none.
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL
    )
    parent_step_id = models.UUIDField(null=True, blank=True, help_text="Step that contains it.")
    family_id = models.UUIDField(
        null=True,
        blank=True,
        help_text="The first of the runs inside one another and of their forks.",
    )
    # In the row, so that lists need no walk up to know what hides a run.
    within = ArrayField(
        models.UUIDField(), default=list, blank=True,
        help_text="Versions of the runs that it lies inside of, the outermost first.",
    )  # fmt: skip
    root_id = models.UUIDField(
        null=True, blank=True, help_text="The outermost of the runs that it lies inside of."
    )
    pins = models.JSONField(
        null=True, blank=True,
        help_text="Version by name of the workflows inside, as when the outermost run was started.",
    )  # fmt: skip
    split_epoch = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the workflow's split that it began under."
    )
    bucket = models.PositiveSmallIntegerField(null=True, blank=True)
    forked_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)
    concurrency_key = models.CharField(max_length=300, default="", blank=True)
    budget_usd = models.DecimalField(max_digits=20, decimal_places=9, null=True, blank=True)
    is_demo = models.BooleanField(default=False, help_text="Kept out of live figures.")
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)
    stopping_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it is cancelled or failing."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["client", "idempotency_key"], name="run_idempotency_once"
            ),
            models.UniqueConstraint(fields=["parent_step_id"], name="run_once_per_parent_step"),
            models.CheckConstraint(
                condition=Q(state__in=["succeeded", "failed", "cancelled"], ended_at__isnull=False)
                | (~Q(state__in=["succeeded", "failed", "cancelled"]) & Q(ended_at__isnull=True)),
                name="run_ended_iff_final",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "-id"], name="run_by_client"),
            models.Index(fields=["workflow_name", "-id"], name="run_by_workflow"),
            models.Index(
                fields=["workflow_name", "concurrency_key"],
                condition=~Q(state__in=["succeeded", "failed", "cancelled"]),
                name="run_open_by_key",
            ),
            models.Index(
                fields=["deadline_at"],
                condition=~Q(state__in=["succeeded", "failed", "cancelled"]),
                name="run_open_by_deadline",
            ),
            models.Index(
                fields=["-ended_at", "-id"], condition=Q(ended_at__isnull=False), name="run_ended"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_name} {str(self.id)[-6:]}"


class StepRun(models.Model):
    """One step of one run, for one item and iteration.

    ``needs_left`` counts what a join still needs, ``needs_open`` what may still come: at
    ``needs_left`` 0 it is ready, and once that exceeds ``needs_open`` it can never be. For the
    row of a fan-out both count its items (or chunks of them). ``wake_at`` is when a sweep looks
    at a row that is not running (of a queued one it also says when its message was sent, see
    `workflows.lost`); ``lease_until`` when it looks at one that is.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The unique constraint below begins with the run, so this needs no index of its own.
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps", db_index=False)
    key = models.CharField(max_length=80)
    kind = models.CharField(max_length=12)
    parent = models.ForeignKey(
        "self", null=True, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    item = models.IntegerField(default=-1, help_text="Position in a fan-out; -1 is none.")
    iteration = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=12, choices=_choices(StepState), default=StepState.PENDING)
    is_plain = models.BooleanField(default=True, help_text="Queued without evaluating anything.")
    is_light = models.BooleanField(default=False, help_text="A worker may go on with it.")
    is_repeatable = models.BooleanField(
        default=True, help_text="Whether a lost attempt may simply be made again."
    )
    queue = models.CharField(max_length=16, default="default")
    needs_left = models.IntegerField(default=0)
    needs_open = models.IntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    deliveries = models.PositiveSmallIntegerField(default=0, help_text="Claims never finished.")
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    wake_at = models.DateTimeField(null=True)
    value = models.JSONField(null=True, help_text="The item of a fan-out.")
    input = models.JSONField(null=True, help_text="What it was called with.")
    output = models.JSONField(null=True)
    error = models.JSONField(null=True)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    invocation_id = models.UUIDField(null=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "key", "item", "iteration"], name="steprun_once_per_item"
            ),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False, token__isnull=False)
                | (~Q(state="running") & Q(lease_until__isnull=True)),
                name="steprun_lease_iff_running",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lease_until"], condition=Q(lease_until__isnull=False), name="step_leases"
            ),
            models.Index(fields=["wake_at"], condition=Q(wake_at__isnull=False), name="step_wakes"),
            models.Index(
                fields=["run", "key", "item"],
                condition=Q(state="pending", item__gte=0),
                name="step_items_to_start",
            ),
            models.Index(fields=["parent"], condition=Q(parent__isnull=False), name="step_items"),
            models.Index(
                fields=["run", "id"],
                condition=Q(kind="compensate", state__in=["pending", "queued", "running"]),
                name="step_undoing",
            ),
            models.Index(fields=["run", "id"], condition=Q(attempt__gt=1), name="step_tried_again"),
            models.Index(fields=["run", "id"], condition=Q(iteration__gt=1), name="step_turned"),
            models.Index(fields=["ended_at"], condition=Q(state="failed"), name="step_failed"),
            models.Index(fields=["id"], condition=Q(state="dead"), name="step_dead"),
        ]

    def __str__(self) -> str:
        return self.key if self.item < 0 else f"{self.key}[{self.item}]"


class RunEvent(models.Model):
    """What happened in a run, append-only. ``transaction`` orders events by their commit."""

    id = models.BigAutoField(primary_key=True)
    run_id = models.UUIDField()
    step_id = models.UUIDField(null=True)
    key = models.CharField(max_length=80, default="")
    item = models.IntegerField(default=-1)
    attempt = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=40)
    detail = models.JSONField(null=True)
    actor = models.CharField(max_length=120, default="")
    at = models.DateTimeField(db_default=Now())
    transaction = models.BigIntegerField(
        db_default=models.expressions.RawSQL("pg_current_xact_id()::text::bigint", ())
    )

    class Meta:
        indexes = [
            models.Index(fields=["run_id", "transaction", "id"], name="runevent_in_order"),
            models.Index(
                fields=["-at", "-id"], condition=Q(name="run.retried"), name="runevent_retried"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Lane(models.Model):
    """How far scouts came through a queue: what was sent before ``passed_at`` was taken."""

    name = models.CharField(max_length=16, primary_key=True)
    asked_at = models.DateTimeField(help_text="When the latest scout was sent.")
    passed_at = models.DateTimeField(help_text="When the latest that arrived had been sent.")

    def __str__(self) -> str:
        return self.name
