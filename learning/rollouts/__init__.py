"""Bring a version to everybody in stages, and back by itself."""

from learning.rollouts.judging import UNMET, document, read, refresh, sweep
from learning.rollouts.moving import (
    OPEN,
    advance,
    back,
    begin,
    check_free,
    check_no_experiment,
    find,
    hold,
    let_go,
    pause,
    resume,
    rollback,
)
from learning.rollouts.stages import STRATEGIES, checked_plan, inherited_test

__all__ = [
    "OPEN", "STRATEGIES", "UNMET", "advance", "back", "begin", "check_free", "check_no_experiment",
    "checked_plan", "document", "find", "hold", "inherited_test", "let_go", "pause", "read",
    "refresh", "resume", "rollback", "sweep",
]  # fmt: skip
