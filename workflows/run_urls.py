"""Addresses of runs, which are called more than all others of workflows together."""

from django.urls import path, re_path

from workflows import stream
from workflows.api import runs as runs_api

V1 = "api/v1/"
# What ``<uuid:…>`` takes, for addresses that are patterns.
UUID = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"

urlpatterns = [
    path(V1 + "runs", runs_api.Runs.as_view()),
    path(V1 + "runs/<uuid:run_id>", runs_api.OneRun.as_view()),
    path(V1 + "runs/<uuid:run_id>/events", stream.run_events),
    re_path(
        rf"^api/v1/runs/(?P<run_id>{UUID})/(?P<action>cancel|pause|resume|retry|fork|signal)$",
        runs_api.RunControl.as_view(),
    ),
]
