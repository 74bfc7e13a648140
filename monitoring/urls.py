"""Addresses of monitoring."""

from django.urls import path, re_path

from monitoring import api, doors, pages, traces_api

V1 = "api/v1/"

urlpatterns = [
    path("dashboard", pages.overview),
    path("healthz", doors.healthz),
    path("readyz", doors.readyz),
    path("metrics", doors.metrics),
    path("v1/traces", traces_api.Traces.as_view()),
    path(V1 + "traces", traces_api.ExternalTraces.as_view()),
    path(V1 + "metrics/query", api.MetricsQuery.as_view()),
    path(V1 + "alerts", api.Alerts.as_view()),
    path(V1 + "alert-rules", api.AlertRules.as_view()),
    path(V1 + "incidents", api.Incidents.as_view()),
    re_path(
        r"^api/v1/incidents/(?P<incident_id>[0-9a-f-]{36})/(?P<action>acknowledge|resolve)$",
        api.IncidentControl.as_view(),
    ),
    path(
        V1 + "incidents/<uuid:incident_id>/actions/<uuid:action_id>/undo",
        api.ActionUndo.as_view(),
    ),
    path(V1 + "silences", api.Silences.as_view()),
    path(V1 + "objectives", api.Objectives.as_view()),
    path(V1 + "costs", api.Costs.as_view()),
    path(V1 + "audit", api.Audit.as_view()),
    path(V1 + "security-events", api.SecurityEvents.as_view()),
    path(V1 + "anomalies/backtest", api.AnomalyBacktest.as_view()),
]
