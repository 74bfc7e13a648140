"""Learning in the admin: a reviewer decides here; rows themselves are changed by services only."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from config.access import callers
from config.errors import AppError
from learning import improvements, rollouts, trials
from learning.models import (
    Experiment,
    Feedback,
    Improvement,
    Rollout,
    Score,
    Tombstone,
    TrialPolicy,
)

TONES = {
    "approved": "success", "shipped": "success", "done": "success", "running": "info",
    "testing": "info", "rolling_out": "info", "proposed": "warning", "paused": "warning",
    "rejected": "danger", "refused": "danger", "rolled_back": "danger", "stopped": "danger",
}  # fmt: skip


class ReadOnly(ModelAdmin):
    """Rows that services own."""

    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        try:
            return callers.of_user(request.user).has("learning:decide")  # type: ignore[arg-type]
        except AppError:
            return False

    @display(description="state", ordering="state", label=TONES)
    def shown_state(self, row: Any) -> str:
        return str(row.state)


@admin.register(Improvement)
class ImprovementAdmin(ReadOnly):
    """Ranked proposals; approve or reject from the list or from the page of one."""

    list_display = ["title", "agent_slug", "kind", "priority", "risk", "shown_state", "created_at"]
    list_filter = ["state", "kind", "risk", "agent_slug"]
    search_fields = ["title", "agent_slug"]
    actions = ["approve_chosen"]
    actions_detail = ["approve_one", "reject_one"]

    @admin.action(description="Approve", permissions=["decide"])
    def approve_chosen(self, request: HttpRequest, rows: Any) -> None:
        for row in rows:
            self._decide(request, row.pk, improvements.approve, "")

    @action(description="Approve", permissions=["decide"])
    def approve_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, improvements.approve, "Approve")

    @action(description="Reject", permissions=["decide"])
    def reject_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._ask(request, object_id, improvements.reject, "Reject")

    def _ask(self, request: HttpRequest, object_id: str, decide: Any, word: str) -> HttpResponse:
        """A page that asks for the reason; the decision itself is a POST."""
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            self._decide(request, object_id, decide, form.cleaned_data["reason"])
            return redirect("admin:learning_improvement_change", object_id)
        context = {
            **self.admin_site.each_context(request), "title": f"{word} this improvement",
            "form": form, "word": word, "one": Improvement.objects.get(pk=object_id),
        }  # fmt: skip
        return TemplateResponse(request, "admin/learning/decide.html", context)

    def _decide(self, request: HttpRequest, object_id: Any, decide: Any, reason: str) -> None:
        try:
            caller = callers.of_user(request.user)  # type: ignore[arg-type]
            row = decide(caller=caller, improvement_id=object_id, reason=reason)
            messages.success(request, f"{row.title}: {row.get_state_display()}")
        except AppError as error:
            messages.error(request, str(error))


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 3})
    )


@admin.register(TrialPolicy)
class TrialPolicyAdmin(ModelAdmin):
    """How approved changes are tried. What can't be planned is refused before it is saved."""

    list_display = ["__str__", "is_enabled", "approves", "coverage_ratio", "strategy"]
    exclude = ["changed_by"]
    readonly_fields = ["created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs["form"] = PolicyForm
        return super().get_form(request, obj, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        obj.changed_by = caller.name[:80]
        super().save_model(request, obj, form, change)
        trials.note_policy(obj, caller)

    def _may(self, request: HttpRequest) -> bool:
        try:
            return callers.of_user(request.user).may_act_as("administrator")  # type: ignore[arg-type]
        except AppError:
            return False


class PolicyForm(forms.ModelForm):
    class Meta:
        model = TrialPolicy
        exclude: ClassVar[list[str]] = ["changed_by"]

    def clean(self) -> Any:
        given: dict[str, Any] = super().clean() or {}
        try:
            trials.check_policy(TrialPolicy(**given))
        except (AppError, ValueError) as error:
            raise forms.ValidationError(str(error)) from error
        return given


@admin.register(Feedback)
class FeedbackAdmin(ReadOnly):
    list_display = ["kind", "agent_slug", "rating", "text", "source", "created_at"]
    list_filter = ["kind", "source", "rating", "agent_slug"]
    search_fields = ["text", "subject_id"]


@admin.register(Score)
class ScoreAdmin(ReadOnly):
    list_display = ["name", "value", "agent_slug", "source", "source_version", "created_at"]
    list_filter = ["name", "source", "agent_slug"]


@admin.register(Experiment)
class ExperimentAdmin(ReadOnly):
    list_display = ["name", "agent_slug", "shown_state", "verdict", "headline", "started_at"]
    list_filter = ["state", "verdict", "agent_slug"]


@admin.register(Rollout)
class RolloutAdmin(ReadOnly):
    list_display = ["agent_slug", "strategy", "stage", "shown_state", "headline", "created_at"]
    list_filter = ["state", "strategy", "agent_slug"]
    actions = ["take_back"]

    @admin.action(description="Roll back", permissions=["decide"])
    def take_back(self, request: HttpRequest, rows: Any) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        for row in rows:
            try:
                rollouts.rollback(caller=caller, rollout_id=row.pk, reason="from the admin")
            except AppError as error:
                messages.error(request, str(error))


@admin.register(Tombstone)
class TombstoneAdmin(ReadOnly):
    list_display = ["agent_slug", "reason", "raised_by", "created_at", "lifted_at"]
    list_filter = ["agent_slug"]
    actions = ["lift"]

    @admin.action(description="Lift: allow another try", permissions=["decide"])
    def lift(self, request: HttpRequest, rows: Any) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        for row in rows:
            improvements.lift(caller=caller, tombstone_id=row.pk)
