"""The test database: migrated once, with a copy for each process that shares the suite.

The controller of pytest-xdist migrates while its workers collect, in a thread. PostgreSQL then
copies files, which takes a tenth of what the migrations take.
"""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from tests import services

_OUTCOME = "test-database"
_MADE = "made"
_WAIT_SECONDS = 600.0
_POLL_SECONDS = 0.05
_maker: threading.Thread | None = None


def begin(blocker: DjangoDbBlocker) -> None:
    """In the controller: start making the database that workers copy."""
    global _maker

    def make() -> None:
        try:
            with blocker.unblock():
                create()
        except BaseException as error:  # whoever waits tells it
            _tell(f"{type(error).__name__}: {error}")
        else:
            _tell(_MADE)

    _maker = threading.Thread(target=make, daemon=True)
    _maker.start()


def finish() -> None:
    """Wait until nobody works on the database any more: its server is about to stop."""
    if _maker is not None:
        _maker.join()


def create() -> None:
    """Migrate a database of this process's own and use it."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    connection.close()


def copy(worker: str) -> None:
    """In a worker: copy the controller's database and use the copy."""
    made = services.home() / _OUTCOME
    until = time.monotonic() + _WAIT_SECONDS
    while not made.exists():
        assert time.monotonic() < until, "the controller has made no test database"
        time.sleep(_POLL_SECONDS)
    assert (told := made.read_text()) == _MADE, told
    creation = connection.creation
    name = creation._get_test_db_name()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    creation.clone_test_db(suffix=worker, verbosity=0, autoclobber=True)
    mine = creation.get_test_db_clone_settings(worker)["NAME"]
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = mine


def _tell(outcome: str) -> None:
    partial = services.home() / f".{_OUTCOME}"
    partial.write_text(outcome)
    partial.replace(services.home() / _OUTCOME)
