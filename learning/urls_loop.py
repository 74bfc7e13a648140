"""Addresses of patterns, drift, examples, replays and cycles."""

from django.urls import URLPattern, URLResolver, path, re_path

from learning.api import cycles, examples, findings, handing, judges, review, trying, tuning

V1 = "api/v1/"

urlpatterns: list[URLPattern | URLResolver] = [
    path(V1 + "patterns", findings.Patterns.as_view()),
    path(V1 + "drift", findings.DriftWindows.as_view()),
    path(V1 + "examples", examples.Examples.as_view()),
    path(V1 + "examples/export", examples.ExportExamples.as_view()),
    re_path(
        r"^api/v1/examples/(?P<example_id>[0-9a-f-]{36})/(?P<action>approve|reject|retire)$",
        examples.DecideExample.as_view(),
    ),
    path(V1 + "agents/<slug:slug>/prompt-variations", trying.PromptVariations.as_view()),
    path(V1 + "agents/<slug:slug>/retrieval-tuning", tuning.RetrievalTuning.as_view()),
    path(V1 + "tuning-jobs", tuning.TuningJobs.as_view()),
    path(V1 + "tuning-jobs/<uuid:job_id>", tuning.OneTuningJob.as_view()),
    path(V1 + "tuning-jobs/<uuid:job_id>/cancel", tuning.CancelTuningJob.as_view()),
    path(V1 + "judges", judges.Judges.as_view()),
    path(V1 + "judges/measure", judges.MeasureJudge.as_view()),
    path(V1 + "judges/preferences", judges.Preferences.as_view()),
    path(V1 + "cycles", cycles.Cycles.as_view()),
    path(V1 + "cycles/<uuid:cycle_id>", cycles.OneCycle.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>", review.OneImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/edit", review.EditImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/replay", review.ReplayImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/done", review.DoneImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/take-back", review.TakeBackImprovement.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/patch", handing.Patch.as_view()),
    path(V1 + "improvements/<uuid:improvement_id>/work-item", handing.Handoff.as_view()),
    path(V1 + "replays", trying.Replays.as_view()),
    path(V1 + "replays/<uuid:replay_id>", trying.OneReplay.as_view()),
]
