"""``manage.py analyse_experiment STATS.json``: the verdict document, without any service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import AppError
from learning import analysis


class Command(BaseCommand):
    help = "Analyse sufficient statistics per arm; prints the verdict document as JSON."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "stats", nargs="?", default="-", metavar="STATS.json", help="a file, or - for stdin"
        )
        parser.add_argument(
            "--schema", action="store_true", help="print the JSON Schema of the input instead"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            self._write(analysis.input_schema())
            return
        try:
            self._write(analysis.analyse(self._document(options["stats"])))
        except AppError as error:
            raise CommandError(str(error)) from error

    def _document(self, name: str) -> Any:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name}: {error}") from error
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise CommandError(
                f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
            ) from error
        except (RecursionError, ValueError) as error:
            # Nested too deeply, or a whole number of thousands of digits.
            raise CommandError(f"{name} is no statistics document: {error}") from error

    def _write(self, value: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))
