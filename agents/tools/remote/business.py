"""Queries to business systems: OData v4 services and REST APIs, read only.

What the model asks for is pushed down (``$select``, ``$filter``, ``$orderby``, ``$top``), pages
are followed within limits, and every query says what it cost.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import httpx
from typing_extensions import TypedDict

from agents.domain import odata
from agents.domain.odata import Condition
from agents.endpoints.secrets import variable
from agents.models import ToolSource
from agents.tools.remote import addresses
from config import tracing
from config.authorities import authorities
from config.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound, Unavailable

MAX_ROWS = 5_000
DEFAULT_ROWS = 200
MAX_PAGES = 50
MAX_PAGE_BYTES = 8 * 2**20
_NEXT, _COUNT = "@odata.nextLink", "@odata.count"


class Refused(AppError):
    """The business system answered that the query is wrong."""

    code, http_status = "query_refused", 422

    def __init__(self, source: str, why: str) -> None:
        super().__init__(source, why)
        self.source, self.why = source, why

    def __str__(self) -> str:
        return f"{self.source} refused the query: {self.why}"


def described(source: ToolSource) -> tuple[dict[str, Any], str]:
    """The schema of the source's one tool, and what it does."""
    names: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "maxItems": 60}
    top = {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}
    if source.kind == ToolSource.Kind.REST:
        properties: dict[str, Any] = {
            "path": {"enum": source.allowed},
            "parameters": {"type": "object",
                           "additionalProperties": {"type": ["string", "number", "boolean"]}},
        }  # fmt: skip
        required, does = ["path"], f"Reads JSON from {source.name}."
    else:
        condition = {
            "type": "object",
            "properties": {
                "field": {"type": "string"},
                "operator": {"enum": list(odata.OPERATORS)},
                "value": {},
                "kind": {"enum": ["", "date", "guid"]},
            },
            "required": ["field", "operator", "value"],
            "additionalProperties": False,
        }
        properties = {
            "entity": {"enum": source.allowed},
            "select": names,
            "where": {"type": "array", "items": condition, "maxItems": 20},
            "order_by": names,
            "top": top,
        }
        required = ["entity"]
        does = (
            f"Reads rows from {source.name}. Name the columns that you need in select and the rows "
            "in where: all conditions hold at once. Each request costs money."
        )
    schema = {"type": "object", "properties": properties, "required": required,
              "additionalProperties": False}  # fmt: skip
    return schema, does


class Took(TypedDict):
    """What a query cost, and what of it the business system did itself."""

    requests: int
    cost_usd: str
    pushed: str


class Rows(TypedDict):
    """Rows of an entity; ``total_rows`` is what the service knows of, as far as it tells."""

    rows: list[Any]
    row_count: int
    total_rows: int
    is_whole: bool
    query: Took


class Found(TypedDict):
    """What a REST API answered."""

    result: Any
    query: Took


def query(source: ToolSource, arguments: dict[str, Any]) -> Rows | Found:
    """Rows and what the query took: ``rows``, ``is_whole``, ``query`` with requests and cost.

    Raises InvalidInput, Forbidden (address), Refused (4xx), Unavailable (5xx, network), NotFound.
    """
    until = time.monotonic() + source.timeout_seconds
    with httpx.Client(follow_redirects=False, trust_env=False, verify=authorities()) as client:
        if source.kind == ToolSource.Kind.REST:
            return rest(client, source, arguments, until)
        return odata_rows(client, source, arguments, until)


def odata_rows(
    client: httpx.Client, source: ToolSource, arguments: dict[str, Any], until: float
) -> Rows:
    """Rows of one entity, over as many pages as it takes within the limits."""
    entity, top = arguments["entity"], int(arguments.get("top", DEFAULT_ROWS))
    if entity not in source.allowed:
        raise NotFound("entity", entity)
    asked = odata.options(
        select=arguments.get("select", ()),
        where=[Condition(**one) for one in arguments.get("where", ())],
        order_by=arguments.get("order_by", ()),
        top=top,
        count=True,
    )
    url = f"{source.url.rstrip('/')}/{quote(entity)}?{asked}"
    rows: list[Any] = []
    total: int | None = None
    pages = 0
    following: str | None = url
    while following and len(rows) < top and pages < MAX_PAGES:
        page = _get(client, source, following, until)
        pages += 1
        value = page.get("value")
        if not isinstance(value, list):
            raise Unavailable(source.name, "its answer has no list of rows under value", 30)
        rows += value
        total = page.get(_COUNT, total)
        following = _next(url, following, page.get(_NEXT))
    known = total if isinstance(total, int) else len(rows)
    return {
        "rows": [_plain(row) for row in rows[:top]],
        "row_count": min(len(rows), top),
        "total_rows": known,
        "is_whole": not following and known <= top,
        "query": _took(source, pages, asked),
    }


