"""``manage.py restore DIR [--home FOLDER]``: a backup, in an empty instance, verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup.restoring import restore
from config.errors import AppError


class Command(BaseCommand):
    help = "Restores a backup into an empty instance and verifies it."
    requires_system_checks: list[str] = []  # there are no tables yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", help="what backup made")
        parser.add_argument(
            "--home", metavar="FOLDER", help="home folder of the new instance (else RATCHET_HOME's)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found, said = restore(Path(options["folder"]))
        except AppError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        self.stdout.write(
            f"restored {len(found.files)} files, {found.bytes} bytes, of {found.made_at}; {said}"
        )
