"""Redis from its wheel: on loopback, with a password, and with an append-only file."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from config.embedded import binaries, state
from config.embedded.errors import ServiceFailed
from config.embedded.place import Place
from config.embedded.service import Service

_PROBE_SECONDS = 2.0
_PASSWORD = "redis"  # noqa: S105  # the name of a secret, not the secret

# A broker must refuse a write rather than drop a message (noeviction). The append-only file is
# synced each second; what a power cut takes with it is re-entered from the database. Snapshots
# would only add a fork.
_CONFIGURATION = """\
bind {host}
port {port}
dir {folder}
requirepass {password}
protected-mode yes
daemonize no
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory-policy noeviction
tcp-backlog 128
loglevel notice
"""


class Redis(Service):
    """The broker (database 0) and the cache (database 1)."""

    name = "redis"
    title = "Redis"
    program = "redis-server"
    stop_signal = signal.SIGTERM

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._program = binaries.redis_server()

    @property
    def working_folder(self) -> Path:
        return self.place.data / "redis" / "data"

    def url(self, database: int) -> str:
        password = state.password(self.place.home, _PASSWORD)
        return f"redis://:{password}@{state.LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        self.place.folder("redis")
        try:
            if not self.working_folder.exists():
                self.place.make_data(self.working_folder)
        except OSError as error:
            why = f"cannot make {self.working_folder}: {error.strerror}"
            raise ServiceFailed(self.title, why) from error
        self.place.check_owner(self.working_folder)
        if not self.place.may_run(self._program):
            self._program = binaries.copy_redis(self._program, self.place.data)

    def command(self) -> list[str]:
        return [os.fspath(self._program), os.fspath(self._write_configuration())]

    def answers(self) -> bool:
        password = state.password(self.place.home, _PASSWORD)
        try:
            with socket.create_connection((state.LOOPBACK, self.port), _PROBE_SECONDS) as peer:
                peer.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\n") < 2:
                    received = peer.recv(256)
                    if not received:
                        break
                    answer += received
        except OSError:
            return False
        return answer.endswith(b"+PONG\r\n")

    def reason(self, lines: list[str]) -> str:
        """Redis marks what matters with ``#``; a broken configuration is told without it."""
        telling = [line.partition(" # ")[2] for line in lines if " # " in line]
        told = [line for line in telling if not line.startswith(("oO0", "WARNING", "Server"))]
        return (told or [line for line in lines if line.strip()] or [""])[-1].strip()

    def _write_configuration(self) -> Path:
        """Its configuration as a file: a command line would show the password to everyone."""
        file = self.working_folder.with_name("redis.conf")
        text = _CONFIGURATION.format(
            host=state.LOOPBACK,
            port=self.port,
            folder=f'"{self.working_folder}"',
            password=state.password(self.place.home, _PASSWORD),
        )
        try:
            file.unlink(missing_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as stream:
                stream.write(text)
            self.place.give(file)
        except OSError as error:
            raise ServiceFailed(self.title, f"cannot write {file}: {error.strerror}") from error
        return file
