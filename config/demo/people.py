"""The people of a fresh installation: an administrator, and three who play the demo audit.

Passwords and keys are generated for each installation. The demo people belong to the demo client
only, so they reach nothing else; the administrator is real and stays.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from django.db import transaction

from config.access.callers import create_key, of_key
from config.access.models import Client, Membership, User
from config.access.roles import ROLES
from config.demo import credentials
from config.demo.credentials import Credentials

ADMINISTRATOR = "admin"
STARTER = "demo.professional"
APPROVERS = {"manager": "demo.manager", "partner": "demo.partner"}
DEMO_CLIENT = "demo-london"
_PASSWORD_BYTES = 12
_NAMES = {
    STARTER: ("Pat", "Demo"),
    APPROVERS["manager"]: ("Mara", "Demo"),
    APPROVERS["partner"]: ("Paul", "Demo"),
}


@transaction.atomic
def ensure_people(home: Path) -> dict[str, Credentials]:
    """Make who is missing; returns everybody's credentials. Harmless to repeat.

    A password that somebody changed is left alone; keys that expired are made anew.
    """
    Client.objects.get_or_create(is_firm=True, defaults={"slug": "firm", "name": "The firm"})
    client, _ = Client.objects.get_or_create(
        slug=DEMO_CLIENT,
        defaults={"name": "Greater London Authority (sample ledger)", "is_demo": True},
    )
    known = credentials.read(home)
    people = {ADMINISTRATOR: _administrator(known.get(ADMINISTRATOR))}
    roles = {STARTER: "professional", **{name: role for role, name in APPROVERS.items()}}
    for username, role in roles.items():
        people[username] = _demo_person(username, role, client, known.get(username))
    credentials.write(home, people)
    return people


def _administrator(known: Credentials | None) -> Credentials:
    if User.objects.filter(is_superuser=True).exists():
        return known or Credentials(ADMINISTRATOR, "administrator", "")
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    User.objects.create_superuser(ADMINISTRATOR, email="", password=password)
    return Credentials(ADMINISTRATOR, "administrator", password)


def _demo_person(
    username: str, role: str, client: Client, known: Credentials | None
) -> Credentials:
    first, last = _NAMES[username]
    user, made = User.objects.get_or_create(
        username=username, defaults={"first_name": first, "last_name": last, "is_demo": True}
    )
    Membership.objects.get_or_create(user=user, client=client, role=role)
    if made or known is None:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        user.set_password(password)
        user.save(update_fields=["password"])
        known = Credentials(username, role, password)
    if not known.key or of_key(known.key) is None:
        _, key = create_key(user=user, client=client, name="demo", scopes=sorted(ROLES[role]))
        known = replace(known, key=key)
    return known
