"""Agents in the admin: read, paused and capped here; published and rolled out by their services."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline

from agents import conversations, reviews, versions
from agents.models import (
    Agent,
    AgentVersion,
    Budget,
    Conversation,
    Endpoint,
    IdempotentToolResult,
    Invocation,
    Label,
    PriceList,
    Review,
    TrafficSplit,
    Turn,
)
from config.access import callers
from config.access.asking_first import AsksFirst
from config.access.hiding import of_visible_runs
from config.errors import AppError


class ReadOnly(ModelAdmin):
    """Rows that services write and people read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _Inline(TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LabelInline(_Inline):
    model = Label
    fields = ["name", "version", "moved_by", "moved_at"]


class VersionInline(_Inline):
    model = AgentVersion
    fields = ["number", "note", "created_by", "created_at", "retired_at"]
    show_change_link = True


class TurnInline(_Inline):
    model = Turn
    fields = ["number", "role", "text", "created_at"]


@admin.register(Agent)
class AgentAdmin(ModelAdmin):
    """State, limits and the fallback may be changed; the rest comes from the catalogue."""

    list_display = ["slug", "name", "domain", "risk", "audience", "state"]
    list_filter = ["domain", "risk", "audience", "state"]
    search_fields = ["slug", "name", "purpose"]
    fields = ["slug", "name", "domain", "purpose", "audience", "risk", "state", "state_reason",
              "limits", "fallback", "objectives", "scaling"]  # fmt: skip
    readonly_fields = ["slug", "name", "domain", "purpose", "audience", "risk", "objectives",
                       "scaling"]  # fmt: skip
    inlines = [LabelInline, VersionInline]

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "state" in form.changed_data:
            caller = callers.of_user(request.user)  # type: ignore[arg-type]
            versions.set_state(agent=obj, state=obj.state, reason=obj.state_reason,
                               by=caller.name, person=caller.principal)  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AgentVersion)
class AgentVersionAdmin(AsksFirst, ReadOnly):
    """What answers never changes; one that no label and no open split names may be retired."""

    actions = ["retire"]
    list_display = ["agent", "number", "note", "created_by", "created_at", "retired_at"]
    list_filter = ["agent__domain"]
    search_fields = ["agent__slug", "note"]
    list_select_related = ["agent"]

    @admin.action(description="Retire: never answer again", permissions=["retire"])
    def retire(self, request: HttpRequest, rows: QuerySet[AgentVersion]) -> HttpResponse | None:
        return self.asked_first(
            request, rows, action="retire", button="Retire",
            follows=lambda row: "" if row.retired_at else "It never answers again.",
            do=lambda caller, row, reason: versions.retire(
                version=row, by=caller.principal, reason=reason),
        )  # fmt: skip

    def has_retire_permission(self, request: HttpRequest) -> bool:
        """Who may change agents may retire their versions."""
        return request.user.has_perm("agents.change_agent")


@admin.register(TrafficSplit)
class TrafficSplitAdmin(ReadOnly):
    list_display = ["agent", "epoch", "unit", "reason", "opened_by", "opened_at", "closed_at"]
    list_filter = ["unit"]
    search_fields = ["agent__slug"]
    list_select_related = ["agent"]


@admin.register(Endpoint)
class EndpointAdmin(ModelAdmin):
    """The key is set through the API and never shown."""

    list_display = ["name", "base_url", "run_by", "is_offline", "state", "priority", "weight"]
    list_filter = ["state"]
    readonly_fields = ["is_offline", "created_at", "updated_at"]


@admin.register(PriceList)
class PriceListAdmin(ReadOnly):
    list_display = ["version", "valid_from", "source"]


@admin.register(Budget)
class BudgetAdmin(ModelAdmin):
    """Caps may be changed; what is spent and held is counted by calls alone."""

    list_display = ["scope", "key", "window", "cap_usd", "spent_now", "held_usd", "is_active"]
    list_filter = ["scope", "window", "is_active"]
    search_fields = ["key"]
    exclude = ["spent_usd", "window_started_at"]
    readonly_fields = ["spent_now", "held_usd", "window_now", "created_at", "client_id"]

    @admin.display(description="spent usd")
    def spent_now(self, budget: Budget) -> Decimal:
        """Nothing before the first call of the window that is open now."""
        return budget.spent_now_usd


class OfRuns(ReadOnly):
    """Rows that may belong to a run: those that whoever looks may see anywhere else."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        return of_visible_runs(caller, super().get_queryset(request))


@admin.register(Invocation)
class InvocationAdmin(OfRuns):
    list_display = ["id", "agent_slug", "version_number", "state", "model", "cost_usd",
                    "duration_seconds", "started_at"]  # fmt: skip
    list_filter = ["state", "is_simulated"]
    search_fields = ["=id", "=run_id", "=agent_slug"]
    exclude = ["sealed"]
    ordering = ["-id"]
    # A count of tens of millions of rows takes longer than anybody looks at it.
    show_full_result_count = False
    list_per_page = 50


@admin.register(Conversation)
class ConversationAdmin(ReadOnly):
    list_display = ["id", "agent_slug", "channel", "state", "last_turn_at"]
    list_filter = ["state", "channel"]
    inlines = [TurnInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        caller = callers.of_user(request.user)  # type: ignore[arg-type]
        seen = conversations.visible(caller).values("pk")
        return super().get_queryset(request).filter(pk__in=seen)


@admin.register(Review)
class ReviewAdmin(OfRuns):
    """What guardrails hold back; the actions answer it. Its text is shown on its own page only."""

    list_display = ["id", "agent_slug", "guardrail", "place", "state", "created_at", "decided_at"]
    list_filter = ["state", "guardrail"]
    search_fields = ["=id", "=agent_slug"]
    readonly_fields = ["text"]
    ordering = ["-id"]
    actions = ["approve", "reject"]

    def text(self, review: Review) -> str:
        """The text that is held back."""
        return reviews.text_of(review)

    @admin.action(description="Approve: let the text pass for a week")
    def approve(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        self._decide(request, rows, approve=True)

    @admin.action(description="Reject")
    def reject(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        self._decide(request, rows, approve=False)

    def _decide(self, request: HttpRequest, rows: QuerySet[Review], *, approve: bool) -> None:
        for review in rows:
            try:
                caller = callers.of_user(request.user)  # type: ignore[arg-type]
                reviews.decide(caller, review.pk, approve=approve, reason="in the admin")
            except AppError as error:
                self.message_user(request, str(error), messages.ERROR)


@admin.register(IdempotentToolResult)
class IdempotentToolResultAdmin(ReadOnly):
    """Those that stay ``started`` are the effects to look into."""

    list_display = ["tool", "effect_id", "state", "started_at", "ended_at"]
    list_filter = ["state", "tool"]
