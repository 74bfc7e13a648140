"""People, clients and keys in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.access.models import ApiKey, Audience, Client, Invitation, Membership, User

admin.site.unregister(Group)  # roles come from memberships; Django's groups carry nothing here


class MembershipInline(TabularInline):
    model = Membership
    extra = 0


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    inlines = [MembershipInline]
    list_display = ["username", "first_name", "last_name", "email", "is_active", "is_demo"]
    filter_horizontal = ["audiences"]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "time_zone", "is_demo")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "audiences")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )


@admin.register(Client)
class ClientAdmin(ModelAdmin):
    list_display = ["name", "slug", "is_firm", "is_demo", "created_at"]
    search_fields = ["name", "slug"]
    filter_horizontal = ["audiences"]


@admin.register(Audience)
class AudienceAdmin(ModelAdmin):
    list_display = ["name", "kind"]
    list_filter = ["kind"]


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin):
    """Keys are made by ``manage.py create_key``; here they are seen and revoked."""

    list_display = ["name", "prefix", "user", "client", "expires_at", "last_used_at", "revoked_at"]
    readonly_fields = ["prefix", "user", "client", "scopes", "created_at", "last_used_at"]
    exclude = ["digest"]

    def has_add_permission(self, request: object) -> bool:
        return False


@admin.register(Invitation)
class InvitationAdmin(ModelAdmin):
    list_display = ["email", "client", "role", "expires_at", "accepted_at"]
    exclude = ["digest"]
    readonly_fields = ["accepted_at"]

    def has_add_permission(self, request: object) -> bool:
        return False
