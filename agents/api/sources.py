"""Tool sources: MCP servers and business systems."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents import connections, doors
from agents.api.shared import KEY, PAGES, PROBLEM, checked, page
from agents.endpoints.secrets import check_variable
from agents.models import ToolSource
from agents.tools import registry
from agents.tools.remote import addresses, finding
from agents.tools.remote.finding import MCP_KINDS
from config import rest
from config.access.callers import Caller
from config.errors import Conflict, Forbidden, InvalidInput, NotFound

Fields = serializers.Serializer[Any]
# What a server was asked by: its tools belong to no other.
ASKED = ("kind", "url", "command", "credential_env")


class SourceDocument(Fields):
    """A source of tools, without its credential."""

    name = serializers.CharField()
    client_id = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField()
    url = serializers.CharField()
    command = serializers.ListField(child=serializers.CharField())
    credential_env = serializers.CharField()
    allowed = serializers.ListField(child=serializers.CharField())
    is_read_only = serializers.BooleanField()
    timeout_seconds = serializers.FloatField()
    cache_seconds = serializers.IntegerField()
    fallback = serializers.CharField()
    cost_usd = serializers.DecimalField(20, 9)
    is_active = serializers.BooleanField()
    tools = serializers.JSONField()
    refreshed_at = serializers.DateTimeField(allow_null=True)


class NewSource(Fields):
    """A source; the same name changes the one there is. The credential is given by name."""

    name = serializers.SlugField(max_length=40)
    client_id = serializers.UUIDField(required=False, allow_null=True)
    kind = serializers.CharField(max_length=12)
    url = serializers.URLField(max_length=300, required=False, default="", allow_blank=True)
    command = serializers.ListField(
        child=serializers.CharField(max_length=500), required=False, default=list, max_length=30
    )
    credential_env = serializers.RegexField(
        r"^([A-Z][A-Z0-9_]{0,79})?$", required=False, default="", allow_blank=True
    )
    allowed = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, default=list, max_length=300
    )
    is_read_only = serializers.BooleanField(default=False)
    timeout_seconds = serializers.FloatField(min_value=0.1, max_value=300, default=20)
    cache_seconds = serializers.IntegerField(min_value=0, max_value=86_400, default=0)
    fallback = serializers.CharField(
        max_length=120, required=False, default="", allow_blank=True,
        help_text="A tool that is asked with the same arguments when one of these fails, or "
        "mcp.SOURCE for its tool of the same name.",
    )  # fmt: skip
    cost_usd = serializers.DecimalField(20, 9, min_value=0, default=Decimal(0))
    is_active = serializers.BooleanField(default=True)


class Sources(APIView):
    scopes = {"GET": "agents:read", "POST": "agents:write"}

    @extend_schema(
        operation_id="tool_sources_list", parameters=PAGES, responses=SourceDocument(many=True)
    )
    def get(self, request: Request) -> Response:
        """Sources of your clients and of the installation."""
        rows = _visible(rest.caller_of(request))
        return page(request, rows, lambda found: SourceDocument(found, many=True).data)

    @extend_schema(
        parameters=[KEY], request=NewSource,
        responses={201: SourceDocument, 200: SourceDocument, 403: PROBLEM, 409: PROBLEM,
                   422: PROBLEM},
    )  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Add or change a source. An MCP server is asked what it offers; nothing is allowed yet
        that ``allowed`` does not name."""
        caller = rest.caller_of(request)
        data = checked(NewSource, request)
        if data["kind"] not in ToolSource.Kind.values:
            raise InvalidInput("kind", data["kind"], f"one of {', '.join(ToolSource.Kind.values)}")
        is_program = data["kind"] == ToolSource.Kind.MCP_STDIO
        if is_program is bool(data["url"]) or is_program is not bool(data["command"]):
            raise InvalidInput("url", data["url"], "a command for mcp_stdio, a url for all others")
        if data["url"]:  # not only once a call needs it
            addresses.check_form(data["url"])
        check_variable("credential_env", data["credential_env"])
        data["client_id"] = _client(caller, data.get("client_id"))
        name = data.pop("name")
        if ToolSource.objects.filter(name=name).exclude(pk__in=_own(caller).values("pk")).exists():
            raise NotFound("tool source", name)
        found = ToolSource.objects.filter(name=name).first()
        wanted = ToolSource(name=name, **data, **({"pk": found.pk} if found else {}))
        if wanted.kind in MCP_KINDS and wanted.is_active:  # first: what can't be asked is not kept
            data |= {"tools": _offered(wanted), "refreshed_at": timezone.now()}
            wanted.tools = data["tools"]
        if wanted.fallback:
            _check_fallback(wanted)
        source = _changed(caller, found, data) if found else _made(name, data)
        return Response(SourceDocument(source).data, status=200 if found else 201)


