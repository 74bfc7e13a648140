"""The tools of configured sources, as the registry asks for them by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q

from agents.models import ToolSource
from agents.tools.registry import Tool, ToolContext
from agents.tools.remote import business
from agents.tools.remote.tool import remote
from config.errors import Forbidden, NotFound

MCP, DATA = "mcp", "data"
MCP_KINDS = (ToolSource.Kind.MCP_HTTP, ToolSource.Kind.MCP_STDIO)


def find(name: str) -> Tool | None:
    """The tool ``mcp.<source>.<tool>`` or ``data.<source>``; None for any other name."""
    prefix, _, rest = name.partition(".")
    if prefix not in (MCP, DATA) or not rest:
        return None
    source = ToolSource.objects.filter(name=rest.partition(".")[0], is_active=True).first()
    if source is None:
        return None
    return next((tool for tool in tools_of(source) if tool.name == name), None)


def listing(client_ids: frozenset[UUID] | None) -> Iterator[Tool]:
    """Every tool of the active sources of these clients (None: all) and of the installation."""
    rows = ToolSource.objects.filter(is_active=True)
    if client_ids is not None:
        rows = rows.filter(Q(client_id__in=client_ids) | Q(client_id=None))
    for source in rows:
        yield from tools_of(source)


def tools_of(source: ToolSource) -> Iterator[Tool]:
    """What ``source`` offers and its list allows."""
    declared: dict[str, Any] = {
        "idempotent": source.is_read_only,
        "cache_seconds": source.cache_seconds if source.is_read_only else 0,
        "timeout_seconds": source.timeout_seconds,
        "tags": frozenset({"remote", source.kind}),
    }
    if source.kind in MCP_KINDS:
        for offered in source.tools:
            if offered["name"] in source.allowed:
                yield _mcp_tool(source, offered, declared)
        return
    if source.allowed:
        schema, description = business.described(source)
        gives = business.rest if source.kind == ToolSource.Kind.REST else business.odata_rows
        yield remote(
            f"{DATA}.{source.name}", description, schema, _bound(source.name), gives,
            fallback=fallback_of(source), **declared,
        )  # fmt: skip


def fallback_of(source: ToolSource, tool: str = "") -> str | None:
    """The tool asked where this one of ``source`` fails; None where none is declared.

    A whole source (``mcp.mirror``) stands for its tool of the same name.
    """
    is_source = source.fallback.startswith(f"{MCP}.") and source.fallback.count(".") == 1
    return f"{source.fallback}.{tool}" if is_source else source.fallback or None


def current(name: str, context: ToolContext) -> ToolSource:
    """The source as it is now, for this caller; raises NotFound or Forbidden."""
    source = ToolSource.objects.filter(name=name, is_active=True).first()
    if source is None:
        raise NotFound("tool source", name)
    if source.client_id is not None and str(source.client_id) != context.client_id:
        raise Forbidden(f"use the source {name}", "its own client")
    return source


def _mcp_tool(source: ToolSource, offered: dict[str, Any], declared: dict[str, Any]) -> Tool:
    wanted, name = offered["name"], source.name

    def run(arguments: dict[str, Any], context: ToolContext) -> dict[str, Any]:
        now = current(name, context)
        if wanted not in now.allowed:  # taken off the list since the version was read
            raise NotFound("tool of this source", wanted)
        # The protocol's library costs 0.4 s, and most installations have no such source.
        from agents.tools.remote import mcp_client

        return mcp_client.call(now, wanted, arguments, effect_id=context.effect_id)

    description = f"{offered.get('description') or wanted}"[:2000]
    return remote(f"{MCP}.{name}.{wanted}", description, offered["schema"], run,
                  fallback=fallback_of(source, wanted), **declared)  # fmt: skip


def _bound(name: str) -> Any:
    def run(arguments: dict[str, Any], context: ToolContext) -> business.Rows | business.Found:
        return business.query(current(name, context), arguments)

    return run
