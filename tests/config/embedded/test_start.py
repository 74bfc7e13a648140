"""PostgreSQL and Redis, started for real in homes of their own."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded
from config.embedded import ServiceFailed, leftovers, place, state
from config.processes import identity, send_signal, wait_gone

FAST = {"fsync": "off", "shared_buffers": "16MB"}
ROOT = Path(__file__).parents[3]
# What is no matter of the first start does not make a database of its own.
used = pytest.mark.usefixtures("used")


def start(home: Path, **options: object) -> embedded.Handle:
    return embedded.start(home, postgres_settings=FAST, **options)  # type: ignore[arg-type]


def test_both_servers_answer_at_their_addresses_and_only_with_their_passwords(home: Path) -> None:
    with start(home) as handle:
        found = handle.services
        assert embedded.running(home) == found
        with psycopg.connect(found.database_url) as connection:
            row = connection.execute(
                "SELECT current_user, (SELECT extname FROM pg_extension WHERE extname = 'vector'),"
                " (SELECT datlocprovider FROM pg_database WHERE datname = current_database())"
            ).fetchone()
            assert row == ("ratchet_app", "vector", "b")
        with redis.Redis.from_url(found.redis_url) as client:
            assert client.config_get("appendonly")["appendonly"] == "yes"
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        without = found.database_url.replace(
            found.database_url.split("@")[0], "postgresql://ratchet_app"
        )
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(without)
        with (
            redis.Redis(
                host="127.0.0.1", port=int(found.redis_url.split(":")[3].split("/")[0])
            ) as c,
            pytest.raises(redis.AuthenticationError),
        ):
            c.ping()
    assert embedded.running(home) is None


@used
def test_the_application_writes_rows_and_may_not_touch_the_tables(home: Path) -> None:
    with start(home) as handle:
        with psycopg.connect(handle.services.database_owner_url, autocommit=True) as owner:
            owner.execute("CREATE TABLE audit (id bigserial PRIMARY KEY, said text)")
        with psycopg.connect(handle.services.database_url, autocommit=True) as application:
            application.execute("INSERT INTO audit (said) VALUES ('yes')")
            for statement in (
                "TRUNCATE audit",
                "ALTER TABLE audit DISABLE TRIGGER ALL",
                "DROP TABLE audit",
                "CREATE TABLE mine (id int)",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    application.execute(statement)  # type: ignore[arg-type]


@used
def test_what_is_written_down_is_readable_by_its_owner_only(home: Path) -> None:
    with start(home):
        for name in ("services.json", "secrets.json", "ports.json"):
            assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
        found = state.read_record(home)
        assert found is not None
        lines = "".join(
            Path(f"/proc/{who.pid}/cmdline").read_text() for who in found.processes.values()
        )
        secrets = [state.password(home, name) for name in ("redis", "postgres", "ratchet_app")]
        assert not any(secret in lines for secret in secrets)


@used
def test_a_second_start_finds_the_first_and_stops_nothing(home: Path) -> None:
    with start(home) as first:
        with start(home) as second:
            assert second.services == first.services
            assert not second.owned
        with psycopg.connect(first.services.database_url):
            pass
        with embedded.ensure(home) as third:
            assert third.services == first.services
    assert not first.owned


def test_two_starts_at_once_make_one_pair_of_servers(home: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom config import embedded\n"
        f"with embedded.start(Path({str(home)!r}), postgres_settings={FAST!r}) as handle:\n"
        "    print(handle.owned, handle.services.database_url, flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for _ in range(2)
    ]  # fmt: skip
    lines = [racer.stdout.readline().split() for racer in racers if racer.stdout]
    assert sorted(line[0] for line in lines) == ["False", "True"]
    assert lines[0][1] == lines[1][1]
    for racer in sorted(racers, key=lambda one: lines[racers.index(one)][0]):
        racer.communicate("\n", timeout=60)  # who joined leaves first
        assert racer.returncode == 0
    assert embedded.running(home) is None


@used
def test_ports_and_data_survive_a_stop(home: Path) -> None:
    with start(home) as handle:
        first = handle.services
        with psycopg.connect(first.database_owner_url) as owner:
            owner.execute("CREATE TABLE kept AS SELECT 7 AS id")
        with redis.Redis.from_url(first.redis_url) as client:
            client.set("kept", "7")
    with start(home) as handle:
        assert handle.services == first
        with psycopg.connect(first.database_url) as connection:
            assert connection.execute("SELECT id FROM kept").fetchone() == (7,)
        with redis.Redis.from_url(first.redis_url) as client:
            assert client.get("kept") == b"7"


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(home: Path) -> None:
    with start(home, with_postgres=False) as handle:
        before = handle.services.redis_url
    port = int(before.rpartition(":")[2].split("/")[0])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with start(home, with_postgres=False) as handle:
            assert handle.services.redis_url != before
            assert handle.services.database_url == ""
            with redis.Redis.from_url(handle.services.redis_url) as client:
                assert client.ping()


@used
def test_a_killed_owner_leaves_no_server_behind(home: Path) -> None:
    program = (
        "import time\nfrom pathlib import Path\nfrom config import embedded\n"
        f"handle = embedded.start(Path({str(home)!r}), postgres_settings={FAST!r})\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "up\n"
    found = state.read_record(home)
    assert found is not None
    owner.kill()
    owner.wait()
    assert all(wait_gone(who, seconds=30) for who in found.processes.values())
    assert embedded.running(home) is None


@used
def test_servers_left_by_an_unclean_stop_are_found_without_a_record_and_ended(home: Path) -> None:
    said: list[str] = []
    handle = start(home)
    with psycopg.connect(handle.services.database_owner_url) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 7 AS id")
    old = state.read_record(home)
    assert old is not None
    # As after a crash of the machine's session: no record, no lock, a postmaster killed with its
    # children still there, and a Redis that goes on.
    state.remove_record(home)
    os.close(handle._lock)
    handle._lock = -1
    send_signal(old.processes["postgres"], signal.SIGKILL)
    assert handle._servers[0].process is not None
    handle._servers[0].process.wait(60)
    with start(home, note=said.append) as again:
        assert not old.processes["redis"].alive
        assert any("left by an unclean stop" in line for line in said)
        with psycopg.connect(again.services.database_url) as connection:
            assert connection.execute("SELECT id FROM kept").fetchone() == (7,)
    for server in handle._servers:
        assert server.process is not None
        server.process.wait(60)


def test_a_stranger_in_the_data_folder_is_left_alone(home: Path, tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path)
    try:
        assert leftovers.find(tmp_path, program="postgres", account=None) == []
        assert identity(stranger.pid) is not None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.slow
def test_postgresql_16_of_the_wheel_serves_too(home: Path) -> None:
    with start(home, postgres_version="16", with_redis=False) as handle:
        with psycopg.connect(handle.services.database_url) as connection:
            assert connection.info.server_version // 10_000 == 16
        assert handle.services.redis_url == ""


def test_a_version_that_the_wheel_lacks_is_named_with_those_it_has(home: Path) -> None:
    with pytest.raises(ServiceFailed, match="no version '9' in the wheel; it has 18, 16"):
        start(home, postgres_version="9")
    assert start(home, with_postgres=False).stop() is None, "the lock was not given back"


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceFailed, match=r"cannot make .*file/home: Not a directory"):
        start(tmp_path / "file" / "home")


@used
def test_lost_passwords_of_existing_data_are_an_error_and_not_a_new_database(home: Path) -> None:
    (home / "secrets.json").unlink()
    with pytest.raises(ServiceFailed, match=r"secrets\.json with its passwords is gone"):
        start(home, with_redis=False)


@used
def test_a_server_that_ends_at_its_start_is_told_with_its_own_reason(home: Path) -> None:
    settings = {**FAST, "shared_preload_libraries": "'no_such_library'"}
    with pytest.raises(ServiceFailed) as caught:
        embedded.start(home, postgres_settings=settings)
    assert 'could not access file "no_such_library"' in str(caught.value)
    assert str(home / "logs" / "postgres.log") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert embedded.running(home) is None


@pytest.mark.slow
def test_an_unfinished_initialisation_is_begun_anew(home: Path) -> None:
    half = place.settle(home)
    folder = half.folder("postgres-18")
    half.make_data(folder / "data.new")
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    with start(home, with_redis=False) as handle:
        with psycopg.connect(handle.services.database_url):
            pass
        assert not (folder / "data.new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="about what root does")
def test_root_runs_the_servers_as_nobody_and_widens_no_permission(
    home: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)  # nobody may not pass: the data must lie elsewhere
    with start(home):
        found = state.read_record(home)
        assert found is not None
        uids = {Path(f"/proc/{who.pid}").stat().st_uid for who in found.processes.values()}
        assert 0 not in uids
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
        data = Path((home / "data-location").read_text().strip())
        assert data.parent == Path("/var/lib/ratchet")
        assert stat.S_IMODE((data / "postgres-18" / "data").stat().st_mode) == 0o700
    assert place.settle(home).data == data
