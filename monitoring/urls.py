"""Addresses of monitoring."""

from django.urls import URLPattern, path, re_path

from monitoring import api, doors, rotas_api, traces_api
from monitoring.pages import (
    boards,
    conversations,
    costs,
    domains,
    external,
    incidents,
    live,
    objectives,
    oncall,
    overview,
    panels,
    security,
)

V1 = "api/v1/"
D = "dashboard/"

PAGES: list[URLPattern] = [
    path("dashboard", overview.overview),
    path(D + "_attention", overview.attention),
    path(D + "_top", overview.top),
    path(D + "_open", overview.open_count),
    path(D + "_panel", panels.one),
    path(D + "_alerts", panels.alerts),
    path(D + "_stream", live.stream),
    path(D + "export.csv", panels.export),
    path(D + "traces", external.all_traces),
    path(D + "traces.csv", external.as_csv),
    path(D + "domains", domains.all_domains),
    path(D + "domains/<str:name>", domains.one),
    path(D + "conversations", conversations.overview),
    path(D + "costs", costs.overview),
    path(D + "costs.csv", costs.export),
    path(D + "objectives", objectives.scorecard),
    path(D + "sla", objectives.reports),
    path(D + "sla/<str:month>", objectives.report),
    path(D + "incidents", incidents.all_incidents),
    path(D + "incidents/<uuid:incident_id>", incidents.one),
    path(D + "alerts/<uuid:alert_id>", incidents.alert),
    path(D + "on-call", oncall.overview),
    path(D + "security", security.overview),
    path(D + "boards", boards.all_boards),
    path(D + "boards/<uuid:board_id>", boards.one),
]

urlpatterns = [
    *PAGES,
    path("healthz", doors.healthz),
    path("readyz", doors.readyz),
    path("metrics", doors.metrics),
    path("v1/traces", traces_api.Traces.as_view()),
    path(V1 + "traces", traces_api.ExternalTraces.as_view()),
    path(V1 + "metrics/query", api.MetricsQuery.as_view()),
    path(V1 + "alerts", api.Alerts.as_view()),
    path(V1 + "alert-rules", api.AlertRules.as_view()),
    path(V1 + "alert-rules/<slug:slug>", api.OneAlertRule.as_view()),
    path(V1 + "incidents", api.Incidents.as_view()),
    re_path(
        r"^api/v1/incidents/(?P<incident_id>[0-9a-f-]{36})/(?P<action>acknowledge|resolve)$",
        api.IncidentControl.as_view(),
    ),
    path(
        V1 + "incidents/<uuid:incident_id>/actions/<uuid:action_id>/undo",
        api.ActionUndo.as_view(),
    ),
    path(V1 + "rotas", rotas_api.Rotas.as_view()),
    path(V1 + "rotas/<uuid:rota_id>", rotas_api.OneRota.as_view()),
    path(V1 + "rotas/<uuid:rota_id>/overrides", rotas_api.Overrides.as_view()),
    path(V1 + "rotas/<uuid:rota_id>/overrides/<uuid:override_id>", rotas_api.OneOverride.as_view()),
    path(V1 + "silences", api.Silences.as_view()),
    path(V1 + "silences/<uuid:silence_id>", api.OneSilence.as_view()),
    path(V1 + "objectives", api.Objectives.as_view()),
    path(V1 + "costs", api.Costs.as_view()),
    path(V1 + "audit", api.Audit.as_view()),
    path(V1 + "security-events", api.SecurityEvents.as_view()),
    path(V1 + "anomalies/backtest", api.AnomalyBacktest.as_view()),
]
