"""The HTTP API of monitoring: doors that only call services and queries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import rest
from config.access.hiding import hidden_workflows
from config.errors import Forbidden, InvalidInput
from config.spreadsheets import streamed
from monitoring import (
    backtest,
    costs,
    incidents,
    objectives,
    queries,
    rule_changes,
    services,
    silencing,
)
from monitoring import serializers as shapes
from monitoring.models import (
    Alert,
    AlertRule,
    AuditEntry,
    Incident,
    SecurityEvent,
    Silence,
)
from monitoring.sight import sight

PROBLEM = OpenApiResponse(rest.ProblemSerializer)
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeat safely under this key."
)
SINCE = OpenApiParameter("since", OpenApiTypes.DATETIME, description="RFC 3339; default a day ago.")
UNTIL = OpenApiParameter("until", OpenApiTypes.DATETIME, description="RFC 3339; default now.")
CURSOR = [OpenApiParameter("cursor", str), OpenApiParameter("page_size", int)]
# Scopes whose keys begin with a client: what somebody may see who does not see everyone.
OF_CLIENTS = ("client", "client_agent", "client_domain", "client_workflow")


def _page(request: Request, rows: QuerySet[Any], shape: Any) -> Response:
    paginator = rest.CursorPagination()
    page = paginator.paginate_queryset(rows, request)
    return paginator.get_paginated_response(shape(page or [], many=True).data)


def _time(request: Request, name: str, default: datetime) -> datetime:
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(name, text, "an RFC 3339 time, such as 2026-11-20T12:00:00Z") from None
    if at.tzinfo is None:
        raise InvalidInput(name, text, "with its offset from UTC, such as a final Z")
    return at


def _stretch(request: Request, back: timedelta) -> tuple[datetime, datetime]:
    until = _time(request, "until", timezone.now())
    return _time(request, "since", until - back), until


class MetricsQuery(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(
        operation_id="metrics_query",
        parameters=[
            OpenApiParameter("metric", str, required=True, description="A metric's name."),
            OpenApiParameter("scope", str, description="all, agent, domain, client, …"),
            OpenApiParameter("key", str, description="Of the scope; absent: a total of each."),
            OpenApiParameter("step_seconds", int, description="Of a series; whole minutes."),
            SINCE, UNTIL,
        ],
        responses={200: shapes.MetricAnswer, 403: PROBLEM, 422: PROBLEM},
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Counts, sums and percentiles: a series of one key, or totals of all keys of a scope."""
        metric = request.query_params.get("metric", "")
        scope = request.query_params.get("scope", "all")
        key = request.query_params.get("key")
        since, until = _stretch(request, timedelta(days=1))
        seen = sight(rest.caller_of(request))
        clients = rest.caller_of(request).client_ids
        if clients is not None and scope not in OF_CLIENTS:
            raise Forbidden(f"read the scope {scope}", f"one of {', '.join(OF_CLIENTS)}")
        if key is None and scope != "all":
            found = queries.totals([metric], scope=scope, since=since, until=until)
            rows = [
                {"key": name, **_figures(stats.get(metric, queries.EMPTY))}
                for name, stats in sorted(found.items())
                if _is_visible(name, clients) and seen.shows(scope, name)
            ]
        else:
            if not _is_visible(key or "", clients):
                raise Forbidden("read this key", "a client that you may see")
            if not seen.shows(scope, key or ""):
                raise Forbidden("read this key", "a workflow whose runs you may see")
            rows = self._series(request, metric, scope, key or "", since, until)
        return Response(
            {"metric": metric, "scope": scope, "key": key, "since": since, "until": until,
             "rows": rows}
        )  # fmt: skip

    def _series(
        self, request: Request, metric: str, scope: str, key: str, since: datetime, until: datetime
    ) -> list[dict[str, Any]]:
        text = request.query_params.get("step_seconds", "3600")
        if not text.isdecimal():
            raise InvalidInput("step_seconds", text, "a whole number of seconds")
        points = queries.series(
            metric, scope=scope, key=key, since=since, until=until,
            step=timedelta(seconds=int(text[:9])),
        )  # fmt: skip
        return [{"start": point.start, **_figures(point.stat)} for point in points]


def _is_visible(key: str, clients: frozenset[UUID] | None) -> bool:
    return clients is None or key.partition("|")[0] in {str(client) for client in clients}


def _figures(stat: queries.Stat) -> dict[str, Any]:
    percentiles = {f"p{q}": stat.percentile(q / 100) for q in (50, 95, 99)}
    return {"count": stat.count, "total": stat.total, "mean": stat.mean, **percentiles}


