"""``manage.py export_subject ID``: everything known of a person, as one zip file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import privacy
from config.errors import AppError


class Command(BaseCommand):
    help = "Writes everything known of a person to a zip of JSON files with a manifest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="the user's id (UUID)")
        parser.add_argument("--to", default="", metavar="FILE",
                            help="default: subject-<id>.zip in the current folder")  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        target = Path(options["to"] or f"subject-{options['subject']}.zip")
        try:
            if target.exists():
                raise CommandError(f"{target} exists; give another name with --to")
            export = privacy.export_subject(options["subject"], actor="system:command line")
            _write(target, export.content)
        except AppError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"cannot write {target}: {error.strerror}") from None
        files, size = len(export.manifest["files"]), len(export.content)
        self.stdout.write(f"{target}: {files} files, {size} bytes")


def _write(target: Path, content: bytes) -> None:
    """For nobody else's eyes, and whole or not at all."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
