"""``manage.py simulate_learning SCENARIO.yaml --seed N``: the whole loop against a known truth.

Runs in a database of its own, which is gone afterwards (``--keep DIR`` keeps it).
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config.errors import AppError
from learning.simulation import report, running
from learning.simulation.scenario import read_scenario

SHIPPED = Path(__file__).parents[2] / "scenarios"


class Command(BaseCommand):
    help = "Run the learning loop against an offline model whose truth the scenario states."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("scenario", help="a YAML file, or the name of a shipped one")
        parser.add_argument("--seed", type=int, help="decides every draw; wins over the scenario's")
        parser.add_argument("--candidates", type=int, help="another number of them: a shorter run")
        parser.add_argument("--keep", help="a new folder for its database, kept afterwards")
        parser.add_argument("--text", action="store_true", help="tables instead of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["scenario"])
        if not path.exists() and (SHIPPED / f"{path.name}.yaml").exists():
            path = SHIPPED / f"{path.name}.yaml"
        try:
            scenario = read_scenario(path, seed=options["seed"], candidates=options["candidates"])
            call_command("migrate", verbosity=0)
            found = running.run(scenario, path, say=self._say)
        except AppError as error:
            raise CommandError(str(error)) from error
        self._say(report.words(found))
        if options["text"]:
            self.stdout.write(report.words(found))
        else:
            self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))

    def _say(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()
