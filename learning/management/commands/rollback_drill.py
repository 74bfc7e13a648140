"""``manage.py rollback_drill``: roll back a rollout of the drill's own, and say how long it took.

Uses a running instance: its worker calls and its sweep finds the harm. Without one,
``--look-seconds`` calls and judges here, so often, with the endpoints that are configured.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.access import callers
from config.access.models import Client
from config.errors import AppError
from learning.domain.drills import ENDS_WITHIN, TAKEN_UP_WITHIN
from learning.rollouts import drilling

# How long a worker may take to begin, and to end after the last call.
START_SECONDS = (TAKEN_UP_WITHIN + ENDS_WITHIN).total_seconds()


class Command(BaseCommand):
    help = "Take a rollout of an agent of its own back, and measure the time to its last exposure."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=180.0, help="at most this long")
        parser.add_argument(
            "--callers", type=int, default=4, help="threads that call, with --look-seconds"
        )
        parser.add_argument("--look-seconds", type=float, help="call and judge here, so often")

    def handle(self, *args: Any, **options: Any) -> None:
        firm = Client.objects.filter(is_firm=True).first()
        if firm is None:
            raise CommandError("there is no firm yet: start the instance once")
        try:
            drilling.check_limits(options["seconds"], options["callers"])
            caller = callers.system("drill", firm.pk)
            if options["look_seconds"] is None:
                row = drilling.begin_drill(caller=caller, seconds=options["seconds"])
                found = drilling.wait(row, seconds=options["seconds"] + START_SECONDS)
            else:
                found = drilling.run(
                    drilling.prepare(caller=caller, seconds=options["seconds"]),
                    seconds=options["seconds"],
                    callers_at_once=options["callers"], look_seconds=options["look_seconds"],
                )  # fmt: skip
        except AppError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found, indent=2))
        if not found["found"]:
            raise CommandError(found["reason"])
