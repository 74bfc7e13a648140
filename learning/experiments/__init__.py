"""Start, pause, resume and stop comparisons; fold their outcomes; act on their verdicts."""

from learning.experiments.drafting import create
from learning.experiments.judging import document, read, refresh, sweep
from learning.experiments.layers import close_holdout, create_layer, open_holdout, taken
from learning.experiments.moving import (
    busy_agents,
    discard,
    find,
    freeze,
    pause,
    resume,
    start,
    stop,
    stop_by_machine,
    thaw,
)
from learning.experiments.overlaps import overlaps
from learning.experiments.shifting import next_look_at
from learning.experiments.shipping import candidate, roll_out
from learning.experiments.stopping import taken_out
from learning.experiments.subjects import batches_of, stopped_arms

__all__ = [
    "batches_of", "busy_agents", "candidate", "close_holdout", "create", "create_layer",
    "discard", "document", "find", "freeze", "next_look_at", "open_holdout", "overlaps", "pause",
    "read", "refresh", "resume", "roll_out", "start", "stop", "stop_by_machine", "stopped_arms",
    "sweep", "taken", "taken_out", "thaw",
]  # fmt: skip
