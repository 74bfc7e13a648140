"""Start, pause, resume and stop comparisons; fold their outcomes; act on their verdicts."""

from learning.experiments.drafting import create
from learning.experiments.judging import document, refresh, sweep
from learning.experiments.moving import (
    busy_agents,
    find,
    freeze,
    pause,
    resume,
    start,
    stop,
    stop_by_machine,
    thaw,
)

__all__ = [
    "busy_agents", "create", "document", "find", "freeze", "pause", "refresh", "resume", "start",
    "stop", "stop_by_machine", "sweep", "thaw",
]  # fmt: skip
