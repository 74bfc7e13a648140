"""Servers that an unclean stop left behind: found, and ended as they would have been.

A record may be lost and a postmaster may be dead with its children alive, so a process counts as
ours if its working directory is the service's data folder and it bears the server's name.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

from config.processes import Account, Identity, identity, program_name, run, send_signal, wait_gone

# Long enough for a checkpoint of a busy server on a slow disk; then it is taken down harder.
_POLITE_SECONDS = 60.0
_FIRM_SECONDS = 10.0
# Runs as the services' account: the kernel shows a process's working directory only to its own
# user (and to a root with more rights than containers give).
_SCAN = """for p in /proc/[0-9]*; do [ "$p/cwd" -ef "$1" ] && echo "${p#/proc/}"; done; :"""


def find(folder: Path, *, program: str, account: Account | None) -> list[Identity]:
    """Every running ``program`` whose working directory is ``folder``."""
    if not folder.exists():
        return []
    scan = run(["/bin/sh", "-c", _SCAN, "sh", folder], account=account)
    found = (identity(int(pid)) for pid in scan.stdout.split())
    return [who for who in found if who and program_name(who.pid) == program]


def end(servers: Iterable[Identity], *, polite: signal.Signals) -> int:
    """Stop these servers, ``polite`` first; returns how many there were.

    PostgreSQL's children follow their postmaster, so signalling all of them is harmless.
    """
    remaining = list(servers)
    count = len(remaining)
    for number, seconds in (
        (polite, _POLITE_SECONDS),
        (signal.SIGQUIT, _FIRM_SECONDS),
        (signal.SIGKILL, _FIRM_SECONDS),
    ):
        for who in remaining:
            send_signal(who, number)
        remaining = [who for who in remaining if not wait_gone(who, seconds=seconds)]
        if not remaining:
            break
    return count
