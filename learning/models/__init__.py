"""Tables of learning, a module a subject."""

from learning.models.cycles import Cycle, CycleStep
from learning.models.drifts import DriftWindow
from learning.models.examples import Example
from learning.models.patterns import Pattern, PatternCount
from learning.models.replays import Replay, ReplayCase, Study

__all__ = [
    "Cycle",
    "CycleStep",
    "DriftWindow",
    "Example",
    "Pattern",
    "PatternCount",
    "Replay",
    "ReplayCase",
    "Study",
]
