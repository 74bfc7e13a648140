"""The shipped settings, at the addresses of the suite's own services."""

from datetime import timedelta

from tests import services

services.reserve()

from config.settings import *  # noqa: E402, F403

# As it is shipped: who a key belongs to is a third of what a small request asks the database.
# A test that takes rights away meanwhile sets it to nothing (``rights_at_once``).
KEY_KEPT = timedelta(seconds=3)
