"""``manage.py simulate_scaling TRACE.csv --policy POLICY.yaml``: no server, no database."""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import AppError
from scaling.simulate import compare, summary
from scaling.trace import check_span, read_policy, read_trace


class Command(BaseCommand):
    help = "Run a trace of arrivals through a scaling policy, beside fixed and reactive ones."
    requires_system_checks: list[str] = []  # needs no database, so no check of it

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("trace", help="a CSV file of arrivals, or - for standard input")
        parser.add_argument("--policy", required=True, help="a YAML file")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = read_policy(Path(options["policy"]).read_text(encoding="utf-8"))
            arrivals = read_trace(_lines(options["trace"]), service_seconds=given.service_seconds)
            check_span(arrivals, given.policy)
            outcomes = compare(arrivals, given.policy)
        except (AppError, OSError, UnicodeDecodeError, csv.Error) as error:
            raise CommandError(str(error)) from error
        price = given.price_per_worker_hour_usd
        document = {
            "trace": {
                "arrivals": len(arrivals),
                "span_seconds": round(arrivals[-1].at_seconds - arrivals[0].at_seconds, 3),
                "work_seconds": round(sum(a.service_seconds for a in arrivals), 3),
            },
            "policies": [summary(outcome, price) for outcome in outcomes],
        }
        self.stdout.write(json.dumps(document, indent=2))


def _lines(name: str) -> list[str]:
    text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    return text.splitlines()
