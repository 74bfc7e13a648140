"""``manage.py prepare``: tables, catalogue, workflows and demo people, brought up to date."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

# Each is idempotent; the order is the arrow's: agents before the workflows that name them.
_LOADERS = ("load_monitoring", "load_catalogue", "load_workflows")


class Command(BaseCommand):
    help = "Migrates, loads the shipped catalogue and workflows, and makes the demo people."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=1, interactive=False, stdout=self.stdout)
        for name in _LOADERS:
            call_command(name, stdout=self.stdout)
        call_command("demo", setup=True, stdout=self.stdout)
