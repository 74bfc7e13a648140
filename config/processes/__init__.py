"""Child processes that are known by more than a number and do not outlive their parent.

A pid alone is reused by the kernel; a pid with its start time and the machine's boot is not, so
a recorded ``Identity`` may be signalled long after it was written down. Every child starts in a
session of its own (a Ctrl-C in the terminal reaches only the parent, which stops its children in
order) and asks the kernel for a signal should the parent die without doing so (``bound.py``).

Linux only: start times and names are read from ``/proc``.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOUND = Path(__file__).with_name("bound.py")
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that a child runs as."""

    uid: int
    gid: int

    @classmethod
    def of_name(cls, name: str) -> Account:
        """The account called ``name``. Raises KeyError if the machine has none."""
        entry = pwd.getpwnam(name)
        return cls(entry.pw_uid, entry.pw_gid)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process for all time: pid, start in clock ticks since boot, and which boot."""

    pid: int
    start_ticks: int
    boot: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return identity(self.pid) == self


def identity(pid: int) -> Identity | None:
    """Who ``pid`` is now, or None if nobody or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold blanks and parentheses itself: count from its end.
    fields = stat.rpartition(")")[2].split()
    state, start_ticks = fields[0], int(fields[19])
    return None if state in "ZX" else Identity(pid, start_ticks, _boot_id())


def myself() -> Identity:
    """Who this process is."""
    found = identity(os.getpid())
    if found is None:
        raise RuntimeError("/proc does not show this process")
    return found


def program_name(pid: int) -> str:
    """The kernel's name of a process (at most 15 characters); empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def spawn(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in its own session, with its output appended to ``log``.

    It gets ``death_signal`` when this process dies, however that happens. Call it from the main
    thread: the kernel means the *thread* that started the child, so a child of another thread
    is started without that bond. Of open files it gets those numbered in ``keep``. Raises OSError
    if the log or the program can't be opened.
    """
    words = [os.fspath(word) for word in argv]
    bond = death_signal if threading.current_thread() is threading.main_thread() else 0
    if bond or account is not None:
        who = f"{account.uid}:{account.gid}" if account else "-"
        # -I -S: the wrapper needs nothing but the standard library, and starts in 20 ms.
        wrapper = [sys.executable, "-I", "-S", os.fspath(_BOUND)]
        words = [*wrapper, str(int(bond)), str(os.getpid()), who, *words]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=keep,
        )


def run(
    argv: Sequence[str | os.PathLike[str]], *, account: Account | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, as another account if given; never raises for its code."""
    return subprocess.run(  # noqa: S603  # every caller names its program
        argv,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def ended_children() -> set[int]:
    """This process's children that have ended and that nobody has waited for yet."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def wait_gone(who: Identity, *, seconds: float) -> bool:
    """Whether the process is gone within ``seconds``; also true for processes of others."""
    deadline = time.monotonic() + seconds
    while who.alive:
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def send_signal(who: Identity, number: signal.Signals, *, group: bool = False) -> None:
    """Signal exactly this process (or its group), or nobody if it is gone."""
    if not who.alive:
        return
    try:
        if group:
            os.killpg(who.pid, number)
        else:
            os.kill(who.pid, number)
    except ProcessLookupError:
        return


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
