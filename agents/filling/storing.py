"""Filling a database day by day: rows by binary COPY, windows folded from the same columns."""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any

import django
import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from agents.filling.columns import CODES, STATES, Cast, Day, draw, ids
from agents.models import Agent, Invocation, Label
from agents.retention import TABLES
from config import partitions
from config.access.models import Client, User
from config.errors import Conflict, InvalidInput
from monitoring import filling
from monitoring.domain import columns as folding

MOST = 50_000_000
LONGEST_DAYS = 365
CLIENTS, USERS = 12, 40
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Columns of the staging table, with the type of each as binary COPY writes it.
STAGED = (
    ("id", "uuid", "V16"), ("agent", "int2", ">i2"), ("client", "int2", ">i2"),
    ("person", "int2", ">i2"), ("endpoint", "int2", ">i2"), ("model", "int2", ">i2"),
    ("state", "int2", ">i2"), ("code", "int2", ">i2"), ("cached", "int2", ">i2"),
    ("started", "timestamptz", ">i8"), ("duration", "float8", ">f8"), ("first", "float8", ">f8"),
    ("cost", "float8", ">f8"), ("saved", "float8", ">f8"), ("read", "int4", ">i4"),
    ("written", "int4", ">i4"),
)  # fmt: skip
_STAGE = ", ".join(f"{name} {kind}" for name, kind, _ in STAGED)
_INSERT = """
INSERT INTO agents_invocation (id, client_id, agent_id, agent_slug, version_id, version_number,
    user_id, unit, effect_id, attempt, state, error_code, inputs, prompt, output, findings, sealed,
    model, endpoint, price_version, is_simulated, is_demo, cached, cost_usd, saved_usd,
    input_tokens, cached_tokens, output_tokens, reasoning_tokens, model_calls, tool_calls,
    started_at, duration_seconds, first_token_seconds, waited_seconds, trace_id)
SELECT s.id, (%(clients)s::uuid[])[s.client + 1], a.id::uuid, a.slug, a.version::uuid, 1,
    (%(users)s::uuid[])[s.person + 1], '', '', 1, (%(states)s::text[])[s.state + 1],
    (%(codes)s::text[])[s.code + 1], '{}', '', '{}', '[]', '', (%(models)s::text[])[s.model + 1],
    (%(endpoints)s::text[])[s.endpoint + 1], '', true, false,
    CASE s.cached WHEN 1 THEN 'redis' ELSE '' END, round(s.cost::numeric, 9),
    round(s.saved::numeric, 9), s.read, 0, s.written, 0, 1 - s.cached, 0, s.started, s.duration,
    nullif(s.first, -1), CASE s.cached WHEN 1 THEN 0 ELSE s.duration - 0.012 END, ''
FROM filled s JOIN unnest(%(agents)s::text[], %(slugs)s::text[], %(versions)s::text[])
    WITH ORDINALITY AS a(id, slug, version, place) ON a.place = s.agent + 1
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written: calls, rows of windows, days."""

    calls: int
    windows: int
    days: int


def fill(*, calls: int, days: int, seed: int, processes: int = 2) -> Filled:
    """Write ``calls`` over the last whole ``days``, up to this hour, with all their windows.

    Days are drawn, written and folded apart, in ``processes`` at once; the same seed gives the
    same calls. Raises InvalidInput, and Conflict where calls are recorded already.
    """
    if not days <= calls <= MOST:
        raise InvalidInput("calls", calls, f"from {days} (one a day) to {MOST:,}")
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput("days", days, f"from 1 to {LONGEST_DAYS}")
    if Invocation.objects.exists():
        raise Conflict("the record", "not empty", "a database without calls")
    now = timezone.now()
    cast = _cast()
    first = now.replace(hour=0, minute=0, second=0, microsecond=0) - (days - 1) * DAY
    _months(first, now)
    sizes = np.diff(np.linspace(0, calls, days + 1).astype(int)).tolist()
    work = [(cast, first + n * DAY, size, seed + n, now) for n, size in enumerate(sizes)]
    if processes == 1:
        done = [_day(*one) for one in work]
    else:
        connection.close()
        pool = ProcessPoolExecutor(processes, get_context("spawn"), django.setup)
        with pool:
            done = list(pool.map(_day_of, work))
    filling.folded_through(now)
    return Filled(calls, sum(done), days)


def _day_of(work: tuple[Any, ...]) -> int:
    return _day(*work)


def _cast() -> Cast:
    versions = dict(
        Label.objects.filter(name=Label.Name.PRODUCTION).values_list("agent_id", "version_id")
    )
    agents = [
        (str(a.pk), a.slug, a.domain, a.audience, str(versions[a.pk]))
        for a in Agent.objects.order_by("slug")
        if a.pk in versions
    ]
    if not agents:
        raise Conflict("the catalogue", "empty", "agents (manage.py load_catalogue)")
    clients = [
        Client.objects.get_or_create(
            slug=f"filled-{n:02}", defaults={"name": f"Filled client {n:02}", "is_demo": True}
        )[0].pk
        for n in range(1, CLIENTS + 1)
    ]
    users = [
        User.objects.get_or_create(
            username=f"filled.{n:02}", defaults={"is_demo": True, "is_active": False}
        )[0].pk
        for n in range(1, USERS + 1)
    ]
    names = ("first", "second", "third")
    return Cast(agents, [str(one) for one in clients], [str(one) for one in users], names,
                ("filled-a", "filled-a", "filled-b"),
                ("light-1", "standard-1", "strong-1"))  # fmt: skip


