"""``manage.py rollback_drill``: roll back a rollout of the drill's own, and say how long it took.

Uses a running instance: its sweep finds the harm. Without one, ``--look-seconds`` judges here.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.access import callers
from config.access.models import Client
from config.errors import AppError
from learning.rollouts import drilling


class Command(BaseCommand):
    help = "Take a rollout of an agent of its own back, and measure the time to its last exposure."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=180.0, help="at most this long")
        parser.add_argument("--callers", type=int, default=4, help="threads that call")
        parser.add_argument("--look-seconds", type=float, help="judge here, so often")

    def handle(self, *args: Any, **options: Any) -> None:
        firm = Client.objects.filter(is_firm=True).first()
        if firm is None:
            raise CommandError("there is no firm yet: start the instance once")
        try:
            row = drilling.prepare(caller=callers.system("drill", firm.pk))
            found = drilling.run(
                row, seconds=options["seconds"], callers_at_once=options["callers"],
                look_seconds=options["look_seconds"],
            )  # fmt: skip
        except AppError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found, indent=2))
        if not found["found"]:
            raise CommandError(found["reason"])
