"""Children of the tests, started as an instance starts its own: copies of one warm process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

from config.supervisor.forked import Forked, ForkServer
from config.supervisor.programs import LOADED_ONCE

_ROOT = Path(__file__).parents[1]
# What workers of the whole program load besides; all that imports no framework, and so no settings.
_LIBRARIES = ("fsspec", "markdown", "numpy", "pyarrow.parquet", "requests")
_warm: ForkServer | None = None


def _domains() -> list[str]:
    """The modules of the apps' domains: half of what a worker would load for itself each time.

    What trains a model is not among them: it needs libraries that no worker loads.
    """
    found = (path.relative_to(_ROOT) for path in sorted(_ROOT.glob("*/domain/**/*.py")))
    names = (".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in found)
    return [name for name in names if "training" not in name.split(".")]


def start(module: str, *arguments: str, env: Mapping[str, str], log: Path) -> Forked:
    """``python -m module`` in a session of its own, with its output appended to ``log``."""
    global _warm
    if _warm is None:
        own = Path(gettempdir()) / f"forkserver-{os.getpid()}.log"
        _warm = ForkServer((*LOADED_ONCE, *_LIBRARIES, *_domains()), log=own)
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
