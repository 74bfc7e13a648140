"""Addresses of patterns, drift, examples, replays and cycles."""

from django.urls import URLPattern, URLResolver, path, re_path

from learning import api_loop as api
from learning.api import review, tuning

V1 = "api/v1/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(V1 + "patterns", api.Patterns.as_view()),
    path(V1 + "drift", api.DriftWindows.as_view()),
    path(V1 + "examples", api.Examples.as_view()),
    path(V1 + "examples/export", api.ExportExamples.as_view()),
    re_path(
        r"^api/v1/examples/(?P<example_id>[0-9a-f-]{36})/(?P<action>approve|reject|retire)$",
        api.DecideExample.as_view(),
    ),
    path(V1 + "agents/<slug:slug>/prompt-variations", api.PromptVariations.as_view()),
    path(V1 + "agents/<slug:slug>/retrieval-tuning", tuning.RetrievalTuning.as_view()),
    path(V1 + "tuning-jobs", tuning.TuningJobs.as_view()),
    path(V1 + "tuning-jobs/<uuid:job_id>", tuning.OneTuningJob.as_view()),
    path(V1 + "tuning-jobs/<uuid:job_id>/cancel", tuning.CancelTuningJob.as_view()),
    path(V1 + "cycles", api.Cycles.as_view()),
    path(V1 + "cycles/<uuid:cycle_id>", api.OneCycle.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>", review.OneImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/edit", review.EditImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/take-back", review.TakeBackImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/patch", api.Patch.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/work-item", api.Handoff.as_view()),
    path(V1 + "replays", api.Replays.as_view()),
    path(V1 + "replays/<uuid:replay_id>", api.OneReplay.as_view()),
]
