"""OData v4 queries as values: what is asked for is pushed down, and nothing can be smuggled in.

Source: OASIS, "OData Version 4.01. Part 2: URL Conventions", 2020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from config.errors import InvalidInput

OPERATORS = ("eq", "ne", "gt", "ge", "lt", "le", "contains", "startswith", "endswith", "in")
_NAME = re.compile(r"[A-Za-z_]\w{0,127}(?:/[A-Za-z_]\w{0,127}){0,3}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d))?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KINDS = {"date": _DATE, "guid": _GUID}


@dataclass(frozen=True, slots=True)
class Condition:
    """``field operator value``; ``kind`` date or guid makes a string a literal of that type."""

    field: str
    operator: str
    value: Any
    kind: str = ""


def options(
    *,
    select: Sequence[str] = (),
    where: Sequence[Condition] = (),
    order_by: Sequence[str] = (),
    top: int | None = None,
    count: bool = False,
) -> str:
    """The query string that pushes all of it down; raises InvalidInput naming what is wrong."""
    given: dict[str, str] = {}
    if select:
        given["$select"] = ",".join(name(one, "select") for one in select)
    if where:
        given["$filter"] = " and ".join(_condition(one) for one in where)
    if order_by:
        given["$orderby"] = ",".join(_order(one) for one in order_by)
    if top is not None:
        given["$top"] = str(top)
    if count:
        given["$count"] = "true"
    return urlencode(given, quote_via=quote, safe="$,'()/:")


def name(text: str, where: str) -> str:
    """``text`` if it is a property or a path of them; raises InvalidInput."""
    if not _NAME.fullmatch(text):
        raise InvalidInput(where, text, "names of properties, such as amount or vendor/name")
    return text


def literal(value: Any, kind: str = "") -> str:
    """``value`` as OData writes it: quotes doubled, decimals plain; raises InvalidInput."""
    if kind:
        pattern = _KINDS.get(kind)
        if pattern is None or not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidInput("value", value, f"a {kind}, or no kind (known: date, guid)")
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return f"{Decimal(str(value)):f}"
    if isinstance(value, str):
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    raise InvalidInput("value", value, "a text, a number, true, false or null")


def _condition(one: Condition) -> str:
    field = name(one.field, "where.field")
    if one.operator not in OPERATORS:
        raise InvalidInput("where.operator", one.operator, f"one of {', '.join(OPERATORS)}")
    if one.operator == "in":
        if not isinstance(one.value, list) or not 1 <= len(one.value) <= 100:
            raise InvalidInput("where.value", one.value, "a list of 1 to 100 values for in")
        return f"{field} in ({','.join(literal(value, one.kind) for value in one.value)})"
    value = literal(one.value, one.kind)
    if one.operator in ("contains", "startswith", "endswith"):
        return f"{one.operator}({field},{value})"
    return f"{field} {one.operator} {value}"


def _order(text: str) -> str:
    field, _, way = text.strip().partition(" ")
    if way not in ("", "asc", "desc"):
        raise InvalidInput("order_by", text, "a property, with asc or desc behind it")
    return f"{name(field, 'order_by')} {way}".strip()
