"""``manage.py demo``: the demo audit on a running instance, or only its people (``--setup``)."""

from __future__ import annotations

import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.demo.audit import run_audit
from config.demo.people import ensure_people
from config.supervisor import instance


class Command(BaseCommand):
    help = "Runs the annual audit on the sample ledger through the API of a running instance."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--setup", action="store_true", help="only make the demo people")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["setup"]:
            people = ensure_people(settings.RATCHET_HOME)
            self.stdout.write(f"{len(people)} people have credentials")
            return
        running = instance.running(settings.RATCHET_HOME)
        if running is None or not running.ready:
            raise CommandError("no instance is running here; start one with: make run")
        if not run_audit(
            url=running.url,
            flower_url=running.flower_url,
            home=settings.RATCHET_HOME,
            stopped=threading.Event(),
        ):
            raise CommandError("the audit did not succeed")
