"""``manage.py fill_record N``: N calls over 90 days with their rollups, for benchmarks."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.filling import storing
from config.errors import AppError


class Command(BaseCommand):
    help = "Fills an empty record with calls that never happened, to measure pages against."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("calls", type=int, help="how many calls")
        parser.add_argument("--days", type=int, default=90, help="over so many days (90)")
        parser.add_argument("--seed", type=int, default=20_261_128, help="of the draw")
        parser.add_argument("--processes", type=int, default=2, help="at once (2)")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            done = storing.fill(calls=options["calls"], days=options["days"], seed=options["seed"],
                                processes=options["processes"])  # fmt: skip
        except AppError as error:
            raise CommandError(str(error)) from error
        seconds = time.monotonic() - began
        self.stdout.write(
            f"{done.calls:,} calls over {done.days} days with {done.windows:,} rollups "
            f"in {seconds:.0f} s"
        )