def _months(first: datetime, now: datetime) -> None:
    months = (now.year - first.year) * 12 + now.month - first.month
    for table in TABLES:
        partitions.ensure_months("agents", table, now=first, ahead=months)


def _day(cast: Cast, start: datetime, size: int, seed: int, now: datetime) -> int:
    """One day: drawn, written, folded. The present day ends with the last whole hour."""
    generator = np.random.default_rng(seed)
    day = draw(cast, size, generator)
    hours = int(min(24, max((now - start) / HOUR, 1)))
    # What would lie ahead is moved to what is over, and each call ends on its day.
    last = hours * 3600 - math.ceil(day.numbers["invocation_duration_seconds"].max())
    day = Day(np.minimum(day.at * hours / 24, last), day.codes, day.numbers)
    _write(cast, start, day, generator)
    return filling.store_closed(_windows(cast, start, day, hours, now))


def _windows(cast: Cast, start: datetime, day: Day, hours: int, now: datetime) -> Any:
    labels = {
        "agent": [one[1] for one in cast.agents], "client": cast.clients, "user": cast.users,
        "endpoint": cast.endpoints, "model": cast.models, "code": CODES,
    }  # fmt: skip

    given = {name: folding.Label(day.codes[name], tuple(names)) for name, names in labels.items()}
    agent = day.codes["agent"]
    for name, place in (("domain", 2), ("audience", 3)):
        words = sorted({one[place] for one in cast.agents})
        of_agent = np.array([words.index(one[place]) for one in cast.agents])
        given[name] = folding.Label(of_agent[agent], tuple(words))
    providers = sorted(set(cast.providers))
    of_endpoint = np.array([providers.index(one) for one in cast.providers])
    given["provider"] = folding.Label(of_endpoint[day.codes["endpoint"]], tuple(providers))
    given["version"] = folding.Label(np.zeros_like(agent), ("1",))
    if hours == 24:
        yield "d", start, folding.fold_columns(given, day.numbers)
    if hours < 24 or filling.keeps_hours_of(start, now=now):
        # A call is counted when it ends.
        ended = day.at + day.numbers["invocation_duration_seconds"]
        hour = folding.Label((ended // 3600).astype(np.int64), tuple(map(str, range(24))))
        for name, windows in folding.fold_columns_by(hour, given, day.numbers).items():
            yield "h", start + int(name) * HOUR, windows


@transaction.atomic
def _write(cast: Cast, start: datetime, day: Day, generator: np.random.Generator) -> None:
    micros = int((start - EPOCH) / timedelta(microseconds=1))
    first = day.numbers["first_token_seconds"]
    staged: dict[str, Any] = {
        "id": ids(int(start.timestamp() * 1000), day.at, generator).view("V16").ravel(),
        "agent": day.codes["agent"], "client": day.codes["client"], "person": day.codes["user"],
        "endpoint": day.codes["endpoint"], "model": day.codes["model"],
        "state": day.codes["state"], "code": day.codes["code"], "cached": day.codes["cached"],
        "started": micros + (day.at * 1e6).astype(np.int64),
        "duration": day.numbers["invocation_duration_seconds"],
        "first": np.where(np.isnan(first), -1.0, first), "cost": day.numbers["cost_usd"],
        "saved": day.numbers["saved_usd"], "read": day.numbers["input_tokens"],
        "written": day.numbers["output_tokens"],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(f"CREATE TEMP TABLE filled ({_STAGE})")
        with cursor.copy("COPY filled FROM STDIN (FORMAT binary)") as copy:
            copy.write(_binary(staged, day.at.size))
        cursor.execute(_INSERT, {
            "clients": list(cast.clients), "users": list(cast.users), "states": list(STATES),
            "codes": list(CODES), "models": list(cast.models), "endpoints": list(cast.endpoints),
            "agents": [one[0] for one in cast.agents], "slugs": [one[1] for one in cast.agents],
            "versions": [one[4] for one in cast.agents],
        })  # fmt: skip
        cursor.execute("DROP TABLE filled")  # the next day may be of the same transaction


def _binary(columns: dict[str, Any], size: int) -> bytes:
    """PostgreSQL's binary COPY format: a header, rows of (length, value), a trailer."""
    fields: list[Any] = [("fields", ">i2")]
    for name, _, kind in STAGED:
        fields += [(f"{name}_size", ">i4"), (name, kind)]
    rows = np.zeros(size, dtype=np.dtype(fields))
    rows["fields"] = len(STAGED)
    for name, _, kind in STAGED:
        rows[f"{name}_size"] = np.dtype(kind).itemsize
        rows[name] = columns[name]
    head = b"PGCOPY\n\xff\r\n\x00" + (0).to_bytes(8, "big")
    return head + rows.tobytes() + b"\xff\xff"
