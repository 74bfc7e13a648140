"""One running instance of a home folder: its lock, its record, and what an unclean stop left."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from config.processes import Identity, myself, send_signal, wait_gone
from config.supervisor.errors import AlreadyRunning, StartFailed

_LOCK = "up.lock"
_RECORD = "up.json"
_LEFTOVER_SECONDS = 20.0
_KILL_SECONDS = 5.0
# The record is written right after the lock is taken.
_RECORD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Instance:
    """What others may know of a running instance."""

    url: str
    flower_url: str
    ready: bool
    supervisor: Identity
    children: Mapping[str, Identity]


def running(home: Path) -> Instance | None:
    """The instance that runs on this home folder, ready or not; None if there is none."""
    instance = _read(home)
    return instance if instance and instance.supervisor.alive else None


def take_lock(home: Path) -> int:
    """Be the one instance of this home folder; the lock is held until its descriptor closes.

    Raises AlreadyRunning with the other's pid and address.
    """
    file = home / _LOCK
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartFailed("instance", f"cannot write {file}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        other = _await_record(home)
        pid = other.supervisor.pid if other else 0
        raise AlreadyRunning(pid, other.url if other else "", home) from None
    return lock


def write(home: Path, *, url: str, flower_url: str, ready: bool,
          children: Mapping[str, Identity]) -> None:  # fmt: skip
    """Record this process's instance (readable by its owner only)."""
    partial = home / f".{_RECORD}"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as stream:
        json.dump(
            asdict(Instance(url, flower_url, ready, myself(), dict(children))), stream, indent=1
        )
    partial.replace(home / _RECORD)


def remove(home: Path) -> None:
    (home / _RECORD).unlink(missing_ok=True)


def end_leftovers(home: Path) -> list[str]:
    """End the processes of an instance whose supervisor was killed; returns their names.

    The kernel has sent them SIGTERM already; this waits, and kills who did not listen.
    """
    instance = _read(home)
    if instance is None:
        return []
    left = {name: who for name, who in instance.children.items() if who.alive}
    for who in left.values():
        send_signal(who, signal.SIGTERM)
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    for who in left.values():
        if not wait_gone(who, seconds=max(0.0, deadline - time.monotonic())):
            send_signal(who, signal.SIGKILL, group=True)
            wait_gone(who, seconds=_KILL_SECONDS)
    return sorted(left)


def _await_record(home: Path) -> Instance | None:
    deadline = time.monotonic() + _RECORD_SECONDS
    while (found := running(home)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _read(home: Path) -> Instance | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        raw = json.loads((home / _RECORD).read_text())
        return Instance(
            url=raw["url"],
            flower_url=raw["flower_url"],
            ready=raw["ready"],
            supervisor=Identity(**raw["supervisor"]),
            children={name: Identity(**who) for name, who in raw["children"].items()},
        )
    return None
