"""What the services write down: addresses, processes, passwords and the ports they had.

All of it are small JSON files in the home folder, readable by their owner only, replaced whole:
a reader sees the old file or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from config.embedded.errors import ServiceFailed
from config.processes import Identity

LOOPBACK = "127.0.0.1"
_SERVICES = "services.json"
_SECRETS = "secrets.json"
_PORTS = "ports.json"
_PASSWORD_BYTES = 24


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of the running services, passwords included; empty where one is not run here."""

    database_url: str = ""  # as ratchet_app: reads and writes rows, owns nothing
    database_owner_url: str = ""  # as ratchet_owner: owns database and schema; migrations
    redis_url: str = ""  # database 0: the broker
    cache_url: str = ""  # database 1: caches and locks


@dataclass(frozen=True, slots=True)
class Record:
    """The services with the processes behind them and the process that answers for them."""

    services: Services
    processes: dict[str, Identity]
    owner: Identity | None


def read_record(home: Path) -> Record | None:
    """The last record, whether or not its processes still run; None if there is none."""
    raw = _read(home / _SERVICES)
    try:
        return Record(
            Services(**raw["services"]),
            {name: Identity(**who) for name, who in raw["processes"].items()},
            Identity(**raw["owner"]) if raw["owner"] else None,
        )
    except (KeyError, TypeError, AttributeError):
        return None


def write_record(home: Path, record: Record) -> None:
    _write(home / _SERVICES, asdict(record))


def remove_record(home: Path) -> None:
    (home / _SERVICES).unlink(missing_ok=True)


def password(home: Path, name: str) -> str:
    """The remembered password called ``name``, made on first use."""
    known = _read(home / _SECRETS)
    if name not in known:
        known[name] = secrets.token_urlsafe(_PASSWORD_BYTES)
        _write(home / _SECRETS, known)
    return str(known[name])


def knows_password(home: Path, name: str) -> bool:
    return name in _read(home / _SECRETS)


def port(home: Path, name: str, *, fresh: bool = False) -> int:
    """A free loopback port for ``name``: the one of last time unless it is taken or ``fresh``.

    The same port after a restart keeps clients connected and bookmarks true.
    """
    known = _read(home / _PORTS)
    last = known.get(name)
    if isinstance(last, int) and not fresh and port_is_free(last):
        return last
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        known[name] = probe.getsockname()[1]
    _write(home / _PORTS, known)
    return int(known[name])


def port_is_free(number: int, host: str = LOOPBACK) -> bool:
    """Whether a server could bind this port now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return False
    return True


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ServiceFailed("storage", f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ServiceFailed("storage", f"{file} is not JSON: {error}") from error
    return content if isinstance(content, dict) else {}


def _write(file: Path, content: dict[str, Any]) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w") as stream:
            json.dump(content, stream, indent=1)
            stream.flush()
            os.fsync(descriptor)
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ServiceFailed("storage", f"cannot write {file}: {error.strerror}") from error
