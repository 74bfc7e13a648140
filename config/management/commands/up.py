"""``manage.py up``: the whole instance in the foreground. ``manage.py`` itself runs it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Starts and supervises every process of an instance (see make run)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        from config.supervisor.up import add_options

        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        # The supervisor needs no Django, which would cost each start two seconds.
        raise CommandError("run it as: manage.py up")
