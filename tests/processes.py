"""Children of the tests, started as an instance starts its own: copies of one warm process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory, gettempdir

from config.supervisor.forked import Forked, ForkServer
from config.supervisor.programs import LOADED_ONCE

_ROOT = Path(__file__).parents[1]
# What workers of the whole program load besides; all that imports no framework, and so no settings.
_LIBRARIES = ("fsspec", "markdown", "numpy", "pyarrow.parquet", "requests")
# Three processes of the suite may load them at once, beside all that they do.
_LOADED_SECONDS = 300.0
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
        modules = (*LOADED_ONCE, *_LIBRARIES, *_domains())
        _warm = ForkServer(modules, log=own, answer_seconds=_LOADED_SECONDS)
        _warm.start()
    forked = _warm.run(module, arguments, log=log, env=env)
    assert forked is not None, "the fork server has ended"
    return forked


def manage(*arguments: str, env: Mapping[str, str]) -> CompletedProcess[str]:
    """What ``manage.py`` with these arguments says and how it ends."""
    argv = ("manage.py", *arguments)
    with TemporaryDirectory() as folder:
        said, errors = Path(folder) / "said", Path(folder) / "errors"
        code = start("tests.manage", str(errors), *arguments, env=env, log=said).wait(300)
        return CompletedProcess(argv, code, said.read_text(), errors.read_text())


@cache
def known_tasks(process: str) -> frozenset[str]:
    """The names of all tasks that an instance's process of this name knows."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "told"
        about = {"RATCHET_PROCESS": process, "CELERY_SKIP_CHECKS": "1",
                 "DJANGO_SETTINGS_MODULE": "config.settings"}  # fmt: skip
        asked = start("tests.known_tasks", env={**os.environ, **about}, log=log)
        assert asked.wait(120) == 0, log.read_text()
        return frozenset(json.loads(log.read_text().splitlines()[-1]))


def stop() -> None:
    """End the warm process, if one was started."""
    global _warm
    if _warm is not None:
        _warm.stop()
        _warm = None
