"""Money is reserved before it is spent: hold, settle, release, each one conditional statement.

A hold locks the budgets that apply in id order (two orders would deadlock), tests all of them,
and writes all or none. Windows roll on in the same statement: a new day starts with nothing spent
and with the holds that are still open.
"""

# ruff: noqa: S608 (statements are put together from constants of this module only)

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from agents import budget_use
from agents.errors import BudgetExceeded
from agents.models import Budget
from config import logs, statements
from config.access.ids import uuid7
from config.errors import InvalidInput

logger = logging.getLogger(__name__)

# Shares of a cap at which people are told.
ALERT_PERCENTS = (50, 80, 100)
# A hold outlives the longest call; after this its worker is dead and the sweep gives it back.
HOLD_LIFETIME = timedelta(minutes=15)

Key = tuple[str, str]  # scope, key

# A scope and key looked up for templates need no second look for this long.
SEEN_SECONDS = 30.0
MAX_SEEN = 20_000
_seen: dict[Key, float] = {}

_WANTED = """
    wanted AS (
        SELECT id, scope, key, "window", cap_usd, soft_cap_usd, held_usd,
            CASE WHEN "window" <> 'total'
                AND window_started_at < date_trunc("window", now(), 'UTC')
                THEN 0 ELSE spent_usd END AS spent,
            CASE WHEN "window" <> 'total'
                THEN date_trunc("window", now(), 'UTC')
                ELSE window_started_at END AS started
        FROM agents_budget
        WHERE is_active AND {which}
        ORDER BY id FOR UPDATE
    )"""

# Losing a hold in a database crash only frees what a dead call had reserved: not worth a flush.
_HOLD = (
    "WITH fast AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),"
    + _WANTED.format(
        which="(scope, key) IN (SELECT * FROM unnest(%(scopes)s::text[], %(keys)s::text[]))"
    )
    + """,
    refused AS (
        SELECT scope, key, "window", cap_usd - spent - held_usd AS remaining FROM wanted
        WHERE spent + held_usd + %(amount)s > cap_usd
    ),
    written AS (
        UPDATE agents_budget b
        SET held_usd = b.held_usd + %(amount)s, spent_usd = w.spent, window_started_at = w.started
        FROM wanted w WHERE b.id = w.id AND NOT EXISTS (SELECT 1 FROM refused)
    ),
    made AS (
        INSERT INTO agents_hold
            (id, client_id, invocation_id, budget_ids, amount_usd, created_at, expires_at)
        SELECT %(hold)s, %(client)s, %(invocation)s, array_agg(id), %(amount)s, now(),
            now() + make_interval(secs => %(lifetime)s)
        FROM wanted, fast WHERE NOT EXISTS (SELECT 1 FROM refused) HAVING count(*) > 0
    )
    SELECT (SELECT array_agg(id) FROM wanted),
        (SELECT array_agg(scope || ':' || key || ' ' || "window" || ' ' || remaining) FROM refused),
        (SELECT bool_or(soft_cap_usd IS NOT NULL AND spent + held_usd + %(amount)s > soft_cap_usd)
            FROM wanted)
    """
)

_EXTEND = (
    "WITH hold AS (SELECT * FROM agents_hold WHERE id = %(hold)s FOR UPDATE),"
    + _WANTED.format(which="id = ANY (SELECT unnest(budget_ids) FROM hold)")
    + """,
    refused AS (
        SELECT scope, key, "window", cap_usd - spent - held_usd AS remaining FROM wanted
        WHERE spent + held_usd + %(amount)s > cap_usd
    ),
    written AS (
        UPDATE agents_budget b
        SET held_usd = b.held_usd + %(amount)s, spent_usd = w.spent, window_started_at = w.started
        FROM wanted w WHERE b.id = w.id AND NOT EXISTS (SELECT 1 FROM refused)
    ),
    more AS (
        UPDATE agents_hold SET amount_usd = amount_usd + %(amount)s
        WHERE id = %(hold)s AND NOT EXISTS (SELECT 1 FROM refused)
    )
    SELECT (
        SELECT array_agg(scope || ':' || key || ' ' || "window" || ' ' || remaining) FROM refused)
    """
)

