"""``manage.py sendtestemail``: Django's own, with one line where the mail server is at fault."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import sendtestemail


class Command(sendtestemail.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            super().handle(*args, **options)
        except OSError as error:
            raise CommandError(
                f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} took no mail: {error}"
            ) from error
