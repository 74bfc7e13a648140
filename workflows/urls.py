"""Addresses of workflows."""

from django.urls import path, re_path

from workflows.api import approvals as approvals_api
from workflows.api import artifacts as artifacts_api
from workflows.api import definitions as definitions_api
from workflows.api import runs as runs_api
from workflows.api import triggers as triggers_api
from workflows.pages import (
    answered,
    approvals,
    dead,
    library,
    run,
    runs,
    schedules,
    steps,
    suggestions,
    versions,
)
from workflows.run_urls import UUID, V1

urlpatterns = [
    path(V1 + "dead-letters", runs_api.DeadLetters.as_view()),
    path(V1 + "dead-letters/<uuid:step_id>/requeue", runs_api.Requeue.as_view()),
    path(V1 + "schedules", triggers_api.Schedules.as_view()),
    path(V1 + "schedules/<uuid:schedule_id>", triggers_api.OneSchedule.as_view()),
    re_path(
        rf"^api/v1/schedules/(?P<schedule_id>{UUID})/(?P<action>pause|resume)$",
        triggers_api.SwitchSchedule.as_view(),
    ),
    path(V1 + "suggestions", triggers_api.Suggestions.as_view()),
    path(V1 + "suggestions/<uuid:suggestion_id>", triggers_api.OneSuggestion.as_view()),
    path(V1 + "suggestions/<uuid:suggestion_id>/start", triggers_api.StartSuggestion.as_view()),
    path(V1 + "suggestions/<uuid:suggestion_id>/dismiss", triggers_api.DismissSuggestion.as_view()),
    path(V1 + "watches", triggers_api.Watches.as_view()),
    path(V1 + "watches/<uuid:watch_id>", triggers_api.OneWatch.as_view()),
    path(V1 + "approvals", approvals_api.Approvals.as_view()),
    path(V1 + "approvals/<uuid:approval_id>", approvals_api.OneApproval.as_view()),
    path(V1 + "artifacts", artifacts_api.Artifacts.as_view()),
    path(V1 + "artifacts/<uuid:artifact_id>", artifacts_api.OneArtifact.as_view()),
    path(V1 + "workflows", definitions_api.Workflows.as_view()),
    path(V1 + "workflows/schema", definitions_api.Schema.as_view()),
    path(V1 + "workflows/validate", definitions_api.Validate.as_view()),
    path(V1 + "workflows/<str:name>/versions", definitions_api.Versions.as_view()),
    path(V1 + "workflows/<str:name>/statistics", definitions_api.Statistics.as_view()),
    path("dashboard/runs", runs.all_runs),
    path("dashboard/runs.csv", runs.as_csv),
    path("dashboard/steps", steps.all_steps),
    path("dashboard/steps.csv", steps.as_csv),
    path("dashboard/_runs", runs.latest),
    path("dashboard/runs/<uuid:run_id>", run.one_run),
    path("dashboard/runs/<uuid:run_id>/_live", run.live),
    path("dashboard/runs/<uuid:run_id>/_findings", run.found),
    path("dashboard/runs/<uuid:run_id>/steps/<uuid:step_id>", run.step),
    path("dashboard/runs/<uuid:run_id>/steps/<uuid:step_id>/requeue", run.requeue),
    path("dashboard/runs/<uuid:run_id>/steps/<slug:step_id>", run.step),
    path("dashboard/runs/<uuid:run_id>/lines/<str:line_id>", run.line),
    re_path(
        rf"^dashboard/runs/(?P<run_id>{UUID})/(?P<action>cancel|pause|resume|retry|fork|signal)$",
        run.control,
    ),
    path("dashboard/dead-letters", dead.all_dead),
    path("dashboard/_waiting", approvals.waiting),
    path("dashboard/approvals", approvals.all_open),
    path("dashboard/approvals/answered", answered.all_answered),
    path("dashboard/approvals/answered.csv", answered.as_csv),
    path("dashboard/approvals/<uuid:approval_id>", approvals.one),
    path("dashboard/schedules", schedules.all_schedules),
    path("dashboard/schedules/new", schedules.new),
    path("dashboard/schedules/<uuid:schedule_id>", schedules.one),
    re_path(
        rf"^dashboard/schedules/(?P<schedule_id>{UUID})/(?P<action>pause|resume|delete)$",
        schedules.switch,
    ),
    path("dashboard/_suggestions", suggestions.waiting),
    path("dashboard/suggestions", suggestions.all_open),
    path("dashboard/suggestions/<uuid:suggestion_id>", suggestions.one),
    path("dashboard/workflows", library.all_workflows),
    path("dashboard/workflows/<str:name>", library.one),
    path("dashboard/workflows/<str:name>/versions", versions.change),
    path("dashboard/publish", versions.publish),
]
