"""Queries to business systems: OData v4 services and REST APIs, read only.

What the model asks for is pushed down (``$select``, ``$filter``, ``$orderby``, ``$top``), pages
are followed within limits, and every query says what it cost.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import httpx
from typing_extensions import TypedDict

from agents.domain import odata
from agents.domain.odata import Condition
from agents.endpoints.failures import retry_after
from agents.endpoints.secrets import variable
from agents.errors import RateLimited
from agents.models import ToolSource
from agents.tools.remote import addresses
from config import tracing
from config.authorities import authorities
from config.errors import AppError, Conflict, Forbidden, InvalidInput, NotFound, Unavailable

MAX_ROWS = 5_000
DEFAULT_ROWS = 200
MAX_PAGES = 50
MAX_PAGE_BYTES = 8 * 2**20
# Of one page, when the service asks to come back later and the time limit allows it.
MAX_TRIES = 3
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

    Raises InvalidInput, Forbidden (address), Refused (4xx), RateLimited (429), Unavailable (5xx,
    network), NotFound; ``spent_usd`` of the error is what its requests cost.
    """
    until = time.monotonic() + source.timeout_seconds
    with httpx.Client(follow_redirects=False, trust_env=False, verify=authorities()) as client:
        service = _Service(client, source, until)
        try:
            if source.kind == ToolSource.Kind.REST:
                return rest(service, arguments)
            return odata_rows(service, arguments)
        except AppError as error:
            error.spent_usd = source.cost_usd * service.requests
            raise


@dataclass(slots=True)
class _Service:
    """A business system while one query of it lasts."""

    client: httpx.Client
    source: ToolSource
    until: float
    requests: int = 0

    def get(self, url: str) -> Any:
        """The JSON at ``url``, asked for again when the service says so and there is time."""
        answer, body = _got(self, url)
        for _ in range(1, MAX_TRIES):
            wait = retry_after(answer.headers) if answer.status_code in (429, 503) else None
            if wait is None or time.monotonic() + wait >= self.until:
                break
            time.sleep(wait)
            answer, body = _got(self, url)
        return _read(self.source, answer, body)


def odata_rows(service: _Service, arguments: dict[str, Any]) -> Rows:
    """Rows of one entity, over as many pages as it takes within the limits."""
    source = service.source
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
    followed = {url}
    while following and len(rows) < top and pages < MAX_PAGES:
        page = service.get(following)
        pages += 1
        value = page.get("value")
        if not isinstance(value, list):
            raise Unavailable(source.name, "its answer has no list of rows under value", 30)
        rows += value
        total = page.get(_COUNT, total)
        following = _next(url, following, page.get(_NEXT))
        if following in followed:  # it would count the same rows twice
            raise Unavailable(source.name, "its pages lead back to one that was read", 300)
        if following:
            followed.add(following)
    known = total if isinstance(total, int) else len(rows)
    return {
        "rows": [_plain(row) for row in rows[:top]],
        "row_count": min(len(rows), top),
        "total_rows": known,
        "is_whole": not following and known <= top,
        "query": _took(service, asked),
    }


def rest(service: _Service, arguments: dict[str, Any]) -> Found:
    """The JSON of one path."""
    source = service.source
    path = arguments["path"]
    if path not in source.allowed:
        raise NotFound("path", path)
    asked = urlencode(arguments.get("parameters") or {})
    url = f"{source.url.rstrip('/')}/{path.lstrip('/')}"
    found = service.get(f"{url}?{asked}" if asked else url)
    return {"result": found, "query": _took(service, asked)}


def _got(service: _Service, url: str) -> tuple[httpx.Response, bytes]:
    source, until = service.source, service.until
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
        service.requests += 1
        with service.client.stream("GET", pinned, headers=headers, timeout=left,
                           extensions={"sni_hostname": parts.hostname}) as answer:  # fmt: skip
            body = _body(source, answer, until)
    except httpx.HTTPError as error:
        raise Unavailable(source.name, type(error).__name__, 5) from error
    return answer, body


def _read(source: ToolSource, answer: httpx.Response, body: bytes) -> Any:
    if answer.status_code == 429:
        raise RateLimited(source.name, "its own", _wait(answer, 5))
    if answer.status_code >= 500:
        raise Unavailable(source.name, f"it answered {answer.status_code}", _wait(answer, 5))
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


def _wait(answer: httpx.Response, otherwise: int) -> int:
    """Seconds after which it may be asked again, as it says or as we say."""
    told = retry_after(answer.headers)
    return otherwise if told is None else max(1, math.ceil(told))


def _took(service: _Service, asked: str) -> Took:
    cost = service.source.cost_usd * service.requests
    return {"requests": service.requests, "cost_usd": f"{cost:f}", "pushed": asked}


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
