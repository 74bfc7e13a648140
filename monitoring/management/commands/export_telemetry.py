"""``manage.py export_telemetry --since DAY``: the record as Parquet files for a data lake."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.errors import AppError
from monitoring import export


class Command(BaseCommand):
    help = "Writes what is not there yet as Parquet, partitioned by day (UTC)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", required=True, metavar="DAY", help="such as 2026-11-01")
        parser.add_argument("--until", metavar="DAY", help="default: today")
        parser.add_argument(
            "--to",
            metavar="PLACE",
            default="",
            help="a folder, or a URL that fsspec knows (default: LAKE_URL)",
        )
        parser.add_argument("--only", default="", metavar="NAMES", help="tables, with commas")
        parser.add_argument("--again", action="store_true", help="write closed days anew")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        place = options["to"] or settings.LAKE_URL
        try:
            done = export.export(
                place,
                since=_day(options["since"]),
                until=_day(options["until"]) if options["until"] else now.date(),
                now=now,
                only=[name.strip() for name in options["only"].split(",") if name.strip()],
                again=options["again"],
            )
        except AppError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{place}: {done.rows} rows in {done.files} files of {len(done.datasets)} tables; "
            f"{done.skipped} days were there"
        )


def _day(text: str) -> date:
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        raise CommandError(f"{text!r} is no day; give one such as 2026-11-01") from None
