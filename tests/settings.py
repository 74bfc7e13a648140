"""The shipped settings, at the addresses of the suite's own services."""

from tests import services

services.reserve()

from config.settings import *  # noqa: E402, F403
