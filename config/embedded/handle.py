"""Start the services once, whoever asks, and hand out their addresses.

A lock on the home folder decides between two starts and is held for as long as its holder runs
the services: whoever gets it starts them and stops them, everyone else finds and uses them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from config.embedded import place as places
from config.embedded import state
from config.embedded.errors import ServiceFailed
from config.embedded.postgres import APPLICATION, OWNER, Postgres
from config.embedded.redis_server import Redis
from config.embedded.service import Note, Service
from config.embedded.state import Record, Services
from config.processes import myself

logger = logging.getLogger(__name__)

_LOCK = "services.lock"
# A first start, a crash recovery or an orderly stop of somebody else: minutes at worst.
_OTHER_SECONDS = 900.0
_NOTE_EVERY_SECONDS = 10.0


class Handle:
    """The services in use. ``owned`` says whether ``stop`` (and leaving ``with``) ends them."""

    def __init__(self, services: Services, servers: list[Service], home: Path, lock: int) -> None:
        self.services = services
        self.home = home
        self._servers = servers
        self._lock = lock

    @property
    def owned(self) -> bool:
        return self._lock >= 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def pids(self) -> list[int]:
        """Process ids of the owned servers that run."""
        return [server.process.pid for server in self._servers if server.process is not None]

    def dead(self) -> list[Service]:
        """The owned servers that have ended by themselves; ``revive`` starts one again."""
        return [server for server in self._servers if not server.alive]

    def add(self, server: Service, note: Note) -> None:
        """Start one more server and stop it with the others. Raises ServiceFailed."""
        self._servers.append(server)
        server.end_leftovers(note)
        server.start(note)

    def revive(self, server: Service) -> None:
        """Start a dead server again on its port, without waiting for its recovery."""
        server.spawn()
        self.record()

    def stop(self) -> None:
        """Stop Redis, then PostgreSQL, if this handle started them. Harmless to repeat."""
        if not self.owned:
            return
        # First forget them: who asks from now on waits for the lock instead of joining.
        state.remove_record(self.home)
        try:
            for server in reversed(self._servers):
                server.stop()
        finally:
            os.close(self._lock)
            self._lock = -1

    def record(self) -> None:
        """Write down what runs, for whoever joins."""
        processes = {server.name: who for server in self._servers if (who := server.identity)}
        state.write_record(self.home, Record(self.services, processes, myself()))


def running(home: Path) -> Services | None:
    """The services of this home if all their processes are alive; opens no connection."""
    record = state.read_record(home)
    if record is None or not record.processes:
        return None
    alive = all(who.alive for who in record.processes.values())
    return record.services if alive else None


def ensure(home: Path, *, note: Note | None = None) -> Handle:
    """The running services of this home, or ours if there are none. Raises ServiceFailed."""
    services = running(home)
    return Handle(services, [], home, -1) if services else start(home, note=note)


def start(
    home: Path,
    *,
    postgres_version: str = "18",
    with_postgres: bool = True,
    with_redis: bool = True,
    note: Note | None = None,
    postgres_settings: Mapping[str, str] | None = None,
    allow_test_databases: bool = False,
) -> Handle:
    """Start what is wanted and wait until it serves; join what another process already runs.

    ``note`` gets a line when something takes long. Raises ServiceFailed, with everything
    stopped again, if a server can't be started.
    """
    say = note or logger.info
    place = places.settle(home)
    joined = _lock_or_join(place.home, say)
    if isinstance(joined, Services):
        _require(joined, with_postgres=with_postgres, with_redis=with_redis, home=home)
        return Handle(joined, [], place.home, -1)
    handle = Handle(Services(), [], place.home, joined)
    try:
        if with_postgres:
            postgres = Postgres(
                place,
                version=postgres_version,
                settings=postgres_settings,
                allow_test_databases=allow_test_databases,
            )
            handle.add(postgres, say)
            postgres.ensure_roles()
            handle.services = replace(
                handle.services,
                database_url=postgres.url(APPLICATION),
                database_owner_url=postgres.url(OWNER),
            )
        if with_redis:
            redis = Redis(place)
            handle.add(redis, say)
            handle.services = replace(
                handle.services, redis_url=redis.url(0), cache_url=redis.url(1)
            )
        handle.record()
    except BaseException:
        handle.stop()
        raise
    return handle


def _lock_or_join(home: Path, note: Note) -> int | Services:
    """The lock's descriptor if the services are ours to start, else the other's services."""
    file = home / _LOCK
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServiceFailed("storage", f"cannot write {file}: {error.strerror}") from error
    started = noted = time.monotonic()
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            services = running(home)
            if services:
                os.close(lock)
                return services
            now = time.monotonic()
            if now - started > _OTHER_SECONDS:
                why = f"another process holds {file} and serves nothing for {_OTHER_SECONDS:g} s"
                raise ServiceFailed("services", why)
            if now - noted > _NOTE_EVERY_SECONDS:
                noted = now
                note("waiting for another process that is starting or stopping the services")
            time.sleep(0.05)
    except BaseException:
        with suppress(OSError):
            os.close(lock)
        raise


def _require(services: Services, *, with_postgres: bool, with_redis: bool, home: Path) -> None:
    for wanted, url, title in (
        (with_postgres, services.database_url, "PostgreSQL"),
        (with_redis, services.redis_url, "Redis"),
    ):
        if wanted and not url:
            raise ServiceFailed(title, f"another process owns the services of {home} without it")
