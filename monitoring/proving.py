"""Recomputing stretches of the audit chain, each of which stands on what was sealed before it.

A stretch needs a connection to the database and nothing of Django, so that a process of its own
begins at once: several prove a long log together, and who asked for it joins the ends.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import psycopg

from monitoring.domain import chain
from monitoring.domain.chain import Fault

# What the chain digests of an entry: its fields as text, with a separator that no field holds.
# The first of them is the id. Microseconds fit a float exactly for thousands of years to come.
CONTENT = """concat_ws(chr(31), e.id::text, (extract(epoch FROM e.at) * 1000000)::bigint::text,
    e.actor, e.action, e.target, coalesce(e.client_id::text, ''), coalesce(e.user_id::text, ''),
    e.session, e.before_digest, e.after_digest)"""
_ID = 36  # characters

# Faults told one by one; a log that has more is not to be trusted in any part.
MOST_FAULTS = 100
_SEALS_AT_ONCE = 8
# How often whoever waits for other processes shows that its transaction is not forgotten.
_SIGN_SECONDS = 5.0

_SEALS = """
SELECT number, first_sequence, entry_ids::text[], digests FROM monitoring_auditseal
WHERE number > %(after)s AND number <= %(last)s ORDER BY number LIMIT %(most)s
"""
# A seal's entries lie side by side but for a few that were committed late: a range is five times
# as fast as a list of ids. What the range leaves out is looked up.
_RANGE = f"""
SELECT {CONTENT} FROM monitoring_auditentry e
WHERE e.id BETWEEN %(low)s::uuid AND %(high)s::uuid LIMIT %(most)s
"""  # noqa: S608
_SINGLE = f"SELECT {CONTENT} FROM monitoring_auditentry e WHERE e.id = ANY(%(ids)s::uuid[])"  # noqa: S608

Session = psycopg.Connection[Any]
Seal = tuple[int, int, list[str], bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the chain stands behind a seal: the next entry's sequence, and the last digest."""

    number: int
    sequence: int
    digest: bytes


BEGINNING = Place(0, 1, chain.GENESIS)


@dataclass(slots=True)
class Proved:
    """What one stretch holds, and where the chain stands behind it."""

    end: Place
    seals: int = 0
    entries: int = 0
    first_id: str = ""
    ends: dict[int, tuple[int, str]] = field(default_factory=dict)  # behind the asked seals
    faults: list[Fault] = field(default_factory=list)


def prove(session: Session, begin: Place, last: int, asked: frozenset[int]) -> Proved:
    """Check the seals behind ``begin`` up to number ``last``; stops at ``MOST_FAULTS``.

    What comes next is read while what was read is digested. Of ``asked`` seals it is told where
    the chain stands behind them: there are half a million after some months.
    """
    found = Proved(begin)
    with ThreadPoolExecutor(1, thread_name_prefix="audit-reader") as reader:
        ahead: Future[tuple[list[Seal], dict[str, str]]]
        ahead = reader.submit(_group, session, begin.number, last)
        while len(found.faults) < MOST_FAULTS:
            seals, contents = ahead.result()
            if not seals:
                break
            ahead = reader.submit(_group, session, seals[-1][0], last)
            for seal in seals:
                _check(found, seal, contents)
                if seal[0] in asked:
                    found.ends[seal[0]] = (found.end.sequence - 1, found.end.digest.hex())
    return found


def prove_together(
    session: Session, places: Sequence[Place], last: int, asked: frozenset[int]
) -> list[Proved]:
    """The same of each stretch that begins at one of ``places``, each by a process of its own.

    ``session`` is the caller's, and holds what keeps others from sealing meanwhile.
    """
    info = session.info
    address = psycopg.conninfo.make_conninfo(
        info.dsn, password=info.password, client_encoding="UTF8"
    )
    lasts = [place.number for place in places[1:]] + [last]
    spawn = multiprocessing.get_context("spawn")  # a copy would share the caller's connections
    with ProcessPoolExecutor(len(places), mp_context=spawn) as pool:
        jobs = [pool.submit(_apart, address, *one, asked)
                for one in zip(places, lasts, strict=True)]  # fmt: skip
        while wait(jobs, timeout=_SIGN_SECONDS).not_done:
            session.execute("SELECT 1")
        return [job.result() for job in jobs]


def _apart(address: str, begin: Place, last: int, asked: frozenset[int]) -> Proved:
    with psycopg.connect(address, autocommit=True) as session:
        return prove(session, begin, last, asked)


def _group(session: Session, after: int, last: int) -> tuple[list[Seal], dict[str, str]]:
    """The next few seals, and what their entries say now, by id."""
    cursor = psycopg.Cursor(session)  # whose parameters the server binds, whatever the session's
    wanted = {"after": after, "last": last, "most": _SEALS_AT_ONCE}
    seals: list[Seal] = cursor.execute(_SEALS, wanted, prepare=False, binary=True).fetchall()
    ids = [entry_id for seal in seals for entry_id in seal[2]]
    if not ids:
        return seals, {}
    bounds = {"low": min(ids), "high": max(ids), "most": 2 * len(ids)}
    rows = cursor.execute(_RANGE, bounds, prepare=False, binary=True).fetchall()
    contents = {content[:_ID]: content for (content,) in rows}
    if missing := [entry_id for entry_id in ids if entry_id not in contents]:
        rows = cursor.execute(_SINGLE, {"ids": missing}, prepare=False, binary=True).fetchall()
        contents.update((content[:_ID], content) for (content,) in rows)
    return seals, contents


def _check(found: Proved, seal: Seal, contents: dict[str, str]) -> None:
    number, first, ids, digests = seal
    before = found.end
    if (number, first) != (before.number + 1, before.sequence):
        detail = (
            f"expected seal {before.number + 1} with entry {before.sequence}, "
            f"found seal {number} with entry {first}"
        )
        found.faults.append(Fault("deleted", before.sequence, "", detail))
    found.faults += chain.check_batch(before.digest, first, ids, digests, contents)
    found.end = Place(number, first + len(ids), digests[-chain.SIZE :])
    found.seals += 1
    found.entries += len(ids)
    found.first_id = found.first_id or (ids[0] if ids else "")
