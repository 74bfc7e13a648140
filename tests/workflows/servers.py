"""Servers of a drill's own, which may be killed while everybody else's tests go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.db import connection

from config import embedded
from config.embedded import binaries, state
from config.embedded.service import Service
from tests import services
from tests.workflows.workers import wait_for
from workflows.dispatch import AWAY

_VERSION = os.environ.get("RATCHET_TEST_POSTGRES", "18")
# A killed server loses nothing that it has handed to the kernel, so only the disk is not waited
# for; that every outcome waits for its commit is what the drill is about.
_SETTINGS = {
    "fsync": "off", "synchronous_commit": "on", "shared_buffers": "64MB", "max_connections": "100",
    "log_min_duration_statement": "-1",
}  # fmt: skip
_RESTART_SECONDS = 120.0


@dataclass
class Servers:
    """A PostgreSQL and a Redis; ``environment`` is what a worker needs to use them."""

    environment: dict[str, str]
    _handle: embedded.Handle
    _by_name: Mapping[str, Service] = field(default_factory=dict)

    def end_at_once(self, name: str) -> None:
        """As a crash would: PostgreSQL by its immediate mode, Redis by SIGKILL."""
        process = self._by_name[name].process
        assert process is not None
        process.send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        process.wait(60)

    def start_again(self, name: str) -> None:
        server = self._by_name[name]
        self._handle.revive(server)
        wait_for(server.answers, _RESTART_SECONDS)
        connection.close()  # ours is lost, too

    @property
    def recovered(self) -> bool:
        """Whether PostgreSQL went through a crash recovery."""
        log = self._by_name["postgres"].log.read_text(errors="replace")
        return "automatic recovery in progress" in log


@contextmanager
def own_servers(environment: dict[str, str]) -> Iterator[Servers]:
    """Servers with the tables of the test's database; this process works on them meanwhile."""
    home = Path(tempfile.mkdtemp(prefix="ratchet-drill-"))
    try:
        with (
            embedded.start(
                home,
                postgres_version=_VERSION,
                postgres_settings=_SETTINGS,
                allow_test_databases=True,
            ) as handle,
            ExitStack() as stack,
        ):
            owner = handle.services.database_owner_url
            _copy_tables(environment["DATABASE_OWNER_URL"], owner)
            urls = {
                "DATABASE_URL": handle.services.database_url, "DATABASE_OWNER_URL": owner,
                "REDIS_URL": handle.services.redis_url, "CACHE_URL": handle.services.cache_url,
                "RESULT_BACKEND": handle.services.cache_url,
            }  # fmt: skip
            stack.enter_context(_database(owner))
            stack.enter_context(using_broker(handle.services.redis_url))
            by_name = {server.name: server for server in handle._servers}
            yield Servers({**environment, **urls}, handle, by_name)
    finally:
        services.remove_home(home)


def _copy_tables(source: str, target: str) -> None:
    programs = binaries.postgres(_VERSION)
    dump = [programs / "pg_dump", "--no-comments", "--no-owner", f"--dbname={source}"]
    load = [
        programs / "psql",
        "--quiet",
        "--no-psqlrc",
        "-v",
        "ON_ERROR_STOP=1",
        f"--dbname={target}",
    ]
    told = subprocess.run(dump, check=True, capture_output=True, timeout=120)
    subprocess.run(load, check=True, input=told.stdout, capture_output=True, timeout=120)


@contextmanager
def _database(url: str) -> Iterator[None]:
    """Let Django's connections of this process go to ``url``."""
    parts = urlsplit(url)
    wanted = {
        "HOST": parts.hostname, "PORT": str(parts.port), "USER": parts.username,
        "PASSWORD": parts.password, "NAME": parts.path.lstrip("/"),
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        connection.close()
        for name, value in wanted.items():
            patch.setitem(connection.settings_dict, name, value)
        try:
            yield
        finally:
            connection.close()


@contextmanager
def using_broker(url: str) -> Iterator[None]:
    """Let Celery in this process send to ``url``."""
    names = ("broker_url", "broker_transport", "broker_transport_options")
    before = {name: current_app.conf[name] for name in names}
    if url.startswith("redis"):
        meanwhile: dict[str, Any] = {"broker_url": url}
    else:
        meanwhile = {"broker_url": url, "broker_transport": None, "broker_transport_options": {}}
    current_app.conf.update(meanwhile)
    current_app._after_fork()  # forgets the connections
    try:
        yield
    finally:
        current_app.conf.update(before)
        current_app._after_fork()


# ---------------------------------------------------------------- RabbitMQ
def _rabbitmq() -> Path | None:
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return found[-1] if found else None


NO_RABBITMQ = (
    "" if _rabbitmq() and shutil.which("epmd") else "rabbitmq-server is not installed here"
)


@dataclass
class Rabbit:
    """A RabbitMQ node on loopback."""

    url: str
    _command: list[str]
    _environment: dict[str, str]
    _log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        wait_for(self._answers, 180, lambda: self._log.read_text(errors="replace"))

    def kill(self) -> None:
        """SIGKILL, with all its processes."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text(errors="replace")[-4000:]
        try:
            with current_app.amqp.Connection(self.url, connect_timeout=5) as one:
                one.ensure_connection(max_retries=1, timeout=5)
                return True
        except AWAY:
            return False


@contextmanager
def rabbitmq() -> Iterator[Rabbit]:
    """A RabbitMQ of the drill's own, with a name server of its own, both ended afterwards."""
    program, names = _rabbitmq(), shutil.which("epmd")
    assert program is not None
    assert names is not None
    home = Path(tempfile.mkdtemp(prefix="ratchet-rabbit-"))
    ports = {name: str(state.port(home, name)) for name in ("node", "distribution", "names")}
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": ports["names"], "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"drill{ports['node']}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": ports["node"],
        "RABBITMQ_DIST_PORT": ports["distribution"], "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"), "RABBITMQ_CONF_ENV_FILE": str(home / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
            "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
    }  # fmt: skip
    (home / "plugins").write_text("[].\n")
    (home / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\n")
    command = [names, "-port", ports["names"], "-address", "127.0.0.1"]
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    made = Rabbit(
        f"amqp://guest:guest@127.0.0.1:{ports['node']}//", [str(program)], environment,
        home / "server.log",
    )  # fmt: skip
    try:
        made.start()
        yield made
    finally:
        made.kill()
        server.kill()
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)
