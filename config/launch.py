"""What a command of ``manage.py`` needs before Django reads its settings.

Most commands need a database and a broker. With no address given, they use those of a running
instance, or start the embedded ones for as long as they run. The few that need none start
nothing, so that they are quick and work on a machine where nothing else does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import load_dotenv

from config import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
_WITHOUT_SERVICES = frozenset(
    {
        "analyse_experiment",
        "backtest_anomalies",
        "check",
        "collectstatic",
        "diffsettings",
        "findstatic",
        "help",
        "makemigrations",
        "scan_text",
        "sendtestemail",
        "simulate_scaling",
        "spectacular",
        "up",  # starts and supervises them itself
        "version",
    }
)
# They fill a database with what must not be mixed with an installation's own.
_APART = frozenset({"simulate_learning"})
# What points settings at services.
_ADDRESSES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "CACHE_URL", "RESULT_BACKEND")
# They change tables, which only the tables' owner may; everything else runs as the application.
_AS_OWNER = frozenset({"flush", "migrate"})
# These may name another home folder than the environment does.
_NAMES_HOME = frozenset({"restore"})


def home() -> Path:
    """Where this installation keeps its state (``RATCHET_HOME``)."""
    given = os.environ.get("RATCHET_HOME")
    return Path(given).expanduser().resolve() if given else BASE_DIR / ".ratchet"


def read_env_file() -> None:
    """Take settings from ``.env`` beside ``manage.py``; the environment wins over it."""
    load_dotenv(BASE_DIR / ".env", override=False)


def needs_services(argv: Sequence[str]) -> bool:
    """Whether this command line talks to a database or a broker."""
    if len(argv) < 2 or argv[1].startswith("-") or {"--help", "-h", "--version"} & set(argv):
        return False
    return argv[1] not in _WITHOUT_SERVICES


@contextmanager
def _services_apart(argv: Sequence[str]) -> Iterator[None]:
    """Services of a home of their own, whatever addresses are given; gone with the command.

    ``--keep DIR`` names the home and leaves its data.
    """
    kept = next((after for option, after in pairwise(argv) if option == "--keep"), None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers must not outlive us
    with TemporaryDirectory(prefix="ratchet-apart-") as folder:
        place = Path(kept).expanduser().resolve() if kept else Path(folder)
        # Data that nobody keeps need not wait for the disk.
        quick = None if kept else {"fsync": "off", "synchronous_commit": "off"}
        with embedded.start(place, postgres_settings=quick) as handle:
            for name in ("BROKER_URL", *_ADDRESSES):
                os.environ.pop(name, None)
            os.environ.update(environment(handle.services))
            os.environ |= {"RATCHET_HOME": str(place), "RATCHET_DB_ROLE": "owner"}
            yield


@contextmanager
def services_for(argv: Sequence[str]) -> Iterator[None]:
    """Run the body with the addresses of what this command needs in the environment.

    Raises ServiceFailed if an embedded service can't be started.
    """
    if len(argv) > 1 and argv[1] in _NAMES_HOME:
        _take_home(argv)
    if needs_services(argv) and argv[1] in _APART:
        with _services_apart(argv):
            yield
        return
    if len(argv) > 1 and argv[1] in _AS_OWNER:
        os.environ.setdefault("RATCHET_DB_ROLE", "owner")
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not os.environ.get(name)]
    if not missing or not needs_services(argv):
        yield
        return
    services = embedded.running(home())
    if services is not None:
        os.environ.update(environment(services))
        yield
        return
    with embedded.start(
        home(), with_postgres="DATABASE_URL" in missing, with_redis="REDIS_URL" in missing
    ) as handle:
        os.environ.update(environment(handle.services))
        yield


def _take_home(argv: Sequence[str]) -> None:
    """Make the folder of ``--home`` this process's home, before settings look for one."""
    for place, word in enumerate(argv):
        given = word.partition("=")[2] if word.startswith("--home=") else ""
        if word == "--home" and place + 1 < len(argv):
            given = argv[place + 1]
        if given:
            os.environ["RATCHET_HOME"] = os.path.abspath(os.path.expanduser(given))


def environment(services: embedded.Services, *, owner: bool = True) -> dict[str, str]:
    """The variables that point settings at these services; given ones stay as they are.

    ``owner=False`` leaves out the address of the tables' owner, for the processes that serve.
    """
    addresses = {
        "DATABASE_URL": services.database_url,
        "DATABASE_OWNER_URL": services.database_owner_url if owner else "",
        "REDIS_URL": services.redis_url,
        "CACHE_URL": services.cache_url,
        "RESULT_BACKEND": services.cache_url,
    }
    return {name: url for name, url in addresses.items() if url and not os.environ.get(name)}
