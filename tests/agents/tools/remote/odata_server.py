"""A small OData v4 service over a real socket: it filters, selects, counts, orders and pages."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

INVOICES = [
    {"id": n, "vendor": "O'Hara" if n % 3 == 0 else "Acme", "amount": n * 10.5,
     "posted": f"2026-01-{1 + n % 28:02d}", "memo": "x" * 50}
    for n in range(1, 121)
]  # fmt: skip
PAGE = 25
TOKEN = "let-me-in"


@contextmanager
def serving(
    rows: list[dict[str, Any]] | None = None, *, refusals: list[tuple[int, str]] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The service's address and the requests it has got, each as path and query.

    The next requests are answered by ``refusals`` (status, Retry-After), from the last one on.
    """
    refused = [] if refusals is None else refusals
    seen: list[str] = []
    table = INVOICES if rows is None else rows

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(unquote(self.path))
            status, body = answer(self, table)
            wait = ""
            if refused:
                (status, wait), body = refused.pop(), {"error": {"message": "later"}}
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if wait:
                self.send_header("Retry-After", wait)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/odata", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, table: list[dict[str, Any]]) -> tuple[int, Any]:
    """Status and body for one request."""
    if request.headers["Authorization"] != f"Bearer {TOKEN}":
        return 401, {"error": {"code": "401", "message": "who are you?"}}
    parts = urlsplit(request.path)
    if parts.path == "/odata/elsewhere":
        return 200, {"value": [{"id": 1}], "@odata.nextLink": "https://evil.example/next"}
    if parts.path == "/odata/circle":
        link = f"{parts.path}?$skiptoken={1 - int(parts.query[-1:] == '1')}"
        return 200, {"value": [{"id": 1}], "@odata.nextLink": link}
    if parts.path == "/odata/status":
        return 200, {"open": True}
    if parts.path != "/odata/invoices":
        return 404, {"error": {"code": "404", "message": f"no {parts.path}"}}
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    rows = list(table)
    for condition in asked.get("$filter", "").split(" and ") if "$filter" in asked else ():
        match = re.fullmatch(r"(\w+) (eq|gt) (.+)", condition)
        if match is None:
            return 400, {"error": {"code": "400", "message": f"can't read {condition}"}}
        field, operator, value = match.groups()
        wanted: Any = value[1:-1].replace("''", "'") if value[0] == "'" else float(value)
        rows = [r for r in rows if (r[field] == wanted if operator == "eq" else r[field] > wanted)]
    if "$orderby" in asked:
        field, _, way = asked["$orderby"].partition(" ")
        rows.sort(key=lambda row: row[field], reverse=way == "desc")
    total = len(rows)
    rows = rows[: int(asked.get("$top", 1000))]
    skip = int(asked.get("$skiptoken", 0))
    page = rows[skip : skip + PAGE]
    if "$select" in asked:
        page = [{name: row[name] for name in asked["$select"].split(",")} for row in page]
    body: dict[str, Any] = {"@odata.count": total, "value": page}
    if skip + PAGE < len(rows):
        host = request.headers["Host"]
        query = re.sub(r"&?\$skiptoken=\d+", "", parts.query)
        link = f"http://{host}{parts.path}?{query}&$skiptoken={skip + PAGE}"
        body["@odata.nextLink"] = link
    return 200, body
