"""``manage.py up``: the whole instance in the foreground, from nothing to ready and back."""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from config import embedded, launch
from config.demo.audit import FLOWER_USER, run_audit
from config.embedded import place, state
from config.errors import AppError
from config.supervisor import instance, preparation
from config.supervisor.child import Child
from config.supervisor.errors import PortInUse, StartFailed
from config.supervisor.fleet import TICK_SECONDS, Fleet
from config.supervisor.forked import ForkServer
from config.supervisor.programs import LOADED_ONCE, Ports, programs
from config.supervisor.readiness import wait_ready
from config.supervisor.signals import StopAsked, StopSignals

DEFAULT_PORT = 8000
# A process that dies this often before the instance is ready will not get better.
_FATAL_DEATHS = 3
# What runs after everything is ready, in a thread; True means success.
Job = Callable[..., bool]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. ``port`` 0 takes any free one."""

    port: int = DEFAULT_PORT
    host: str = "127.0.0.1"
    once: bool = False
    flower: bool = True


class Up:
    """One instance in the foreground. ``run`` returns the exit code."""

    def __init__(self, options: Options, *, job: Job | None, console: Console) -> None:
        self.options = options
        self.console = console
        self.home: Path = launch.home()
        self.flower_auth = ""
        self._job = job
        self._signals = StopSignals()
        self._stopped = threading.Event()
        self._outcome: bool | AppError | None = None
        self._began = time.monotonic()
        self._ports = Ports(0, 0, 0)
        self._ready = False

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.options.host in {"0.0.0.0", ""} else self.options.host  # noqa: S104
        return f"http://{host}:{self._ports.web}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self._ports.flower}" if self.options.flower else ""

    def say(self, line: str) -> None:
        """One line of news, with the seconds since the start."""
        seconds = time.monotonic() - self._began
        self.console.print(
            f"[{seconds:6.1f} s] {line}", markup=False, highlight=False, soft_wrap=True
        )

    def run(self) -> int:
        """Start everything, run the job, serve until asked to stop; then stop everything.

        Returns 0, or 1 if ``once`` and the job failed. Raises AppError if it can't start.
        """
        self._signals.install()
        with ExitStack() as cleanup:
            try:
                with self._signals:
                    fleet = self._start(cleanup)
            except StopAsked:
                self.say("stopped before it was up")
                return 130
            return self._serve(fleet)

    # ------------------------------------------------------------ up

    def _start(self, cleanup: ExitStack) -> Fleet:
        place.settle(self.home)
        (self.home / "static").mkdir(exist_ok=True)  # its absence is a warning in the web's log
        lock = instance.take_lock(self.home)
        cleanup.callback(os.close, lock)
        left = instance.end_leftovers(self.home)
        if left:
            self.say(f"ended {', '.join(left)}, left by an unclean stop")
        self._ports = self._choose_ports()
        cleanup.callback(instance.remove, self.home)
        forks = ForkServer(LOADED_ONCE, log=self.home / "logs" / "forkserver.log")
        cleanup.callback(forks.stop)
        forks.start()  # it loads while PostgreSQL and Redis start
        self._record({})
        services = self._start_services()
        if services is not None:
            cleanup.callback(services.stop)
        env = self._environment(services.services if services else embedded.Services())
        self._prepare(env, services)
        self.flower_auth = f"{FLOWER_USER}:{state.password(self.home, 'flower')}"
        chosen = programs(
            self._ports,
            host=self.options.host,
            flower_auth=self.flower_auth,
            flower=self.options.flower,
        )
        children = [Child(program, logs=self.home / "logs", forks=forks) for program in chosen]
        fleet = Fleet(children, services=services, environment=self._environment, say=self.say)
        # Last in, first out: children stop before the services they lean on.
        cleanup.callback(self._stop, fleet)
        fleet.start()
        self.say(f"started {', '.join(child.name for child in children)}")
        return fleet

    def _choose_ports(self) -> Ports:
        port, host = self.options.port, self.options.host
        if port == 0:
            port = state.port(self.home, "web")
        elif not state.port_is_free(port, host):
            raise PortInUse(port, host)
        offline = not (os.environ.get("OPENAI_BASE_URL") or os.environ.get("MODEL_ENDPOINTS"))
        return Ports(
            web=port,
            flower=state.port(self.home, "flower"),
            offline_model=state.port(self.home, "offline_model") if offline else 0,
        )

    def _start_services(self) -> embedded.Handle | None:
        wanted = {name: not os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL")}
        if not any(wanted.values()):
            return None
        began = time.monotonic()
        handle = embedded.start(
            self.home,
            with_postgres=wanted["DATABASE_URL"],
            with_redis=wanted["REDIS_URL"],
            note=self.say,
        )
        verb = "started" if handle.owned else "found running"
        names = [
            name
            for name, url in (
                ("PostgreSQL", handle.services.database_url),
                ("Redis", handle.services.redis_url),
            )
            if url
        ]
        self.say(f"{' and '.join(names)} {verb} in {time.monotonic() - began:.1f} s")
        return handle

    def _prepare(self, env: Mapping[str, str], services: embedded.Handle | None) -> None:
        if preparation.is_current(self.home, env["DATABASE_URL"]):
            return
        began = time.monotonic()
        self.say("preparing the database: tables, catalogue, demo people")
        own = services.services.database_owner_url if services else ""
        owner = os.environ.get("DATABASE_OWNER_URL") or own
        with_owner = {**env, **({"DATABASE_OWNER_URL": owner} if owner else {})}
        preparation.prepare(self.home, with_owner, env["DATABASE_URL"])
        self.say(f"database prepared in {time.monotonic() - began:.1f} s")

    def _environment(self, services: embedded.Services) -> dict[str, str]:
        """The variables of every child. None gets the address of the tables' owner."""
        env = {**os.environ, **launch.environment(services, owner=False)}
        for name in ("RATCHET_DB_ROLE", "DATABASE_OWNER_URL"):
            env.pop(name, None)
        env |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "RATCHET_HOME": str(self.home),
            "RATCHET_URL": self.url,
            "FLOWER_URL": os.environ.get("FLOWER_URL") or self.flower_url,
            "PYTHONUNBUFFERED": "1",
        }
        if self._ports.offline_model:
            env["OFFLINE_MODEL_URL"] = f"http://127.0.0.1:{self._ports.offline_model}/v1"
        return env

    # ------------------------------------------------------------ serve

    def _serve(self, fleet: Fleet) -> int:
        worker = threading.Thread(target=self._await_and_work, args=(fleet,), daemon=True)
        worker.start()
        while not self._signals.asked:
            fleet.tick()
            if fleet.changed:
                self._record(fleet.identities())
            if self._outcome is not None and self._over():
                break
            time.sleep(TICK_SECONDS)
        self._stopped.set()
        if isinstance(self._outcome, AppError):
            raise self._outcome
        if self.options.once:
            return 0 if self._outcome is True else 1
        return 0

    def _over(self) -> bool:
        """Whether the job's end is the instance's: with ``once``, or if it never got ready."""
        return self.options.once or not self._ready

    def _await_and_work(self, fleet: Fleet) -> None:
        try:
            if not wait_ready(
                self.url,
                stopped=self._stopped,
                trouble=lambda: _trouble(fleet),
                say=self.say,
            ):
                return
            self._ready = True
            fleet.changed = True  # write down that it is ready
            self.say(f"ready in {time.monotonic() - self._began:.1f} s: {self.url}")
            self._outcome = self._work()
        except AppError as error:
            self._outcome = error if self._over() else False
            if not self._over():
                self.say(str(error))

    def _work(self) -> bool:
        if self._job is None:
            return True
        return self._job(
            url=self.url,
            flower_url=self.flower_url,
            home=self.home,
            stopped=self._stopped,
            console=self.console,
        )

    def _record(self, children: Mapping[str, instance.Identity]) -> None:
        with suppress(OSError):  # a full disk must not end what runs
            instance.write(
                self.home,
                url=self.url,
                flower_url=self.flower_url,
                ready=self._ready,
                children=children,
            )

    # ------------------------------------------------------------ down

    def _stop(self, fleet: Fleet) -> None:
        self.say("stopping: web and beat, workers, Flower and model, Redis, PostgreSQL")
        fleet.stop(hurry=lambda: self._signals.hurry)
        fleet.release()
        self.say("stopped")


