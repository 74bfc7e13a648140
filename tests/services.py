"""The suite's own PostgreSQL and Redis: reserved before settings are read, started when needed.

pytest-django reads settings before any test is collected, and a run of pure tests should start
nothing. So addresses come first (``reserve``: a home folder, free ports, passwords) and servers
later (``start``), only if a collected test may use them. Workers of pytest-xdist share the
controller's servers, with a test database and two Redis databases each.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config import embedded
from config.embedded import place, postgres, state
from config.processes import Identity, myself

_PREFIX = "ratchet-test"
# A test's data may be lost with the machine: not waiting for the disk halves the suite.
_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "log_min_duration_statement": "-1",
}
# Not the developer's: a test must not reach a real database, broker or model.
_FOREIGN = ("BROKER_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY", "MODEL_ENDPOINTS", "SENTRY_DSN")

_held: list[socket.socket] = []
_handle: embedded.Handle | None = None


def home() -> Path:
    return Path(os.environ["RATCHET_HOME"])


def reserve() -> None:
    """Put the suite's addresses into the environment; nothing listens there yet."""
    if os.environ.get("RATCHET_TEST_HOME"):  # an xdist worker: the controller has done it
        _take_own_redis_databases()
        return
    _sweep_old_homes()
    me = myself()
    folder = Path(tempfile.gettempdir(), f"{_PREFIX}-{me.pid}-{me.start_ticks}-{me.boot}")
    place.settle(folder)
    (folder / "static").mkdir()  # WhiteNoise warns if it is missing
    for name in _FOREIGN:
        os.environ.pop(name, None)
    redis = f"redis://:{state.password(folder, 'redis')}@127.0.0.1:{_hold(folder, 'redis')}"
    port = _hold(folder, "postgres")
    os.environ.update(
        RATCHET_TEST_HOME=str(folder),
        RATCHET_HOME=str(folder),
        RATCHET_TESTING="1",
        RATCHET_DB_ROLE="owner",  # makes and drops the test databases
        DATABASE_URL=_database_url(folder, postgres.APPLICATION, port),
        DATABASE_OWNER_URL=_database_url(folder, postgres.OWNER, port),
        REDIS_URL=f"{redis}/0",
        CACHE_URL=f"{redis}/1",
        RESULT_BACKEND=f"{redis}/1",
    )


def start() -> None:
    """Start the servers at the reserved addresses; harmless to repeat."""
    global _handle
    if _handle is not None or "PYTEST_XDIST_WORKER" in os.environ:
        return
    _handle = embedded.start(
        home(),
        postgres_version=os.environ.get("RATCHET_TEST_POSTGRES", "18"),
        postgres_settings=_FAST,
        allow_test_databases=True,
    )
    assert _handle.services.database_url == os.environ["DATABASE_URL"]
    _let_the_owner_empty_tables()


def superuser_url() -> str:
    """For what only the server's superuser may do."""
    owner = urlsplit(os.environ["DATABASE_OWNER_URL"])
    password = state.password(Path(os.environ["RATCHET_TEST_HOME"]), postgres.SUPERUSER)
    return f"postgresql://{postgres.SUPERUSER}:{password}@127.0.0.1:{owner.port}/postgres"


def _let_the_owner_empty_tables() -> None:
    with psycopg.connect(superuser_url()) as server:
        server.execute(f"GRANT SET ON PARAMETER session_replication_role TO {postgres.OWNER}")


def stop() -> None:
    """Stop what this process started and remove the home folder it made."""
    global _handle
    if "PYTEST_XDIST_WORKER" in os.environ or "RATCHET_TEST_HOME" not in os.environ:
        return
    if _handle is not None:
        _handle.stop()
        _handle = None
    while _held:
        _held.pop().close()
    remove_home(home())


def _hold(folder: Path, name: str) -> int:
    """A port kept ours until the server binds it: bound, but not listening, it is given to
    nobody else, and a server that sets SO_REUSEADDR may still have it."""
    number = state.port(folder, name)
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((state.LOOPBACK, number))
    _held.append(holder)
    return number


def _database_url(folder: Path, role: str, port: int) -> str:
    return f"postgresql://{role}:{state.password(folder, role)}@127.0.0.1:{port}/ratchet"


def _take_own_redis_databases() -> None:
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    server = os.environ["REDIS_URL"].rpartition("/")[0]
    os.environ["REDIS_URL"] = f"{server}/{2 * (number + 1) % 16}"
    os.environ["CACHE_URL"] = f"{server}/{(2 * (number + 1) + 1) % 16}"
    os.environ["RESULT_BACKEND"] = os.environ["CACHE_URL"]


def _sweep_old_homes() -> None:
    """Remove the homes of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}-*-*-*"):
        _, _, rest = folder.name.partition(f"{_PREFIX}-")
        pid, ticks, boot = rest.split("-", 2)
        with suppress(ValueError):
            if not Identity(int(pid), int(ticks), boot).alive:
                remove_home(folder)


def remove_home(folder: Path) -> None:
    """Remove a home folder, and its data where that lies elsewhere."""
    with suppress(OSError):
        elsewhere = folder / "data-location"
        if elsewhere.exists():
            shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