# Common table expressions that settle a hold, for the statement that stores what it was for. A
# hold that the sweep already gave back still has its cost counted.
SETTLES = (
    "gone AS (DELETE FROM agents_hold WHERE id = %(hold)s RETURNING amount_usd),"
    + _WANTED.format(which="id = ANY (%(budgets)s::uuid[])")
    + """,
    settled AS (
        UPDATE agents_budget b
        SET held_usd = b.held_usd - coalesce((SELECT amount_usd FROM gone), 0),
            spent_usd = w.spent + %(cost)s, window_started_at = w.started
        FROM wanted w WHERE b.id = w.id
        RETURNING b.scope, b.key, b."window", b.client_id, b.cap_usd, b.spent_usd
    )"""
)
SETTLED = 'SELECT scope, key, "window", client_id, cap_usd, spent_usd FROM settled'
_SETTLE = f"WITH {SETTLES} {SETTLED}"

_EXPIRE = """
    WITH dead AS (
        DELETE FROM agents_hold WHERE id IN (
            SELECT id FROM agents_hold WHERE expires_at < now() ORDER BY id FOR UPDATE SKIP LOCKED)
        RETURNING id, budget_ids, amount_usd
    ), parts AS (
        SELECT budget, sum(amount_usd) AS amount FROM dead, unnest(budget_ids) AS budget
        GROUP BY budget
    ), locked AS (
        SELECT id FROM agents_budget WHERE id IN (SELECT budget FROM parts) ORDER BY id FOR UPDATE
    ), written AS (
        UPDATE agents_budget b SET held_usd = b.held_usd - p.amount
        FROM parts p, locked l WHERE b.id = p.budget AND l.id = b.id
    )
    SELECT count(*), coalesce(sum(amount_usd), 0) FROM dead
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation of ``amount_usd`` in each of ``budget_ids``.

    ``is_soft_exceeded``: some budget is above its soft cap; the call should be a light one.
    """

    id: UUID
    budget_ids: tuple[UUID, ...]
    amount_usd: Decimal
    is_soft_exceeded: bool = False


def hold(
    *,
    keys: Sequence[Key],
    amount_usd: Decimal,
    client_id: UUID,
    invocation_id: UUID,
    seconds: float | None = None,
) -> Held:
    """Reserve ``amount_usd`` in all active budgets of ``keys``, or in none.

    After ``seconds`` (HOLD_LIFETIME) without a settlement the sweep gives it back. Raises
    BudgetExceeded naming the first budget that has less left.
    """
    _copy_templates(keys, client_id)
    hold_id = uuid7()
    ((budget_ids, refused, soft),) = statements.execute(
        _HOLD,
        {
            "scopes": [scope for scope, _ in keys],
            "keys": [key for _, key in keys],
            "amount": amount_usd,
            "hold": hold_id,
            "client": client_id,
            "invocation": invocation_id,
            "lifetime": float(seconds or HOLD_LIFETIME.total_seconds()),
        },
    )
    if refused:
        raise _refusal(refused, amount_usd)
    return Held(hold_id, tuple(budget_ids or ()), amount_usd, bool(soft))


def extend(held: Held, *, by_usd: Decimal) -> Held:
    """Reserve more under the same hold; raises BudgetExceeded and leaves it as it was."""
    if not held.budget_ids:
        return held
    ((refused,),) = statements.execute(_EXTEND, {"hold": held.id, "amount": by_usd})
    if refused:
        raise _refusal(refused, by_usd)
    return Held(held.id, held.budget_ids, held.amount_usd + by_usd, held.is_soft_exceeded)


def settle(held: Held, *, cost_usd: Decimal) -> None:
    """Turn the hold into what was really spent (0 releases it); tell of thresholds crossed."""
    if held.budget_ids:
        tell(statements.execute(_SETTLE, settling(held, cost_usd)), cost_usd)


def settling(held: Held | None, cost_usd: Decimal) -> dict[str, Any]:
    """The parameters of ``SETTLES``; of no hold, those that settle nothing."""
    ids = held.budget_ids if held is not None else ()
    return {
        "hold": held.id if held is not None and ids else None,
        "budgets": f"{{{','.join(map(str, ids))}}}",
        "cost": cost_usd,
    }