def _trouble(fleet: Fleet) -> StartFailed | None:
    """The first process that has died too often to become ready."""
    for child in fleet.children:
        if child.failures >= _FATAL_DEATHS:
            return StartFailed(child.name, child.last_words(), child.log)
    return None


def add_options(words: argparse.ArgumentParser) -> None:
    """The command's options; ``PORT`` and ``HOST`` of the environment are their defaults."""
    port = os.environ.get("PORT") or str(DEFAULT_PORT)
    host = os.environ.get("HOST") or "127.0.0.1"
    words.add_argument("--once", action="store_true", help="stop after the audit; 0: it succeeded")
    words.add_argument("--port", default=port, help="web port; 0 takes any free one")
    words.add_argument("--host", default=host, help="address that the web port is opened on")
    words.add_argument("--no-demo", action="store_true", help="serve without running the audit")
    words.add_argument("--no-flower", action="store_true", help="without the Flower page")


def _port(text: str) -> int:
    with suppress(ValueError):
        if 0 <= (number := int(text)) <= 65535:
            return number
    raise StartFailed("web", f"PORT={text!r}: must be a whole number from 0 to 65535")


def options_from(argv: Sequence[str]) -> tuple[Options, bool]:
    """The parsed options, and whether the audit is to run. Raises StartFailed for a bad port."""
    words = argparse.ArgumentParser(prog="manage.py up", description=__doc__)
    add_options(words)
    given = words.parse_args(list(argv))
    chosen = Options(_port(given.port), given.host, given.once, not given.no_flower)
    return chosen, not given.no_demo


def main(argv: Sequence[str]) -> int:
    """Run the command; returns its exit code. Raises AppError, one line for the user."""
    options, with_demo = options_from(argv)
    job = run_audit if with_demo else None
    return Up(options, job=job, console=Console()).run()
