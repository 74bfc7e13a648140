"""Tables of learning, a module a subject."""

from learning.models.cycles import Cycle, CycleStep
from learning.models.drifts import DriftWindow
from learning.models.examples import Example
from learning.models.experiments import ArmDay, Experiment, Rollout, StageSums, Unit, Variant
from learning.models.feedback import Feedback, FeedbackRequest, Score, Subject
from learning.models.improvements import Improvement, Tombstone
from learning.models.judges import Judge, Preference
from learning.models.layers import Holdout, Layer
from learning.models.patterns import Pattern, PatternCount
from learning.models.policies import AskingPolicy, TrialPolicy
from learning.models.replays import Replay, ReplayCase, Study
from learning.models.tuning import TuningJob

__all__ = [
    "ArmDay",
    "AskingPolicy",
    "Cycle",
    "CycleStep",
    "DriftWindow",
    "Example",
    "Experiment",
    "Feedback",
    "FeedbackRequest",
    "Holdout",
    "Improvement",
    "Judge",
    "Layer",
    "Pattern",
    "PatternCount",
    "Preference",
    "Replay",
    "ReplayCase",
    "Rollout",
    "Score",
    "StageSums",
    "Study",
    "Subject",
    "Tombstone",
    "TrialPolicy",
    "TuningJob",
    "Unit",
    "Variant",
]
