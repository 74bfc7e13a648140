"""Addresses of feedback, improvements, experiments and rollouts."""

from django.urls import URLPattern, URLResolver, path, re_path

from learning import (
    again_pages,
    comparison_pages,
    feedback_pages,
    listing,
    pages,
    pattern_pages,
    report_pages,
)
from learning.api import experiments, feedback, layers

_ID = r"(?P<{}>[0-9a-f-]{{36}})"

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/feedback", feedback.FeedbackList.as_view(), name="feedback"),
    path("api/v1/feedback/<uuid:feedback_id>/category", feedback.FeedbackCategory.as_view()),
    path("api/v1/feedback/policies", feedback.AskingPolicies.as_view()),
    path("api/v1/feedback/requests", feedback.FeedbackRequests.as_view()),
    path("api/v1/scores", feedback.Scores.as_view(), name="scores"),
    path("dashboard/again", again_pages.all_again),
    path("dashboard/again.csv", again_pages.as_csv),
    path("dashboard/feedback", listing.said),
    path("dashboard/feedback.csv", listing.said_csv),
    path("dashboard/scores", listing.scores),
    path("dashboard/scores.csv", listing.scores_csv),
    path("api/v1/improvements", feedback.Improvements.as_view(), name="improvements"),
    re_path(
        rf"^api/v1/improvements/{_ID.format('improvement_id')}/(?P<action>approve|reject)$",
        feedback.DecideImprovement.as_view(),
        name="improvement-decide",
    ),
    path("api/v1/experiments", experiments.Experiments.as_view(), name="experiments"),
    path("api/v1/experiments/analysis", experiments.AnalyseStatistics.as_view()),
    path("api/v1/experiments/plan", experiments.PlanExperiment.as_view()),
    path(
        "api/v1/experiments/<uuid:experiment_id>",
        experiments.OneExperiment.as_view(),
        name="experiment",
    ),
    path(
        "api/v1/experiments/<uuid:experiment_id>/analysis",
        experiments.ExperimentAnalysis.as_view(),
        name="experiment-analysis",
    ),
    re_path(
        rf"^api/v1/experiments/{_ID.format('experiment_id')}"
        r"/(?P<action>start|pause|resume|stop)$",
        experiments.MoveExperiment.as_view(),
        name="experiment-move",
    ),
    path(
        "api/v1/experiments/<uuid:experiment_id>/roll-out",
        experiments.RollOutExperiment.as_view(),
        name="experiment-roll-out",
    ),
    path("api/v1/layers", layers.Layers.as_view(), name="layers"),
    path("api/v1/holdouts", layers.Holdouts.as_view(), name="holdouts"),
    path(
        "api/v1/holdouts/<uuid:holdout_id>/analysis",
        layers.HoldoutAnalysis.as_view(),
        name="holdout-analysis",
    ),
    path(
        "api/v1/holdouts/<uuid:holdout_id>/close",
        layers.CloseHoldout.as_view(),
        name="holdout-close",
    ),
    path("api/v1/rollouts", experiments.Rollouts.as_view(), name="rollouts"),
    path("api/v1/rollouts/drills", experiments.RollbackDrills.as_view(), name="rollout-drills"),
    path("api/v1/rollouts/<uuid:rollout_id>", experiments.OneRollout.as_view(), name="rollout"),
    re_path(
        rf"^api/v1/rollouts/{_ID.format('rollout_id')}"
        r"/(?P<action>advance|pause|resume|rollback)$",
        experiments.MoveRollout.as_view(),
        name="rollout-move",
    ),
    path("dashboard/learning", pages.learning),
    path("dashboard/learning/reports/<uuid:cycle_id>", report_pages.report),
    path("dashboard/learning/patterns/<uuid:pattern_id>", pattern_pages.pattern),
    path("dashboard/experiments", comparison_pages.all_experiments),
    path("dashboard/experiments.csv", comparison_pages.experiments_csv),
    path("dashboard/rollouts", comparison_pages.all_rollouts),
    path("dashboard/rollouts.csv", comparison_pages.rollouts_csv),
    path("dashboard/experiments/<uuid:experiment_id>", pages.experiment),
    path("dashboard/rollouts/<uuid:rollout_id>", pages.rollout),
    path("feedback/<str:token>", feedback_pages.by_link),
    path("dashboard/_feedback/<str:kind>/<uuid:subject_id>", feedback_pages.piece),
]
