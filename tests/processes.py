"""Children of the tests, started as an instance starts its own: copies of one warm process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

from config.supervisor.forked import Forked, ForkServer
from config.supervisor.programs import LOADED_ONCE

_warm: ForkServer | None = None


def start(module: str, *arguments: str, env: Mapping[str, str], log: Path) -> Forked:
    """``python -m module`` in a session of its own, with its output appended to ``log``."""
    global _warm
    if _warm is None:
        _warm = ForkServer(LOADED_ONCE, log=Path(gettempdir()) / f"forkserver-{os.getpid()}.log")
        _warm.start()
    forked = _warm.run(module, arguments, log=log, env=env)
    assert forked is not None, "the fork server has ended"
    return forked


def stop() -> None:
    """End the warm process, if one was started."""
    global _warm
    if _warm is not None:
        _warm.stop()
        _warm = None
