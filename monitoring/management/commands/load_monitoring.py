"""``manage.py load_monitoring``: the shipped alert rules and objectives, brought up to date."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from monitoring import shipped


class Command(BaseCommand):
    help = "Loads the shipped alert rules and objectives; what an operator added stays."

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            rules, objectives = shipped.load()
        self.stdout.write(f"monitoring: {rules} alert rules, {objectives} objectives")
