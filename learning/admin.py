"""Learning in the admin: a reviewer decides here; rows themselves are changed by services only."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.text import Truncator
from unfold.admin import ModelAdmin
from unfold.decorators import display

from config.access import callers
from config.access.asking_first import AsksFirst
from config.access.callers import Caller
from config.errors import AppError, NotFound
from config.readable import plural
from learning import (
    examples,
    feedback,
    finetuning,
    following_up,
    handoff,
    improvements,
    reviewing,
    rollouts,
    saying,
    trials,
)
from learning.models import (
    AskingPolicy,
    Example,
    Experiment,
    Feedback,
    Improvement,
    Rollout,
    Score,
    Tombstone,
    TrialPolicy,
    TuningJob,
)

# Characters of a text in a list; the whole stands on the row's own page.
MOST_SHOWN = 140
TONES = {
    "approved": "success", "shipped": "success", "done": "success", "running": "info",
    "testing": "info", "rolling_out": "info", "proposed": "warning", "paused": "warning",
    "rejected": "danger", "refused": "danger", "rolled_back": "danger", "stopped": "danger",
}  # fmt: skip


def _has(request: HttpRequest, scope: str) -> bool:
    """Whether who is signed in has a right, by role: what the API goes by too."""
    try:
        return callers.of_user(request.user).has(scope)  # type: ignore[arg-type]
    except AppError:
        return False


class ReadOnly(AsksFirst, ModelAdmin):
    """Rows that services own."""

    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Of the clients that whoever looks may see: what is chosen in a list is of these too."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return callers.of_user(request.user).only_visible(rows)  # type: ignore[arg-type]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has(request, "learning:read")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _has(request, "learning:read")

    def has_decide_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _has(request, "learning:decide")

    @display(description="state", ordering="state", label=TONES)
    def shown_state(self, row: Any) -> str:
        return str(row.state)


@admin.register(Improvement)
class ImprovementAdmin(ReadOnly):
    """Ranked proposals; the page of one shows all that its decision needs, and takes it."""

    list_display = ["title", "agent_slug", "kind", "ranked", "risk", "shown_state", "created_at"]
    list_filter = ["state", "kind", "risk", "agent_slug"]
    search_fields = ["title", "agent_slug"]
    actions = ["approve_chosen"]

    class Media:
        js = ("ratchet/review.js",)

    @display(description="Priority", ordering="priority")
    def ranked(self, row: Improvement) -> str:
        return f"{row.priority:.2f}"

    @admin.action(description="Approve", permissions=["decide"])
    def approve_chosen(self, request: HttpRequest, rows: Any) -> None:
        for row in rows:
            self._do(request, row.pk, "approve", "")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        """The review of one improvement; a POST decides, by the button that was pressed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        given = request.POST
        if request.method == "POST" and self.has_decide_permission(request):
            if self._do(request, object_id, given.get("do", ""), given.get("reason", ""),
                        given.get("prompt", "")):  # fmt: skip
                return redirect("admin:learning_improvement_change", object_id)
        try:
            doc = reviewing.dossier(self._caller(request), UUID(object_id))
        except (NotFound, ValueError):
            raise Http404(f"no improvement {object_id}") from None
        shown = doc["difference"] or {}
        context = {
            **self.admin_site.each_context(request), "title": doc["title"], "doc": doc,
            "lines": reviewing.lines_of(shown.get("prompt", [])),
            "evidence": reviewing.told(doc["evidence"]), "expected": handoff.said(doc["expected"]),
            "may_decide": self.has_decide_permission(request), "reason": given.get("reason", ""),
            "prompt": given.get("prompt") or shown.get("candidate_prompt", ""),
            "decide_url": request.path, "opts": self.opts,
        }  # fmt: skip
        return TemplateResponse(request, "admin/learning/review.html", context)

    def _do(
        self, request: HttpRequest, object_id: Any, what: str, reason: str, prompt: str = ""
    ) -> bool:
        """Carry out what a button says; False, with the reason shown, if it can't be."""
        try:
            row = reviewing.act(
                self._caller(request), UUID(str(object_id)), what, reason=reason, prompt=prompt
            )
        except AppError as error:
            messages.error(request, str(error))
            return False
        messages.success(request, f"{row.title}: {reviewing.DONE[what]}")
        return True

    def _caller(self, request: HttpRequest) -> Caller:
        return callers.of_user(request.user)  # type: ignore[arg-type]


