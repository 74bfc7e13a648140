"""``manage.py backup DIR``: a whole backup in a new folder, while everything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup.taking import back_up
from config.errors import AppError


class Command(BaseCommand):
    help = "Backs up database, artifacts, audit checkpoints and the secret into a new folder."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", help="a new or empty folder; it will hold secrets")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["folder"])
        try:
            made = back_up(folder)
        except AppError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename or folder}: {error.strerror}") from None
        self.stdout.write(f"{folder}: {len(made.files)} files, {made.bytes} bytes")
