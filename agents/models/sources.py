"""Where tools of others are: MCP servers and business systems."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from agents.models.records import MONEY
from config.access.ids import uuid7


class ToolSource(models.Model):
    """One MCP server, OData service or REST API, for one client or for the installation."""

    class Kind(models.TextChoices):
        MCP_HTTP = "mcp_http", "MCP over streamable HTTP"
        MCP_STDIO = "mcp_stdio", "MCP over a program's standard streams"
        ODATA = "odata", "OData v4"
        REST = "rest", "REST with JSON"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    client_id = models.UUIDField(null=True, blank=True, help_text="Empty: for every client.")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    url = models.URLField(max_length=300, blank=True, default="")
    command = models.JSONField(default=list, blank=True, help_text="Program and arguments.")
    credential_env = models.CharField(
        max_length=80, blank=True, default="", help_text="Variable with the bearer token."
    )
    allowed = models.JSONField(
        default=list, help_text="Tools, entities or paths that may be used; none if empty."
    )
    is_read_only = models.BooleanField(
        default=False, help_text="Its tools change nothing, so a repeat does no harm."
    )
    timeout_seconds = models.FloatField(default=20.0)
    cache_seconds = models.PositiveIntegerField(default=0)
    fallback = models.CharField(
        max_length=120, blank=True, default="", db_default="",
        help_text="Tool, or source with a tool of the same name, asked when one of these fails.",
    )  # fmt: skip
    cost_usd = models.DecimalField(**MONEY, default=0, help_text="Of one request.")
    is_active = models.BooleanField(default=True)
    tools = models.JSONField(default=list, help_text="What an MCP server offers, as last asked.")
    refreshed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="mcp_stdio", url="") | (~Q(kind="mcp_stdio") & ~Q(url="")),
                name="toolsource_has_address",
            ),
            models.CheckConstraint(
                condition=Q(timeout_seconds__gt=0, timeout_seconds__lte=300),
                name="toolsource_timeout_in_bounds",
            ),
        ]

    def __str__(self) -> str:
        return self.name
