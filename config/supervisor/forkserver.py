"""A process that has the libraries loaded, and whose copies become the instance's programs.

Every program of an instance loads the same libraries, which takes each of them seconds of CPU.
This process loads them once and forks; a copy then runs its module as ``python -m`` would. What
reads settings is not loaded here, because each program has an environment of its own. Copies
share the memory of what is loaded here.

Run as ``python -m config.supervisor.forkserver SOCKET PARENT MODULE…`` where ``SOCKET`` is the
number of an inherited socket (JSON lines, see ``Order``). ``forked.ForkServer`` holds its other
end.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from setproctitle import getproctitle, setproctitle

_PR_SET_PDEATHSIG = 1
_CANNOT_START = 127  # what a shell returns for a program it can't run


@dataclass(frozen=True, slots=True)
class Order:
    """What a copy is to become."""

    module: str
    arguments: list[str]
    env: dict[str, str]
    log: str
    folder: str
    niceness: int

    def line(self) -> bytes:
        """As it goes over the socket."""
        return json.dumps(asdict(self)).encode() + b"\n"


def load(names: Iterable[str]) -> None:
    """Import modules; one that is missing is left out."""
    for name in names:
        # The program that needs it says so better than this process could.
        with suppress(ImportError):
            importlib.import_module(name)


def serve(door: socket.socket, parent: int) -> Order | None:
    """In a copy: what it is to become. In this process: None, once nobody asks any more."""
    with door.makefile("rb") as lines:
        for line in lines:
            order = Order(**json.loads(line))
            try:
                pid = _copy(parent)
            except OSError as error:  # the table of processes is full
                door.sendall(json.dumps({"error": str(error)}).encode() + b"\n")
                continue
            if pid == 0:
                return order
            door.sendall(json.dumps({"pid": pid}).encode() + b"\n")
    return None


def _copy(parent: int) -> int:
    """Fork a process that is ``parent``'s child, not ours: its pid; 0 in the copy itself.

    One in between forks and ends, and the kernel gives its orphan to the nearest ancestor that
    takes orphans in (PR_SET_CHILD_SUBREAPER), which is ``parent``.
    """
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(reading)
        forker = os.getpid()
        try:
            copy = os.fork()
        except OSError:
            os._exit(1)
        if copy:
            os.write(writing, str(copy).encode())
            os._exit(0)
        os.close(writing)
        _be_adopted(parent, forker)
        return 0
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(between, 0)
    if not told:
        raise OSError("cannot fork")
    return int(told)


def _be_adopted(parent: int, forker: int) -> None:
    """Wait until ``forker``, which made us, has ended, and die with ``parent`` from then on."""
    os.setsid()
    while os.getppid() == forker:
        time.sleep(0.001)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be bound to us
        os._exit(0)


def become(order: Order) -> None:
    """Run the order's module in this process, as ``python -m`` would."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, max(nothing, output) + 1)
    os.environ.clear()
    os.environ.update(order.env)
    os.nice(order.niceness)
    os.chdir(order.folder)
    sys.argv = [order.module, *order.arguments]
    name = order.env.get("RATCHET_PROCESS", "python")
    setproctitle(f"{name} -m {order.module} {' '.join(order.arguments)}")
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def main(door: str, parent: str, *modules: str) -> None:
    """Serve until the other end closes; in a copy, become what was ordered."""
    with socket.socket(fileno=int(door)) as asked:
        getproctitle()  # finds the title's place, which it can't once the environment is another
        gc.disable()
        load(modules)
        # What is loaded stays: a collection in a copy would only copy its pages.
        gc.freeze()
        order = serve(asked, int(parent))
    if order is not None:
        gc.enable()
        become(order)


if __name__ == "__main__":
    main(*sys.argv[1:])
