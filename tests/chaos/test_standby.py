"""Drill: a real streaming standby falls behind, hangs and dies; ``/readyz`` tells each."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from django.test import Client

from config.embedded import place, state
from config.embedded.postgres import APPLICATION, SUPERUSER, Postgres
from monitoring import health

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.django_db]

# As in the suite's own server: what is proved is who tells what, not that a disk keeps it.
FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB",
        "max_connections": "20", "wal_receiver_status_interval": "1"}  # fmt: skip
SLOT, SECONDS = "standby", 30.0


class Standby(Postgres):
    """A server made by ``pg_basebackup`` from another one, which streams from it."""

    def __init__(self, home: Path, primary: Postgres) -> None:
        super().__init__(place.settle(home), version="18", settings=FAST)
        self._primary = primary

    def url(self, role: str, database: str = "postgres") -> str:
        password = state.password(self._primary.place.home, role)
        return f"postgresql://{role}:{password}@{state.LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        state.password(self.place.home, SUPERUSER)
        self.place.folder(self._folder.name)
        self.place.make_data(self.working_folder)
        account = self.place.account
        subprocess.run(
            [self._programs / "pg_basebackup", "--pgdata", self.working_folder,
             "--write-recovery-conf", "--create-slot", "--slot", SLOT, "--checkpoint=fast",
             "--no-sync", "--dbname", self._primary.url(SUPERUSER)],
            user=account.uid if account else None, group=account.gid if account else None,
            extra_groups=[] if account else None, cwd="/", check=True, capture_output=True,
        )  # fmt: skip


@pytest.fixture
def primary() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="ratchet-primary-") as folder:
        server = Postgres(place.settle(Path(folder)), version="18", settings=FAST)
        try:
            server.start(print)
            server.ensure_roles()
            with psycopg.connect(server.url(SUPERUSER), autocommit=True) as connection:
                connection.execute("CREATE TABLE seen (n int)")
                connection.execute(f"GRANT pg_read_all_stats TO {APPLICATION}")
                connection.execute(f"GRANT INSERT ON seen TO {APPLICATION}")
            yield server
        finally:
            server.stop()


@pytest.fixture
def standby(primary: Postgres) -> Iterator[Standby]:
    with tempfile.TemporaryDirectory(prefix="ratchet-standby-") as folder:
        server = Standby(Path(folder), primary)
        try:
            server.start(print)
            yield server
        finally:
            server.stop()


@pytest.fixture
def readyz(
    client: Client, primary: Postgres, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], dict[str, object]]]:
    """What ``/readyz`` says of replication where the primary is the instance's own server."""
    look = health._replication
    with psycopg.connect(primary.url(APPLICATION), autocommit=True) as own:

        def of_primary() -> health.Check:
            with monkeypatch.context() as patch:
                patch.setattr(health, "connection", own)
                return look()

        def ask() -> dict[str, object]:
            own.execute("INSERT INTO seen VALUES (1)")
            health.forget()
            told: dict[str, object] = client.get("/readyz").json()["checks"]["replication"]
            return told

        monkeypatch.setattr(health, "_replication", of_primary)
        monkeypatch.setattr(health, "MAX_REPLICATION_LAG", health.timedelta(seconds=2))
        yield ask


def until(ask: Callable[[], dict[str, object]], words: str, *, ok: bool) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        told = ask()
        if words in str(told["detail"]) and told["ok"] is ok:
            return
        time.sleep(0.2)
    raise AssertionError(f"not {words!r} in {SECONDS:g} s, but {told}")


def _all_of(server: Standby, number: signal.Signals) -> None:
    assert server.process is not None
    for one in [*psutil.Process(server.process.pid).children(), server.process]:
        with suppress(ProcessLookupError):  # a child whose end ends the others
            os.kill(one.pid, number)


def test_a_standby_that_falls_behind_hangs_or_dies_is_told_and_its_recovery_too(
    readyz: Callable[[], dict[str, object]], primary: Postgres, request: pytest.FixtureRequest
) -> None:
    assert readyz()["detail"] == "no standby"
    standby = request.getfixturevalue("standby")
    until(readyz, "1 standby(s), lag 0.", ok=True)
    with psycopg.connect(standby.url(SUPERUSER), autocommit=True) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        until(readyz, "limit 2 s", ok=False)
        replica.execute("SELECT pg_wal_replay_resume()")
        until(readyz, "1 standby(s), lag 0.", ok=True)
    _all_of(standby, signal.SIGSTOP)  # it keeps its connection, and says nothing any more
    until(readyz, "limit 2 s", ok=False)
    _all_of(standby, signal.SIGCONT)
    until(readyz, "1 standby(s), lag 0.", ok=True)
    _all_of(standby, signal.SIGKILL)
    until(readyz, "1 slot(s) without a standby", ok=False)
    with psycopg.connect(primary.url(SUPERUSER), autocommit=True) as server:
        server.execute("SELECT pg_drop_replication_slot(%s)", [SLOT])
    until(readyz, "no standby", ok=True)