class Alerts(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(
        operation_id="alerts_list",
        parameters=[OpenApiParameter("state", str), OpenApiParameter("severity", str),
                    OpenApiParameter("rule", str), OpenApiParameter("key", str), *CURSOR],
        responses=shapes.AlertShape(many=True),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        """Alerts, newest first."""
        _for_staff(request, "see alerts of the whole fleet")
        rows = Alert.objects.select_related("rule")
        for name, field in (("state", "state__in"), ("severity", "severity__in")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{field: value.split(",")})
        for name, field in (("rule", "rule__slug"), ("key", "key")):
            if value := request.query_params.get(name):
                rows = rows.filter(**{field: value})
        return _page(request, rows, shapes.AlertShape)


def _for_staff(request: Request, what: str) -> None:
    if rest.caller_of(request).client_ids is not None:
        raise Forbidden(what, "access to every client")


def _may_respond(request: Request) -> None:
    """Raise Forbidden where first responses are set by who may not do what they do."""
    if isinstance(request.data, dict) and request.data.get("responses") is not None:
        caller = rest.caller_of(request)
        for scope in ("agents:write", "learning:decide"):
            caller.require(scope, "set the first responses of a rule")


class AlertRules(APIView):
    scopes = {"GET": "monitoring:read", "POST": "monitoring:write"}

    @extend_schema(operation_id="alert_rules_list", parameters=CURSOR,
                   responses=shapes.AlertRuleShape(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Alert rules, newest first."""
        _for_staff(request, "see rules of the whole fleet")
        return _page(request, AlertRule.objects.all(), shapes.AlertRuleShape)

    @extend_schema(operation_id="alert_rules_create", parameters=[KEY],
                   request=shapes.AlertRuleShape,
                   responses={201: shapes.AlertRuleShape, 422: PROBLEM})  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Add a rule; it is judged from the next pass on."""
        _for_staff(request, "set rules for the whole fleet")
        _may_respond(request)
        shape = shapes.AlertRuleShape(data=request.data)
        shape.is_valid(raise_exception=True)
        actor = rest.caller_of(request).principal
        with transaction.atomic():
            rule = shape.save(created_by=actor)
            services.audit(actor=actor, action="monitoring.rule.created",
                           target=f"rule:{rule.slug}", after=shape.data)  # fmt: skip
        return Response(shapes.AlertRuleShape(rule).data, status=status.HTTP_201_CREATED)


class OneAlertRule(APIView):
    scopes = {"GET": "monitoring:read", "PATCH": "monitoring:write", "DELETE": "monitoring:write"}

    @extend_schema(operation_id="alert_rules_get",
                   responses={200: shapes.AlertRuleShape, 404: PROBLEM})  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """One rule."""
        _for_staff(request, "see rules of the whole fleet")
        return Response(shapes.AlertRuleShape(rule_changes.find(slug)).data)

    @extend_schema(operation_id="alert_rules_change", request=shapes.AlertRuleShape(partial=True),
                   responses={200: shapes.AlertRuleShape, 404: PROBLEM, 422: PROBLEM})  # fmt: skip
    def patch(self, request: Request, slug: str) -> Response:
        """Change a rule. What is set in a shipped one stays when the set-up runs again."""
        _for_staff(request, "set rules for the whole fleet")
        _may_respond(request)
        shape = shapes.AlertRuleShape(rule_changes.find(slug), data=request.data, partial=True)
        shape.is_valid(raise_exception=True)
        actor = rest.caller_of(request).principal
        rule = rule_changes.change(slug, shape.validated_data, actor=actor)
        return Response(shapes.AlertRuleShape(rule).data)

    @extend_schema(operation_id="alert_rules_delete",
                   responses={204: None, 404: PROBLEM, 409: PROBLEM})  # fmt: skip
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a rule with its alerts; a shipped one can only be turned off."""
        _for_staff(request, "set rules for the whole fleet")
        rule_changes.delete(slug, actor=rest.caller_of(request).principal)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Incidents(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(operation_id="incidents_list",
                   parameters=[OpenApiParameter("state", str), *CURSOR],
                   responses=shapes.IncidentShape(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Incidents with impact and timeline, newest first."""
        _for_staff(request, "see incidents of the whole fleet")
        rows = Incident.objects.prefetch_related("timeline", "actions")
        if value := request.query_params.get("state"):
            rows = rows.filter(state__in=value.split(","))
        return _page(request, rows, shapes.IncidentShape)


class IncidentControl(APIView):
    scopes = {"POST": "monitoring:write"}

    @extend_schema(operation_id="incidents_control", request=None,
                   responses={200: shapes.IncidentShape, 404: PROBLEM, 409: PROBLEM})  # fmt: skip
    def post(self, request: Request, incident_id: UUID, action: str) -> Response:
        """Acknowledge or resolve an incident."""
        _for_staff(request, "answer incidents")
        actor = rest.caller_of(request).principal
        if action == "acknowledge":
            incident = incidents.acknowledge(incident_id, actor=actor)
        else:
            incident = incidents.resolve(incident_id, actor=actor, now=timezone.now())
        return Response(shapes.IncidentShape(incident).data)


class ActionUndo(APIView):
    scopes = {"POST": "monitoring:write"}

    @extend_schema(operation_id="incidents_actions_undo", request=None,
                   responses={200: shapes.IncidentShape, 404: PROBLEM, 409: PROBLEM})  # fmt: skip
    def post(self, request: Request, incident_id: UUID, action_id: UUID) -> Response:
        """Take a first response back before the incident ends."""
        _for_staff(request, "answer incidents")
        actor = rest.caller_of(request).principal
        incident = incidents.take_back(incident_id, action_id, actor=actor)
        return Response(shapes.IncidentShape(incident).data)


class Silences(APIView):
    scopes = {"GET": "monitoring:read", "POST": "monitoring:write"}

    @extend_schema(operation_id="silences_list", parameters=CURSOR,
                   responses=shapes.SilenceShape(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Silences, newest first; ended ones too."""
        _for_staff(request, "see silences of the whole fleet")
        return _page(request, Silence.objects.select_related("rule"), shapes.SilenceShape)

    @extend_schema(operation_id="silences_create", parameters=[KEY],
                   request=shapes.SilenceShape,
                   responses={201: shapes.SilenceShape, 422: PROBLEM})  # fmt: skip
    @rest.idempotent
    def post(self, request: Request) -> Response:
        """Mute what matches, for a time, with a reason."""
        _for_staff(request, "silence alerts")
        shape = shapes.SilenceShape(data=request.data)
        shape.is_valid(raise_exception=True)
        actor = rest.caller_of(request).principal
        with transaction.atomic():
            silence = shape.save(created_by=actor)
            services.audit(actor=actor, action="monitoring.silence.created",
                           target=f"silence:{silence.pk}", after=shape.data)  # fmt: skip
        return Response(shapes.SilenceShape(silence).data, status=status.HTTP_201_CREATED)


class OneSilence(APIView):
    scopes = {"DELETE": "monitoring:write"}

    @extend_schema(operation_id="silences_end", request=None,
                   responses={200: shapes.SilenceShape, 404: PROBLEM, 409: PROBLEM})  # fmt: skip
    def delete(self, request: Request, silence_id: UUID) -> Response:
        """End a silence now; it stays on record, and what still fires is told."""
        _for_staff(request, "silence alerts")
        actor = rest.caller_of(request).principal
        ended = silencing.end(silence_id, actor=actor, now=timezone.now())
        return Response(shapes.SilenceShape(ended).data)


class Objectives(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(operation_id="objectives_list",
                   parameters=[OpenApiParameter("domain", str), OpenApiParameter("agent", str),
                               OpenApiParameter("client", str)],
                   responses={200: shapes.ScorecardShape, 403: PROBLEM})  # fmt: skip
    def get(self, request: Request) -> Response:
        """Every objective: definition, target, figure, state and error budget."""
        scope, key = "all", ""
        for name in ("domain", "agent", "client"):
            if value := request.query_params.get(name):
                scope, key = name, value
        clients = rest.caller_of(request).client_ids
        if clients is not None and (scope != "client" or not _is_visible(key, clients)):
            raise Forbidden("see these objectives", "client=… of a client that you may see")
        cards = objectives.scorecard(now=timezone.now(), scope=scope, key=key)
        return Response({"scope": scope, "key": key, "results": [c.as_dict() for c in cards]})


class Costs(APIView):
    scopes = {"GET": "monitoring:read"}

    @extend_schema(operation_id="costs",
                   parameters=[OpenApiParameter("by", str, description=", ".join(costs.BY)),
                               OpenApiParameter("client", str), SINCE, UNTIL],
                   responses={200: shapes.CostShape, 403: PROBLEM, 422: PROBLEM})  # fmt: skip
    def get(self, request: Request) -> Response:
        """Who and what the money went to, what was saved, and what 30 days will cost."""
        client = request.query_params.get("client")
        caller = rest.caller_of(request)
        clients = caller.client_ids
        if clients is not None and (client is None or not _is_visible(client, clients)):
            raise Forbidden("see these costs", "client=… of a client that you may see")
        since, until = _stretch(request, timedelta(days=30))
        by = request.query_params.get("by", "agent")
        found = costs.attribution(
            by, since=since, until=until, client=client, hidden=hidden_workflows(caller)
        )
        return Response(found)


class SecurityEvents(APIView):
    scopes = {"GET": "audit:read"}

    @extend_schema(operation_id="security_events_list",
                   parameters=[OpenApiParameter("kind", str), OpenApiParameter("severity", str),
                               *CURSOR],
                   responses=shapes.SecurityEventShape(many=True))  # fmt: skip
    def get(self, request: Request) -> Response:
        """Attacks and leaks that were stopped, newest first."""
        caller = rest.caller_of(request)
        rows = caller.only_visible(SecurityEvent.objects.all())
        for name in ("kind", "severity"):
            if value := request.query_params.get(name):
                rows = rows.filter(**{f"{name}__in": value.split(",")})
        services.audit(actor=caller.principal, action="monitoring.security_events.read",
                       user_id=caller.user_id)  # fmt: skip
        return _page(request, rows, shapes.SecurityEventShape)


# Rows of an audit export that are read at once.
AUDIT_AT_ONCE = 2_000
AUDIT_COLUMNS = ("id", "at", "actor", "action", "target", "client_id", "user_id", "session",
                 "before_digest", "after_digest")  # fmt: skip


class Audit(APIView):
    scopes = {"GET": "audit:read"}

    @extend_schema(
        operation_id="audit_list",
        parameters=[
            OpenApiParameter("actor", str), OpenApiParameter("target", str),
            OpenApiParameter("action", str, description="Or its beginning."),
            OpenApiParameter("client", OpenApiTypes.UUID), SINCE, UNTIL, *CURSOR,
            OpenApiParameter("export", str, enum=["csv"], description="All of it, as a file."),
        ],
        responses={200: shapes.AuditEntryShape(many=True), (200, "text/csv"): OpenApiTypes.STR},
    )  # fmt: skip
    def get(self, request: Request) -> Any:
        """The audit log, newest first. Reading it is itself an entry."""
        caller = rest.caller_of(request)
        rows = caller.only_visible(AuditEntry.objects.all())
        given = request.query_params
        for name in ("actor", "target"):
            if value := given.get(name):
                rows = rows.filter(**{name: value})
        if value := given.get("action"):
            rows = rows.filter(action__startswith=value)
        if value := given.get("client"):
            rows = rows.filter(client_id=_uuid("client", value))
        if given.get("since") or given.get("until"):
            since, until = _stretch(request, timedelta(days=1))
            rows = rows.filter(at__gte=since, at__lt=until)
        services.audit(actor=caller.principal, action="monitoring.audit.read",
                       user_id=caller.user_id, after=dict(given.items()))  # fmt: skip
        if given.get("export") == "csv":
            return _as_csv(rows)
        return _page(request, rows, shapes.AuditEntryShape)


def _uuid(name: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise InvalidInput(name, value, "a UUID") from None


def _as_csv(rows: QuerySet[AuditEntry]) -> StreamingHttpResponse:
    """All of them, the oldest first, a page at a time: no cursor waits for a slow reader."""

    def entries() -> Iterator[tuple[Any, ...]]:
        page = rows.order_by("id").values_list(*AUDIT_COLUMNS)
        found = list(page[:AUDIT_AT_ONCE])
        while found:
            yield from found
            last = found[-1][AUDIT_COLUMNS.index("id")]
            found = list(page.filter(id__gt=last)[:AUDIT_AT_ONCE])

    lines = (
        [one.isoformat() if isinstance(one, datetime) else one for one in entry]
        for entry in entries()
    )
    return streamed(AUDIT_COLUMNS, lines, "audit.csv")


class AnomalyBacktest(APIView):
    scopes = {"POST": "monitoring:read"}

    @extend_schema(operation_id="anomalies_backtest", request=shapes.SeriesShape,
                   responses={200: shapes.ScoredShape(many=True), 422: PROBLEM})  # fmt: skip
    def post(self, request: Request) -> Response:
        """Score a series as the detector would have at the time: no row knows a later one."""
        shape = shapes.SeriesShape(data=request.data)
        shape.is_valid(raise_exception=True)
        lines = ["timestamp,value"]
        lines += [f"{row['timestamp']},{row['value']}" for row in shape.validated_data["rows"]]
        scored = backtest.backtest(backtest.read_series(lines))
        return Response(shapes.ScoredShape(list(scored), many=True).data)
