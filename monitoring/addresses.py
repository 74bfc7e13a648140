"""Where a key of a scope has its page, and where the rows behind its numbers are listed."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from monitoring.domain.metrics import SCOPES, SEPARATOR

PAGES = {
    "agent": "/dashboard/agents/{}",
    "workflow": "/dashboard/workflows/{}",
    "domain": "/dashboard/domains/{}",
    "client": "/dashboard?client={}",
}
CALLS, RUNS = "/dashboard/invocations", "/dashboard/runs"
# Labels by which calls can be listed; runs only by workflow.
LISTED = frozenset({"agent", "version", "domain", "endpoint", "model", "client", "user", "code"})


def page_of(scope: str, key: str) -> str:
    """The page about ``key``; empty if it has none."""
    shape = PAGES.get(scope)
    return shape.format(quote(key, safe="")) if shape and key else ""


def rows_of(scope: str, key: str, *, client: str = "", **more: str) -> str:
    """The list of calls (or runs) that a number of this key counts."""
    labels = dict(zip(SCOPES.get(scope, ()), key.split(SEPARATOR), strict=False)) if key else {}
    if client:
        labels["client"] = client
    if "workflow" in labels:
        return f"{RUNS}?{urlencode({'workflow': labels['workflow'], **more})}"
    asked = {name: value for name, value in labels.items() if name in LISTED} | more
    return CALLS + (f"?{urlencode(asked)}" if asked else "")
