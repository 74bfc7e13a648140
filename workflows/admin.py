"""Workflows and runs in the admin: to look things up. What changes them are the services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from config.access import callers
from config.errors import AppError
from workflows import rights, schedules, watches
from workflows.models import (
    Approval,
    ApprovalNotice,
    ApprovalWebhook,
    Artifact,
    Run,
    RunEvent,
    Schedule,
    ScheduleTick,
    Signal,
    StepRun,
    Suggestion,
    Watch,
    Workflow,
)
from workflows.models import WorkflowLabel as Label
from workflows.models import WorkflowVersion as Version

TONES = {
    "succeeded": "success", "approved": "success", "running": "info", "queued": "info",
    "waiting": "warning", "paused": "warning", "failing": "danger", "failed": "danger",
    "rejected": "danger", "dead": "danger",
}  # fmt: skip


class ReadOnly(ModelAdmin):
    """Rows that the engine owns: seen here, changed by it alone."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="state", ordering="state", label=TONES)
    def shown_state(self, row: Any) -> str:
        return str(row.state)


class OfRuns(ReadOnly):
    """Rows of runs: only of those that whoever looks may see anywhere else."""

    run = "run__"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        return rights.visible(caller, super().get_queryset(request), self.run)


@admin.register(Workflow)
class WorkflowAdmin(ReadOnly):
    list_display = ["title", "name", "is_shipped", "created_at"]
    search_fields = ["name", "title"]
    list_filter = ["is_shipped"]


@admin.register(Version)
class VersionAdmin(ReadOnly):
    list_display = ["__str__", "is_current", "deprecated_at", "published_by", "created_at"]
    list_filter = ["is_current"]
    search_fields = ["workflow__name"]
    list_select_related = ["workflow", "published_by"]


@admin.register(Label)
class LabelAdmin(ReadOnly):
    list_display = ["workflow", "name", "version", "moved_at"]
    list_select_related = ["workflow", "version__workflow"]


@admin.register(Run)
class RunAdmin(OfRuns):
    run = ""
    list_display = ["workflow_name", "shown_state", "client", "started_by", "created_at",
                    "ended_at", "page"]  # fmt: skip
    list_filter = ["state", "workflow_name", "is_demo"]
    search_fields = ["=id", "workflow_name"]
    list_select_related = ["client", "started_by"]
    ordering = ["-id"]

    @display(description="page")
    def page(self, run: Run) -> str:
        return format_html('<a href="/dashboard/runs/{}">Open</a>', run.pk)


@admin.register(StepRun)
class StepRunAdmin(OfRuns):
    list_display = ["key", "item", "kind", "shown_state", "attempt", "cost_usd", "started_at",
                    "ended_at", "page"]  # fmt: skip
    list_filter = ["state", "kind"]
    search_fields = ["=run__id", "=id", "key"]
    ordering = ["-id"]
    # The token fences a claim: nobody needs to read it.
    exclude = ["token"]

    @display(description="run")
    def page(self, step: StepRun) -> str:
        return format_html('<a href="/dashboard/runs/{}?step={}">Open</a>', step.run_id, step.pk)


@admin.register(RunEvent)
class RunEventAdmin(ReadOnly):
    list_display = ["name", "key", "item", "attempt", "actor", "at"]
    search_fields = ["=run_id", "=step_id"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RunEvent]:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        rows: QuerySet[RunEvent] = super().get_queryset(request)
        if caller.client_ids is None and rights.hidden_runs(caller) is None:
            return rows
        # An event names its run, which may have gone before it.
        return rows.filter(run_id__in=rights.visible(caller, Run.objects.all()).values("id"))


