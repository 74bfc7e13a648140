"""Wait until an instance serves: first the web process, then work that is really consumed."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from config.supervisor.errors import StartFailed

_TRY_SECONDS = 5.0
_PAUSE_SECONDS = 0.2
# A cold start reads a few hundred megabytes of packages from a slow disk.
READY_SECONDS = 180.0


def wait_ready(
    url: str,
    *,
    stopped: threading.Event,
    trouble: Callable[[], StartFailed | None],
    say: Callable[[str], None],
) -> bool:
    """True once ``/readyz`` says so; False if ``stopped`` was set first.

    Raises StartFailed when a process keeps dying (``trouble`` knows) or time is up, with what
    ``/readyz`` misses.
    """
    began = time.monotonic()
    alive = False
    missing = "no answer from the web process"
    while not stopped.wait(_PAUSE_SECONDS):
        failed = trouble()
        if failed is not None:
            raise failed
        if not alive:
            alive, _ = _ask(f"{url}/healthz")
            if alive:
                say(f"web answers after {time.monotonic() - began:.1f} s")
                missing = "no worker has answered"
        if alive:
            ready, body = _ask(f"{url}/readyz")
            if ready:
                return True
            missing = body or missing
        if time.monotonic() - began > READY_SECONDS:
            raise StartFailed("instance", f"not ready in {READY_SECONDS:g} s: {missing}")
    return False


def _ask(url: str) -> tuple[bool, str]:
    try:
        with urllib.request.urlopen(url, timeout=_TRY_SECONDS) as answer:  # noqa: S310
            return answer.status == 200, ""
    except urllib.error.HTTPError as error:
        with error:
            return False, _detail(error.read(4096))
    except OSError:
        return False, ""


def _detail(body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    return str(problem.get("detail") or problem)[:300] if isinstance(problem, dict) else ""
