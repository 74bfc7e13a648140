"""Workflows and runs in the admin: to look things up. What changes them are the services."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from workflows.models import Approval, Artifact, Run, RunEvent, Signal, StepRun, Workflow
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


@admin.register(Run)
class RunAdmin(ReadOnly):
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
class StepRunAdmin(ReadOnly):
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


@admin.register(Approval)
class ApprovalAdmin(ReadOnly):
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


@admin.register(Signal)
class SignalAdmin(ReadOnly):
    list_display = ["name", "run", "sent_by", "taken_by_step", "created_at"]
    search_fields = ["=run__id", "name"]
    list_select_related = ["run", "sent_by"]
    ordering = ["-id"]