@admin.register(Approval)
class ApprovalAdmin(OfRuns):
    list_display = ["run", "level", "role", "shown_state", "decided_by", "decided_at",
                    "created_at", "page"]  # fmt: skip
    list_filter = ["state", "role"]
    list_select_related = ["run", "decided_by"]
    ordering = ["-id"]

    @display(description="page")
    def page(self, approval: Approval) -> str:
        return format_html('<a href="/dashboard/approvals/{}">Open</a>', approval.pk)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnly):
    list_display = ["name", "client", "content_type", "size", "created_by", "created_at"]
    search_fields = ["=id", "name", "=sha256"]
    list_select_related = ["client", "created_by"]
    exclude = ["file"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Artifact]:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        return super().get_queryset(request) & rights.visible_artifacts(caller)


@admin.register(Signal)
class SignalAdmin(OfRuns):
    list_display = ["name", "run", "sent_by", "taken_by_step", "created_at"]
    search_fields = ["=run__id", "name"]
    list_select_related = ["run", "sent_by"]
    ordering = ["-id"]


@admin.register(ApprovalNotice)
class ApprovalNoticeAdmin(OfRuns):
    run = "approval__run__"
    list_display = ["approval", "name", "user", "webhook", "shown_state", "tries", "sent_at",
                    "last_error"]  # fmt: skip
    list_filter = ["state", "name"]
    list_select_related = ["approval__run", "user", "webhook"]
    ordering = ["-id"]


@admin.register(ApprovalWebhook)
class ApprovalWebhookAdmin(ModelAdmin):
    """Addresses that hear of approvals: kept here."""

    list_display = ["name", "url", "client", "role", "is_active"]
    list_select_related = ["client"]


class Ticks(admin.TabularInline):
    model = ScheduleTick
    fields = ("at", "state", "run", "error", "decided_at")
    readonly_fields = fields
    ordering = ["-at"]
    max_num, extra, can_delete = 0, 0, False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduleTick]:
        rows: QuerySet[ScheduleTick] = super().get_queryset(request)
        return rows.filter(decided_at__gt=timezone.now() - timedelta(days=31))


@admin.register(Schedule)
class ScheduleAdmin(ReadOnly):
    """Looked up, paused and resumed here; made and changed on the dashboard or by the API."""

    list_display = ["name", "workflow_name", "client", "cron", "time_zone", "is_paused",
                    "next_at", "runs_as"]  # fmt: skip
    list_filter = ["is_paused", "workflow_name"]
    list_select_related = ["client", "runs_as"]
    search_fields = ["name", "workflow_name", "=id"]
    ordering = ["-id"]
    inlines = [Ticks]
    actions = ["pause", "resume"]

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        self._switch(request, rows, paused=True)

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        self._switch(request, rows, paused=False)

    def _switch(self, request: HttpRequest, rows: QuerySet[Schedule], *, paused: bool) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        for schedule in rows:
            try:
                schedules.change_schedule(caller, schedule.pk, {"is_paused": paused})
            except AppError as error:
                self.message_user(request, f"{schedule}: {error}", messages.ERROR)


@admin.register(Watch)
class WatchAdmin(ReadOnly):
    """Looked up here; made and changed by the API, which checks what they say."""

    list_display = ["title", "workflow_name", "client", "is_active", "evaluated_at", "last_error"]
    list_filter = ["is_active", "is_shipped"]
    list_select_related = ["client"]
    search_fields = ["slug", "title"]
    actions = ["switch_on", "switch_off"]

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, rows: QuerySet[Watch]) -> None:
        self._switch(request, rows, active=True)

    @admin.action(description="Switch off")
    def switch_off(self, request: HttpRequest, rows: QuerySet[Watch]) -> None:
        self._switch(request, rows, active=False)

    def _switch(self, request: HttpRequest, rows: QuerySet[Watch], *, active: bool) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        for watch in rows:
            try:
                watches.change_watch(caller, watch.pk, {"is_active": active})
            except AppError as error:
                self.message_user(request, f"{watch}: {error}", messages.ERROR)


@admin.register(Suggestion)
class SuggestionAdmin(ReadOnly):
    list_display = ["title", "client", "why", "shown_state", "decided_by", "created_at"]
    list_filter = ["state", "workflow_name"]
    list_select_related = ["client", "decided_by"]
    ordering = ["-id"]
