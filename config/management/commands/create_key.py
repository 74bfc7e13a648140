"""``manage.py create_key USER --name N``: a new API key; its secret is printed once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.access import callers
from config.access.models import Client, User
from config.access.roles import SCOPES
from config.errors import AppError


class Command(BaseCommand):
    help = "Makes an API key for a user and prints its secret, which is stored nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="username")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--client", default="", help="slug; the user's own client by default")
        parser.add_argument("--scopes", default="", help="comma-separated; all of the user's")
        parser.add_argument("--days", type=int, default=90)

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"no active user {options['user']!r}")
        try:
            caller = callers.of_user(user)
            scopes = _scopes(options["scopes"], caller.scopes)
            client = _client(options["client"], caller)
            _, secret = callers.create_key(
                user=user, client=client, name=options["name"], scopes=scopes, days=options["days"]
            )
        except AppError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(secret)


def _scopes(text: str, allowed: frozenset[str]) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()] or sorted(allowed)
    for scope in wanted:
        if scope not in SCOPES:
            raise CommandError(f"no scope {scope!r}; there are {', '.join(sorted(SCOPES))}")
        if scope not in allowed:
            raise CommandError(f"this user's roles do not carry the scope {scope!r}")
    return wanted


def _client(slug: str, caller: callers.Caller) -> Client:
    if not slug:
        return Client.objects.get(pk=caller.home_client_id)
    client = Client.objects.filter(slug=slug).first()
    if client is None or not caller.sees(client.pk):
        raise CommandError(f"no client {slug!r} that this user may see")
    return client
