"""Traces of arrivals (CSV) and scaling policies (YAML), read with errors that name their place."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

import yaml

from config.errors import AppError
from scaling.domain.autoscaling import Kind, Policy
from scaling.simulate import Arrival

TIMES = ("timestamp", "arrived_at", "arrival", "arrival_time", "at", "time", "at_seconds")
SERVICES = ("service_seconds", "service", "service_time", "duration", "duration_seconds")
COUNTS = ("arrivals", "count", "requests", "value")
# Work without a time of its own takes this long, unless the policy says otherwise.
DEFAULT_SERVICE_SECONDS = 1.0
MOST_ARRIVALS = 5_000_000
# A year at one decision in 30 s; a mistaken unit of time would run for days.
MOST_DECISIONS = 1_000_000


class InvalidTrace(AppError):
    """A trace that cannot be read; the line counts from 1 and includes the header."""

    code, http_status = "invalid_trace", 422

    def __init__(self, line: int, got: str, limit: str) -> None:
        super().__init__(line, got, limit)
        self.line, self.got, self.limit = line, got[:80], limit

    def __str__(self) -> str:
        return f"line {self.line}: got {self.got!r}; {self.limit}"


class InvalidPolicy(AppError):
    """A policy file with a key or a value that makes no sense."""

    code, http_status = "invalid_policy", 422

    def __init__(self, key: str, got: str, limit: str) -> None:
        super().__init__(key, got, limit)
        self.key, self.got, self.limit = key, got[:80], limit

    def __str__(self) -> str:
        return f"{self.key}: got {self.got!r}; {self.limit}"


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy with what only a simulation needs: service time and price."""

    policy: Policy
    service_seconds: float
    price_per_worker_hour_usd: Decimal | None


def read_policy(text: str) -> PolicyFile:
    """A policy from YAML; every key is optional. Raises InvalidPolicy that names the key."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidPolicy("policy", " ".join(str(error).split()), "must be YAML") from None
    if document is None:
        document = {}  # an empty file: every key is optional
    if not isinstance(document, dict):
        raise InvalidPolicy("policy", str(document), "must be a mapping of keys to values")
    given = dict(document)
    service = given.pop("service_seconds", DEFAULT_SERVICE_SECONDS)
    price = given.pop("price_per_worker_hour_usd", None)
    if not _is_number(service) or service <= 0:
        raise InvalidPolicy("service_seconds", str(service), "must be a number over 0")
    try:
        money = None if price is None else Decimal(str(price))
    except InvalidOperation:
        money = Decimal(-1)
    if money is not None and not (money.is_finite() and money >= 0):
        limit = "must be a number of 0 or more"
        raise InvalidPolicy("price_per_worker_hour_usd", str(price), limit)
    try:
        return PolicyFile(Policy(**_policy_fields(given)), float(service), money)
    except ValueError as error:
        raise InvalidPolicy("policy", str(given), str(error)) from None


def read_trace(lines: Iterable[str], *, service_seconds: float) -> list[Arrival]:
    """Arrivals from a CSV with a header, sorted by time.

    A column of times (seconds or ISO 8601); optionally one of service times, and one of counts:
    then each row stands for so many arrivals, spread evenly until the next row. Raises
    InvalidTrace that names the line.
    """
    reader = csv.reader(lines)
    header = [name.strip().lstrip("\ufeff").lower() for name in next(reader, [])]
    at = _column(header, TIMES)
    if at is None:
        raise InvalidTrace(1, ",".join(header), f"needs a column named one of {', '.join(TIMES)}")
    service, count = _column(header, SERVICES), _column(header, COUNTS)
    rows = list(_rows(reader, len(header), at, service, count, service_seconds))
    if not rows:
        raise InvalidTrace(1, ",".join(header), "the trace has no arrivals")
    rows.sort(key=lambda row: row[0])
    if count is None:
        return [Arrival(seconds, busy) for seconds, busy, _ in rows]
    return _spread(rows)


def check_span(arrivals: Sequence[Arrival], policy: Policy) -> None:
    """Raise InvalidTrace if the trace is so long that the policy would decide for ever."""
    span = arrivals[-1].at_seconds - arrivals[0].at_seconds
    span += max(arrival.service_seconds for arrival in arrivals)
    decisions = span / policy.interval_seconds
    if decisions > MOST_DECISIONS:
        limit = f"spans {decisions:.3g} decisions of {policy.interval_seconds:g} s; at most "
        raise InvalidTrace(1, f"{span:.0f} seconds", f"{limit}{MOST_DECISIONS}; check the unit")


def _rows(
    reader: Any,
    width: int,
    at: int,
    service: int | None,
    count: int | None,
    service_seconds: float,
) -> Iterator[tuple[float, float, int]]:
    total = 0
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num
        if len(cells) < width:
            raise InvalidTrace(line, ",".join(cells), f"needs {width} columns as in the header")
        busy = service_seconds if service is None else _positive(line, cells[service])
        many = 1 if count is None else _whole(line, cells[count])
        total += many
        if total > MOST_ARRIVALS:
            raise InvalidTrace(line, str(total), f"at most {MOST_ARRIVALS} arrivals")
        yield _seconds(line, cells[at].strip()), busy, many


def _spread(rows: list[tuple[float, float, int]]) -> list[Arrival]:
    """Counts as arrivals at even distances within their row's interval."""
    starts = [row[0] for row in rows]
    gaps = sorted(b - a for a, b in pairwise(starts) if b > a)
    usual = gaps[len(gaps) // 2] if gaps else 1.0
    arrivals = []
    for index, (start, busy, many) in enumerate(rows):
        later = starts[index + 1] - start if index + 1 < len(rows) else usual
        width = min(later, usual) if later > 0 else usual
        arrivals += [Arrival(start + width * (i + 0.5) / many, busy) for i in range(many)]
    arrivals.sort(key=lambda a: a.at_seconds)
    return arrivals


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _seconds(line: int, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidTrace(line, text, "the time must be seconds or ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _positive(line: int, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InvalidTrace(line, text, "the service time must be a number of 0 or more")
    return number


def _whole(line: int, text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise InvalidTrace(line, text, "the count must be a whole number of 0 or more")
    return round(number)


def _is_number(value: object) -> bool:
    finite = isinstance(value, int | float) and not isinstance(value, bool)
    return finite and math.isfinite(float(str(value)))


def _policy_fields(given: dict[str, Any]) -> dict[str, Any]:
    types = {f.name: str(f.type) for f in fields(Policy)}
    checked: dict[str, Any] = {}
    for key, value in given.items():
        if key not in types:
            limit = f"unknown; known: {', '.join([*types, 'service_seconds'])}"
            raise InvalidPolicy(str(key), str(value), limit)
        checked[key] = _checked(key, types[key], value)
    return checked


def _checked(key: str, kind: str, value: Any) -> Any:
    if key == "kind":
        if value not in list(Kind):
            raise InvalidPolicy(key, str(value), f"must be one of {', '.join(Kind)}")
        return Kind(value)
    if key == "name":
        return str(value)
    if value is None and "None" in kind:
        return None
    if not _is_number(value) or (kind == "int" and int(value) != value):
        raise InvalidPolicy(
            key, str(value), f"must be {'a whole' if kind == 'int' else 'a'} number"
        )
    return int(value) if kind == "int" else float(value)
