"""``manage.py erase_subject ID``: erase a person, whole or not at all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import privacy
from config.errors import AppError


class Command(BaseCommand):
    help = "Erases what is known of a person; the audit log's chain still verifies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="the user's id (UUID)")
        parser.add_argument(
            "--keep-records",
            action="store_true",
            help="leave runs and files to their client; take only the name off",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = privacy.erase_subject(
                options["subject"], actor="system:command line",
                keep_records=options["keep_records"],
            )  # fmt: skip
        except AppError as error:
            raise CommandError(str(error)) from None
        parts = ", ".join(f"{count} {name}" for name, count in done.items())
        self.stdout.write(f"erased {options['subject']}: {parts or 'nothing was left to erase'}")
