"""Rights to what is limited to some roles or audiences: ``partner``, ``department:audit``.

A row says in ``limited_to`` what its reader must hold: one name of each line.
Documents are limited so, and calls that quoted one. Parts of Ratchet itself are nobody's reader:
what they read for somebody takes that person's rights.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, Func, Q, QuerySet, TextField, Value

from config.access import audiences
from config.access.audiences import audiences_of, check_audiences
from config.access.callers import Caller
from config.access.models import Membership, User
from config.access.roles import ROLES, may_act_as
from config.errors import InvalidInput

NOBODY: frozenset[str] = frozenset()
FIELD = "limited_to"
# As long as audiences are kept.
KEPT_SECONDS = 30.0
MOST_KEPT = 10_000
_kept: dict[UUID, tuple[float, frozenset[str]]] = {}


class Met(Func):
    """Whether every line of a column names something that the second argument, names, holds."""

    arity = 2
    arg_joiner = ") AS line WHERE NOT string_to_array(line, E'\\n') && "
    template = "NOT EXISTS (SELECT 1 FROM unnest(%(expressions)s::text[])"
    output_field = BooleanField()


def lines(names: Sequence[str]) -> list[str]:
    """What a reader must hold of what is limited to ``names``: one of the roles among them, if
    there are any, and one of the audiences."""
    roles = sorted({name for name in names if ":" not in name})
    others = sorted({name for name in names if ":" in name})
    return ["\n".join(one) for one in (roles, others) if one]


def names_in(limited_to: Sequence[str]) -> list[str]:
    """The names that lines were made of."""
    return [name for line in limited_to for name in line.split("\n")]


def check_names(names: Sequence[str], field: str) -> None:
    """Raise InvalidInput for a name that is no role and no audience that somebody is in."""
    for name in names:
        if ":" not in name and name not in ROLES:
            limit = f"a role ({', '.join(ROLES)}) or an audience such as department:audit"
            raise InvalidInput(field, name, limit)
    check_audiences([name for name in names if ":" in name], field)


def of_caller(caller: Caller) -> frozenset[str]:
    """Roles that the caller may act as, and its user's audiences."""
    if caller.user_id is None:
        return NOBODY
    roles = {role for role in ROLES if may_act_as(caller.roles, role)}
    return frozenset(roles | audiences_of(str(caller.user_id), ""))


def of_user(user_id: UUID | None) -> frozenset[str]:
    """The same of a user by id, at most KEPT_SECONDS old; nothing without one."""
    if user_id is None:
        return NOBODY
    found, now = _kept.get(user_id), time.monotonic()
    if found is None or found[0] < now:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        found = _kept[user_id] = (now + KEPT_SECONDS, _read(user_id))
    return found[1]


def forget() -> None:
    """Look everybody up again at the next question."""
    _kept.clear()


def only_met(rows: QuerySet[Any], names: Collection[str]) -> QuerySet[Any]:
    """``rows`` that somebody who holds ``names`` may read."""
    return rows.filter(met(names))


def met(names: Collection[str]) -> Q:
    """What holds of rows that somebody who holds ``names`` may read."""
    held = Value(sorted(names), ArrayField(TextField()))
    return Q(**{f"{FIELD}__isnull": True}) | Q(Met(FIELD, held))


def _read(user_id: UUID) -> frozenset[str]:
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return NOBODY
    held = set(Membership.objects.filter(user=user).values_list("role", flat=True))
    held |= {"administrator"} if user.is_superuser else set()
    roles = {role for role in ROLES if may_act_as(frozenset(held), role)}
    return frozenset(roles | audiences.read(str(user_id), ""))  # none that are kept: as old as both
