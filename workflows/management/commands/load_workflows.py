"""``manage.py load_workflows``: publish the shipped definitions; doing it twice changes nothing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.errors import AppError
from workflows import publishing, shipped_watches


class Command(BaseCommand):
    help = "Publishes the workflow definitions of the library, and its watches."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = publishing.publish_library()
            shipped_watches.keep_shipped()
        except AppError as error:
            raise CommandError(str(error)) from None
        new = [name for name, is_new in done.items() if is_new]
        told = f"; new versions: {', '.join(new)}" if new else ""
        self.stdout.write(f"{len(done)} workflows are published{told}")
