"""``manage.py backtest_anomalies SERIES.csv``: score a recorded series; no server, no database."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import AppError
from monitoring.backtest import backtest, read_series


class Command(BaseCommand):
    help = "Score a series (timestamp,value) causally: writes timestamp,value,score,flagged."
    requires_system_checks: list[str] = []  # needs no database, so no check of it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("series", help="a CSV file, or - for standard input")
        parser.add_argument("--output", help="write here instead of to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            lines = _lines(options["series"])
            scored = list(backtest(read_series(lines)))
        except (AppError, OSError, UnicodeDecodeError, csv.Error) as error:
            raise CommandError(f"{options['series']}: {error}") from error
        if options["output"]:
            with Path(options["output"]).open("w", newline="", encoding="utf-8") as file:
                _write(file, scored)
        else:
            _write(self.stdout, scored)


def _lines(name: str) -> list[str]:
    text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    return text.splitlines()


def _write(out: Any, scored: list[Any]) -> None:
    out.write("timestamp,value,score,flagged\n")
    rows = (f"{s.timestamp},{s.value},{s.score:.6f},{int(s.flagged)}\n" for s in scored)
    for row in rows:
        out.write(row)