def tell(settled: Sequence[tuple[Any, ...]], cost_usd: Decimal) -> None:
    """Tell of the thresholds that a settlement (rows of ``SETTLED``) crossed."""
    passed = []
    for row in settled:
        scope, key, _window, _client, cap, spent = row
        for percent in crossed(cap, spent - cost_usd, spent):
            passed.append(row)
            logs.event(logger, "agents.budget.threshold_crossed", level=logging.WARNING,
                       scope=scope, key=key, percent=percent, cap_usd=str(cap))  # fmt: skip
    if not passed:
        return
    try:
        with transaction.atomic():
            budget_use.measure_settled(passed)
    except DatabaseError:  # the money is settled, and the sweep measures every budget
        logger.warning("agents.budget.not_measured", exc_info=True)


def crossed(cap_usd: Decimal, before_usd: Decimal, after_usd: Decimal) -> list[int]:
    """The ALERT_PERCENTS of the cap that spending passed between ``before`` and ``after``."""
    return [
        percent for percent in ALERT_PERCENTS if before_usd < cap_usd * percent / 100 <= after_usd
    ]


def expire_holds() -> tuple[int, Decimal]:
    """Give back what dead calls had reserved: how many holds, and how much of each summed."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRE)
        count, amount = cursor.fetchone()
    return count, amount


def open_run_budget(*, run_id: UUID, client_id: UUID, cap_usd: Decimal) -> UUID:
    """The budget of one run, made at the first call and left alone later."""
    budget, _ = Budget.objects.get_or_create(
        scope=Budget.Scope.RUN,
        key=str(run_id),
        window=Budget.Window.TOTAL,
        defaults={"cap_usd": cap_usd, "client_id": client_id},
    )
    return budget.id


def set_budget(
    *,
    scope: str,
    key: str,
    window: str,
    cap_usd: Decimal,
    soft_cap_usd: Decimal | None = None,
    client_id: UUID | None = None,
    is_active: bool = True,
) -> Budget:
    """Make a budget or change its caps; what is spent and held stays."""
    if cap_usd < 0 or not cap_usd.is_finite():
        raise InvalidInput("cap_usd", str(cap_usd), "0 or more")
    if soft_cap_usd is not None and not 0 <= soft_cap_usd <= cap_usd:
        raise InvalidInput("soft_cap_usd", str(soft_cap_usd), f"from 0 to the cap of {cap_usd}")
    caps = {"cap_usd": cap_usd, "soft_cap_usd": soft_cap_usd, "is_active": is_active}
    with transaction.atomic():
        budget, created = Budget.objects.update_or_create(
            scope=scope,
            key=key,
            window=window,
            defaults=caps,
            create_defaults={**caps, "client_id": client_id},
        )
    logs.event(logger, "agents.budget.set", scope=scope, key=key, window=window,
               cap_usd=str(cap_usd), created=created)  # fmt: skip
    return budget


def _refusal(refused: list[str], needed: Decimal) -> BudgetExceeded:
    told = [one.rsplit(" ", 2) for one in refused]
    budget_use.measure_refusal([name for name, _, _ in told], needed)
    name, window, remaining = told[0]
    return BudgetExceeded(name, max(Decimal(remaining), Decimal(0)), needed, window)


def _copy_templates(keys: Sequence[Key], client_id: UUID) -> None:
    """Make budgets of new runs, agents, users and clients from the templates (key ``*``)."""
    now = time.monotonic()
    if all(_seen.get(key, 0.0) > now for key in keys):
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO agents_budget (id, client_id, scope, key, "window", cap_usd, soft_cap_usd,
                spent_usd, held_usd, window_started_at, is_active, created_at)
            SELECT gen_random_uuid(), %s, t.scope, k.key, t."window", t.cap_usd, t.soft_cap_usd,
                0, 0, now(), true, now()
            FROM unnest(%s::text[], %s::text[]) AS k(scope, key)
            JOIN agents_budget t ON t.scope = k.scope AND t.key = '*' AND t.is_active
            WHERE NOT EXISTS (SELECT 1 FROM agents_budget b
                WHERE b.scope = k.scope AND b.key = k.key AND b."window" = t."window")
            ON CONFLICT DO NOTHING
            """,
            [client_id, [scope for scope, _ in keys], [key for _, key in keys]],
        )
    # Only now: another thread that took them for made would reserve nothing in them.
    if len(_seen) > MAX_SEEN:
        _seen.clear()
    _seen.update(dict.fromkeys(keys, now + SEEN_SECONDS))
