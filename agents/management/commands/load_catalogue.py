"""``manage.py load_catalogue``: agents, prices, endpoints and default budgets into the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents import loading
from config.errors import AppError


class Command(BaseCommand):
    help = "Load the agent catalogue; loading twice changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--directory", type=Path, default=loading.CATALOGUE)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = loading.load(options["directory"])
        except AppError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{loaded.agents} agents ({loaded.new_agents} new, {loaded.changed_agents} changed), "
            f"{loaded.new_versions} new versions"
        )