@admin.register(TrialPolicy)
class TrialPolicyAdmin(ModelAdmin):
    """How approved changes are tried. What can't be planned is refused before it is saved."""

    list_display = ["__str__", "is_enabled", "approves", "coverage_ratio", "strategy"]
    exclude = ["changed_by"]
    readonly_fields = ["created_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without the time of creation in a new one: the database says when, on saving."""
        fields = super().get_fields(request, obj)
        return fields if obj is not None else [one for one in fields if one != "created_at"]

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
        self.note(obj, caller)

    def note(self, obj: Any, caller: Caller) -> None:
        trials.note_policy(obj, caller)

    def _may(self, request: HttpRequest) -> bool:
        try:
            return callers.of_user(request.user).may_act_as("administrator")  # type: ignore[arg-type]
        except AppError:
            return False


@admin.register(AskingPolicy)
class AskingPolicyAdmin(TrialPolicyAdmin):
    """Whether those who started runs are asked by mail how they were; nobody is without one."""

    list_display = ["__str__", "is_enabled", "share_ratio", "after_hours", "most_a_week"]

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs["form"] = AskingForm
        return ModelAdmin.get_form(self, request, obj, **kwargs)

    def _may(self, request: HttpRequest) -> bool:
        """A policy may be of all clients."""
        return super()._may(request) and callers.of_user(request.user).client_ids is None  # type: ignore[arg-type]

    def note(self, obj: Any, caller: Caller) -> None:
        following_up.note_policy(obj, caller)


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


class AskingForm(forms.ModelForm):
    class Meta:
        model = AskingPolicy
        exclude: ClassVar[list[str]] = ["changed_by"]

    def clean(self) -> Any:
        given: dict[str, Any] = super().clean() or {}
        try:
            following_up.check_policy(AskingPolicy(**given))
        except AppError as error:
            raise forms.ValidationError(str(error)) from error
        return given


class OfCalls(ReadOnly):
    """Rows about calls: those that whoever looks may see anywhere else."""

    def seen_by(self, caller: Caller) -> QuerySet[Any]:
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        seen = self.seen_by(callers.of_user(request.user))  # type: ignore[arg-type]
        return super().get_queryset(request).filter(pk__in=seen.order_by().values("pk"))


@admin.register(Feedback)
class FeedbackAdmin(OfCalls):
    list_display = ["kind", "agent_slug", "rating", "text", "source", "created_at"]
    list_filter = ["kind", "source", "rating", "agent_slug"]
    search_fields = ["text", "subject_id"]

    def seen_by(self, caller: Caller) -> QuerySet[Any]:
        return feedback.visible(caller)


@admin.register(Score)
class ScoreAdmin(OfCalls):
    list_display = ["name", "value", "agent_slug", "source", "source_version", "created_at"]
    list_filter = ["name", "source", "agent_slug"]

    def seen_by(self, caller: Caller) -> QuerySet[Any]:
        return feedback.visible_scores(caller)


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
    def take_back(self, request: HttpRequest, rows: Any) -> HttpResponse | None:
        return self.asked_first(
            request, rows, action="take_back", button="Roll back", follows=saying.of_going_back,
            do=lambda caller, row, reason: rollouts.rollback(
                caller=caller, rollout_id=row.pk, reason=reason),
        )  # fmt: skip


@admin.register(Example)
class ExampleAdmin(OfCalls):
    """The library of corrections; decide about many at once."""

    list_display = [
        "asked", "right", "agent_slug", "source", "masked", "shown_state", "created_at"
    ]  # fmt: skip
    list_filter = ["state", "source", "agent_slug"]
    search_fields = ["question", "answer", "reason"]
    actions = ["approve", "reject"]

    def seen_by(self, caller: Caller) -> QuerySet[Any]:
        return examples.visible(caller)

    @display(description="Question", ordering="question")
    def asked(self, row: Example) -> str:
        talk = f" (after {plural(len(row.before), 'turn')})" if row.before else ""
        return f"{Truncator(row.question).chars(MOST_SHOWN)}{talk}"

    @display(description="Right answer", ordering="answer")
    def right(self, row: Example) -> str:
        return Truncator(row.answer).chars(MOST_SHOWN)

    @admin.action(description="Approve", permissions=["decide"])
    def approve(self, request: HttpRequest, rows: Any) -> None:
        self._approve(request, rows)

    @admin.action(description="Reject", permissions=["decide"])
    def reject(self, request: HttpRequest, rows: Any) -> HttpResponse | None:
        def follows(row: Example) -> str:
            return "It never enters the library." if row.state == Example.State.PROPOSED else ""

        return self.asked_first(
            request, rows, action="reject", button="Reject", follows=follows,
            do=lambda caller, row, reason: examples.decide(
                caller, row.pk, state=Example.State.REJECTED, reason=reason),
        )  # fmt: skip

    def _approve(self, request: HttpRequest, rows: Any) -> None:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        for row in rows:
            try:
                examples.decide(
                    caller, row.pk, state=Example.State.APPROVED, reason="from the admin"
                )
            except AppError as error:
                messages.error(request, str(error))


@admin.register(TuningJob)
class TuningJobAdmin(ReadOnly):
    list_display = ["agent_slug", "model", "lessons", "shown_state", "cost_usd", "created_at"]
    list_filter = ["state", "agent_slug"]
    actions = ["call_off"]

    @admin.action(description="Cancel", permissions=["decide"])
    def call_off(self, request: HttpRequest, rows: Any) -> HttpResponse | None:
        def follows(row: TuningJob) -> str:
            if row.state not in (TuningJob.State.QUEUED, TuningJob.State.SUBMITTED):
                return ""
            return "The endpoint is asked to stop; what it has learnt is lost, what it cost stays."

        return self.asked_first(
            request,
            rows,
            action="call_off",
            button="Cancel the job",
            follows=follows,
            do=lambda caller, row, reason: finetuning.cancel(caller, row.pk, reason=reason),
        )


@admin.register(Tombstone)
class TombstoneAdmin(ReadOnly):
    list_display = ["agent_slug", "reason", "raised_by", "created_at", "lifted_at"]
    list_filter = ["agent_slug"]
    actions = ["lift"]

    @admin.action(description="Lift: allow another try", permissions=["decide"])
    def lift(self, request: HttpRequest, rows: Any) -> HttpResponse | None:
        def follows(row: Tombstone) -> str:
            if row.lifted_at is not None:
                return ""
            why = row.reason.rstrip(".")
            return f"What was barred because “{why}” may be proposed, tried and rolled out again."

        return self.asked_first(
            request, rows, action="lift", button="Lift", follows=follows,
            do=lambda caller, row, reason: improvements.lift(
                caller=caller, tombstone_id=row.pk, reason=reason),
        )  # fmt: skip
