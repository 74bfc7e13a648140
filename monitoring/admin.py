"""Monitoring in the admin: rules and channels are edited, the record is only read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from monitoring import services
from monitoring.models import (
    Action,
    Alert,
    AlertRule,
    AuditEntry,
    Channel,
    Delivery,
    Incident,
    IncidentEvent,
    Objective,
    Rota,
    RotaOverride,
    RotaPlace,
    SecurityEvent,
    Silence,
)


class Audited(ModelAdmin):
    """Every change made here is in the audit log, with what was before and after."""

    secret: tuple[str, ...] = ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with transaction.atomic():
            before = form.initial if change else None
            super().save_model(request, obj, form, change)
            self._audit(request, obj, "changed" if change else "created", before, form.cleaned_data)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            self._audit(request, obj, "deleted", {"name": str(obj)}, None)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def _audit(self, request: HttpRequest, obj: Any, verb: str, before: Any, after: Any) -> None:
        services.audit(
            actor=f"user:{request.user.pk}",
            user_id=request.user.pk,
            action=f"monitoring.{obj._meta.model_name}.{verb}",
            target=f"{obj._meta.model_name}:{obj.pk}",
            before=self._shown(before),
            after=self._shown(after),
        )

    def _shown(self, values: Any) -> Any:
        if values is None:
            return None
        return {k: "…" if k in self.secret else str(v) for k, v in values.items()}


class Tuned(Audited):
    """What is set here in a shipped row stays when the set-up brings the others up to date."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.tuned = sorted({*obj.tuned, *form.changed_data} - {"is_active"})
        super().save_model(request, obj, form, change)


class ReadOnly(ModelAdmin):
    """Rows that code writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AlertRule)
class AlertRuleAdmin(Tuned):
    list_display = ["slug", "title", "kind", "metric", "scope", "limit", "severity", "is_active"]
    list_filter = ["kind", "severity", "is_active", "is_shipped"]
    search_fields = ["slug", "title", "metric"]
    readonly_fields = ["is_shipped", "tuned", "evaluated_at", "created_by"]


@admin.register(Channel)
class ChannelAdmin(Audited):
    list_display = ["name", "kind", "min_severity", "level", "is_personal", "is_active"]
    list_filter = ["kind", "is_personal", "is_active"]
    secret = ("secret", "address")


class PlaceInline(TabularInline):
    model = RotaPlace
    extra = 1

    def formfield_for_foreignkey(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """People only: a team's channel is told by its own rules."""
        if db_field.name == "channel":
            kwargs["queryset"] = Channel.objects.filter(is_personal=True)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class OverrideInline(TabularInline):
    model = RotaOverride
    extra = 0
    readonly_fields = ["created_by"]


@admin.register(Rota)
class RotaAdmin(Audited):
    list_display = ["name", "first_day", "shift_days", "time_zone", "on_call", "is_active"]
    inlines = [PlaceInline, OverrideInline]


@admin.register(Silence)
class SilenceAdmin(Audited):
    list_display = ["reason", "rule", "scope", "key", "starts_at", "ends_at", "created_by"]


@admin.register(Objective)
class ObjectiveAdmin(Tuned):
    readonly_fields = ["tuned"]
    list_display = ["title", "metric", "statistic", "target", "is_active"]


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ["rule", "key", "state", "severity", "value", "baseline", "fired_at"]
    list_filter = ["state", "severity"]
    search_fields = ["key", "rule__slug"]
    list_select_related = ["rule"]


class EventInline(TabularInline):
    model = IncidentEvent
    extra = 0
    can_delete = False
    fields = readonly_fields = ["at", "name", "actor", "detail"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Incident)
class IncidentAdmin(ReadOnly):
    list_display = ["title", "severity", "state", "opened_at", "acknowledged_by", "resolved_at"]
    list_filter = ["state", "severity"]
    inlines = [EventInline]


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ["name", "channel", "incident", "state", "tries", "sent_at", "last_error"]
    list_filter = ["state", "name"]
    list_select_related = ["channel", "incident"]


@admin.register(Action)
class ActionAdmin(ReadOnly):
    list_display = ["kind", "target", "state", "incident", "asked_at", "done_at"]
    list_filter = ["state", "kind"]


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnly):
    list_display = ["at", "kind", "severity", "actor", "target"]
    list_filter = ["kind", "severity"]
    show_full_result_count = False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["at", "actor", "action", "target"]
    search_fields = ["actor", "action", "target"]
    show_full_result_count = False
