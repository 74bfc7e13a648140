"""``make bench ONLY=dashboards``: pages over a long history, and the folding of a busy minute.

An instance of its own is filled with ``RATCHET_BENCH_CALLS`` calls (a million by default; ten
million is the published form) over 90 days. Then every page and every piece that it fetches is
asked for over HTTP, with a signed-in session, one after another, with the ranges in turn; lists of
runs, steps, answers and traces have rows in proportion. A page's time is that of its frame and its
slowest piece: a browser fetches pieces side by side.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from html import unescape
from typing import Any

import httpx

from tests.benchmarks import filling_lists
from tests.benchmarks.folding import fold_a_minute
from tests.benchmarks.instance import ROOT, Bench, running

CALLS = int(os.environ.get("RATCHET_BENCH_CALLS", "1000000"))
DAYS = 90
ROUNDS = 12
RANGES = ("24h", "7d", "30d", "90d")
AGENT, DOMAIN = "aud-fraud-009", "audit"
PAGES = {
    "overview": "/dashboard", "agents": "/dashboard/agents", "agent": f"/dashboard/agents/{AGENT}",
    "domains": "/dashboard/domains", "domain": f"/dashboard/domains/{DOMAIN}",
    "workflows": "/dashboard/workflows", "costs": "/dashboard/costs",
    "conversations": "/dashboard/conversations", "objectives": "/dashboard/objectives",
    "incidents": "/dashboard/incidents", "security": "/dashboard/security",
    "invocations": f"/dashboard/invocations?agent={AGENT}&state=failed",
    "on_call": "/dashboard/on-call", "boards": "/dashboard/boards",
    "feedback": "/dashboard/feedback", "scores": "/dashboard/scores",
    "events": "/dashboard/security?kind=injection",
    "runs": "/dashboard/runs?nested=1", "steps": "/dashboard/steps",
    "steps_by_wait": "/dashboard/steps?sort=waited", "steps_again": "/dashboard/steps?tried=again",
    "answered": "/dashboard/approvals/answered", "again": "/dashboard/again",
    "traces": "/dashboard/traces", "traces_of_one": "/dashboard/traces?endpoint=external:e-1",
}  # fmt: skip
PIECE = re.compile(r'hx-get="([^"]+)" hx-trigger="load')
Row = dict[str, Any]


def run() -> dict[str, Row]:
    """Figures in the shape of ``benchmarks.json``."""
    with running() as bench:
        filled = _fill(bench)
        with httpx.Client(base_url=bench.url, timeout=120.0, follow_redirects=True) as client:
            sign_in(client, bench)
            times, sizes = _ask(client, {**PAGES, **_of_rows(bench)})
    return {**filled, **_told(times, sizes), **fold_a_minute()}


def _fill(bench: Bench) -> dict[str, Row]:
    env = {**os.environ, "RATCHET_HOME": str(bench.home)}
    began = time.monotonic()
    argv = [sys.executable, "manage.py", "fill_record", str(CALLS), "--days", str(DAYS)]
    subprocess.run(argv, cwd=ROOT, env=env, check=True)
    filling_lists.fill(bench.services.database_owner_url, calls=CALLS, days=DAYS)
    seconds = time.monotonic() - began
    rows = bench.rows("SELECT count(*) FROM agents_invocation")[0][0]
    assert rows == CALLS, f"{rows} calls were written, {CALLS} wanted"
    windows = bench.rows("SELECT count(*) FROM monitoring_rollup")[0][0]
    size = bench.rows("SELECT pg_database_size(current_database())")[0][0]
    return {
        "dashboards.calls": _row(CALLS, "calls over 90 days", lower=False),
        "dashboards.fill": _row(round(seconds, 1), "s"),
        "dashboards.rollups": _row(windows, "rows"),
        "dashboards.database": _row(round(size / 1e9, 2), "GB"),
    }


def sign_in(client: httpx.Client, bench: Bench) -> None:
    from config.demo import credentials

    admin = credentials.read(bench.home)["admin"]
    form = client.get("/login").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token is not None, "the sign-in page has a form"
    answer = client.post("/login", data={
        "username": admin.username, "password": admin.password,
        "csrfmiddlewaretoken": token[1],
    }, headers={"Referer": f"{bench.url}/login"})  # fmt: skip
    assert answer.url.path == "/dashboard", f"signed in, but at {answer.url}"


def _of_rows(bench: Bench) -> dict[str, str]:
    """Pages of one row."""
    open_, over = (
        bench.rows(f"SELECT id FROM monitoring_incident WHERE state = '{state}' LIMIT 1")[0][0]
        for state in ("open", "resolved")
    )
    alert = bench.rows("SELECT id FROM monitoring_alert ORDER BY id DESC LIMIT 1")[0][0]
    workflow = bench.rows("SELECT name FROM workflows_workflow ORDER BY name LIMIT 1")[0][0]
    month = f"{datetime.now(UTC):%Y-%m}"
    return {
        "incident_open": f"/dashboard/incidents/{open_}",
        "incident_over": f"/dashboard/incidents/{over}", "alert": f"/dashboard/alerts/{alert}",
        "workflow": f"/dashboard/workflows/{workflow}", "sla": f"/dashboard/sla/{month}",
        "sla_of_domain": f"/dashboard/sla/{month}?domain={DOMAIN}",
    }  # fmt: skip


def _ask(
    client: httpx.Client, pages: dict[str, str]
) -> tuple[dict[str, list[float]], dict[str, int]]:
    times: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for turn in range(ROUNDS + 1):
        for name, path in pages.items():
            joint = "&" if "?" in path else "?"
            frame, text = _one(client, f"{path}{joint}range={RANGES[turn % len(RANGES)]}")
            pieces = [_one(client, unescape(one))[0] for one in PIECE.findall(text)]
            sizes[name] = max(sizes.get(name, 0), len(text))
            if turn:  # the first one warms templates and connections
                times[name].append(frame + max(pieces, default=0.0))
    return times, sizes


def _one(client: httpx.Client, path: str) -> tuple[float, str]:
    began = time.perf_counter()
    answer = client.get(path)
    seconds = time.perf_counter() - began
    assert answer.status_code == 200, f"{answer.status_code} at {path}"
    return seconds, answer.text


def _told(times: dict[str, list[float]], sizes: dict[str, int]) -> dict[str, Row]:
    every = sorted(1000 * one for page in times.values() for one in page)
    found = {"dashboards.page_p95": _spread(every)}
    for name, page in times.items():
        found[f"dashboards.page.{name}_p95"] = _spread(sorted(1000 * one for one in page))
    found["dashboards.page_bytes"] = _row(max(sizes.values()), "bytes, the largest frame")
    return found


def _spread(milliseconds: list[float]) -> Row:
    p95 = milliseconds[min(len(milliseconds) - 1, int(0.95 * len(milliseconds)))]
    return {
        "value": round(p95, 1), "unit": "ms", "lower_is_better": True, "peers": {},
        "spread": [round(statistics.median(milliseconds), 1), round(milliseconds[-1], 1)],
    }  # fmt: skip


def _row(value: float, unit: str, *, lower: bool = True) -> Row:
    return {"value": value, "unit": unit, "lower_is_better": lower, "peers": {},
            "spread": [value, value]}  # fmt: skip