class Refresh(APIView):
    scopes = {"POST": "agents:write"}

    @extend_schema(
        request=None,
        responses={200: SourceDocument, 404: PROBLEM, 409: PROBLEM, 503: PROBLEM},
    )
    def post(self, request: Request, name: str) -> Response:
        """Ask an MCP server anew what it offers."""
        caller = rest.caller_of(request)
        source = _own(caller).filter(name=name, kind__in=MCP_KINDS).first()
        if source is None:
            raise NotFound("MCP server", name)
        told = {"tools": _offered(source), "refreshed_at": timezone.now()}
        return Response(SourceDocument(_changed(caller, source, told, same=ASKED)).data)


def _check_fallback(source: ToolSource) -> None:
    """Raise InvalidInput unless each tool of ``source`` has another to fall back on, that changes
    nothing where this one does not."""
    own = list(finding.tools_of(source))
    for tool in own:
        try:
            other = registry.get(str(tool.fallback))
        except NotFound:
            other = None
        if other is None or other.name in {one.name for one in own}:
            raise InvalidInput("fallback", source.fallback, "another tool that exists")
        if tool.idempotent and not other.idempotent:
            raise InvalidInput("fallback", source.fallback, "a tool that changes nothing")


def _made(name: str, fields: dict[str, Any]) -> ToolSource:
    try:
        with transaction.atomic():
            return ToolSource.objects.create(name=name, **fields)
    except IntegrityError:  # somebody added one of this name while its server was asked
        raise _overtaken(name) from None


def _changed(
    caller: Caller, source: ToolSource, fields: dict[str, Any], *, same: Sequence[str] = ()
) -> ToolSource:
    """The source with ``fields`` alone written, where it is still the caller's and ``same``."""
    rows = _own(caller).filter(pk=source.pk, **{name: getattr(source, name) for name in same})
    if not rows.update(**fields):
        raise _overtaken(source.name)
    changed: ToolSource = ToolSource.objects.get(pk=source.pk)
    return changed


def _overtaken(name: str) -> Conflict:
    state = "added, changed or removed by somebody else just now"
    return Conflict(f"tool source {name}", state, "another look at it first")


def _offered(source: ToolSource) -> list[dict[str, Any]]:
    connections.release()  # it may take as long as the source's limit
    # As in `finding`: loaded where it is used.
    from agents.tools.remote import mcp_client

    return mcp_client.offered(source)


def _client(caller: Caller, asked: Any) -> Any:
    """For which client; only who sees all may set one up for everybody."""
    if asked is None:
        if caller.client_ids is not None:
            raise Forbidden("set up a source for every client", "a caller who sees all clients")
        return None
    return doors.client_for(caller, asked)


def _own(caller: Caller) -> Any:
    return caller.only_visible(ToolSource.objects.all())


def _visible(caller: Caller) -> Any:
    if caller.client_ids is None:
        return ToolSource.objects.all()
    return ToolSource.objects.filter(Q(client_id__in=caller.client_ids) | Q(client_id=None))
