"""Become another program that dies with its parent: ``bound.py SIGNAL PARENT UID:GID|- ARGV…``.

Run as a script between fork and exec. A ``preexec_fn`` would do the same, but Python code between
fork and exec can deadlock once the parent has threads. The order matters: the kernel forgets the
death signal when the credentials change, and a parent that died before the call sends nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CANNOT_START = 127  # what a shell returns for a program it can't run


def main(number: str, parent: str, who: str, *argv: str) -> None:
    """Never returns: executes ``argv`` or ends the process."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if who != "-":
        uid, gid = (int(part) for part in who.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if int(number):
        prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != int(parent):
            os._exit(0)
    os.execvp(argv[0], argv)  # noqa: S606


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        print(f"FATAL: cannot start {sys.argv[4]}: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(_CANNOT_START)