def rest(
    client: httpx.Client, source: ToolSource, arguments: dict[str, Any], until: float
) -> Found:
    """The JSON of one path."""
    path = arguments["path"]
    if path not in source.allowed:
        raise NotFound("path", path)
    asked = urlencode(arguments.get("parameters") or {})
    url = f"{source.url.rstrip('/')}/{path.lstrip('/')}"
    found = _get(client, source, f"{url}?{asked}" if asked else url, until)
    return {"result": found, "query": _took(source, 1, asked)}


def _get(client: httpx.Client, source: ToolSource, url: str, until: float) -> Any:
    parts, address = addresses.checked(url)
    left = until - time.monotonic()
    if left <= 0:
        raise Unavailable(source.name, f"no whole answer in {source.timeout_seconds:g} s", 5)
    headers = {"Accept": "application/json", "Host": parts.netloc, **tracing.outgoing()}
    if source.kind == ToolSource.Kind.ODATA:
        headers |= {"OData-MaxVersion": "4.0", "Prefer": "odata.maxpagesize=500"}
    if token := _token(source):
        headers["Authorization"] = f"Bearer {token}"
    # To the address that was checked: a name may point elsewhere a moment later.
    host = f"[{address}]" if ":" in address else address
    pinned = parts._replace(netloc=f"{host}:{addresses.origin(url)[2]}").geturl()
    try:
        with client.stream("GET", pinned, headers=headers, timeout=left,
                           extensions={"sni_hostname": parts.hostname}) as answer:  # fmt: skip
            body = _body(source, answer, until)
    except httpx.HTTPError as error:
        raise Unavailable(source.name, type(error).__name__, 5) from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unavailable(source.name, f"it answered {answer.status_code}", 5)
    if answer.status_code in (401, 403):
        raise Forbidden(f"read {source.name}", "a credential that it accepts")
    if answer.status_code >= 300:
        raise Refused(source.name, f"{answer.status_code}: {_why(body)}")
    try:
        return json.loads(body)
    except ValueError:
        raise Unavailable(source.name, "its answer is not JSON", 30) from None


def _body(source: ToolSource, answer: httpx.Response, until: float) -> bytes:
    parts, size = [], 0
    for piece in answer.iter_bytes():
        size += len(piece)
        if size > MAX_PAGE_BYTES:
            raise InvalidInput("select", f"over {MAX_PAGE_BYTES} bytes a page", "fewer columns")
        if time.monotonic() > until:
            raise Unavailable(source.name, f"no whole answer in {source.timeout_seconds:g} s", 5)
        parts.append(piece)
    return b"".join(parts)


def _next(first: str, now: str, link: Any) -> str | None:
    if not isinstance(link, str) or not link:
        return None
    url = urljoin(now, link)
    if addresses.origin(url) != addresses.origin(first):
        raise Conflict("the next page", "at another address", "one at the service itself")
    return url


def _token(source: ToolSource) -> str:
    if not source.credential_env:
        return ""
    token = variable(source.credential_env)
    if not token:
        raise Unavailable(source.name, f"the variable {source.credential_env} is not set", 300)
    return token


def _took(source: ToolSource, requests: int, asked: str) -> Took:
    return {"requests": requests, "cost_usd": f"{source.cost_usd * requests:f}", "pushed": asked}


def _plain(row: Any) -> Any:
    """A row without the protocol's own members."""
    if not isinstance(row, dict):
        return row
    return {name: value for name, value in row.items() if "@odata." not in name}


def _why(body: bytes) -> str:
    try:
        told = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        told = body.decode("utf-8", "replace")
    return str(told)[:300]
