"""Scan JSON Lines from standard input for prompt injection and personal data."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents import scan
from agents.domain.guardrails.findings import Source
from config.errors import InvalidDocument


class Command(BaseCommand):
    """``scan_text < IN.jsonl > OUT.jsonl``; needs no database and no server."""

    help = 'Reads {"text": …} a line, writes {"injection", "pii", "redacted", "secrets"} a line.'
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--source`` says where the texts come from, for lines that do not."""
        parser.add_argument("--source", choices=[str(s) for s in Source], default=str(Source.USER))

    def handle(self, *args: Any, **options: Any) -> None:
        """Stream standard input to standard output as UTF-8."""
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        try:
            scan.scan_stream(sys.stdin, sys.stdout, source=Source(options["source"]))
        except InvalidDocument as error:
            raise CommandError(str(error)) from error
