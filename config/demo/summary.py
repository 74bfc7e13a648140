"""What an audit found, in words and a table for a terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from config.demo.credentials import Credentials

_TOP = 10


def print_summary(
    run: Mapping[str, Any], *, ledger: Path, console: Console, top: int = _TOP
) -> None:
    """The opinion, the materiality, how many exceptions and the first of them."""
    outputs = run.get("outputs") or {}
    exceptions = outputs.get("exceptions") or []
    console.print()
    console.print(f"[bold]Opinion[/]      {_one_line(outputs.get('opinion'))}")
    console.print(f"[bold]Materiality[/]  {_one_line(outputs.get('materiality'))}")
    console.print(f"[bold]Exceptions[/]   {len(exceptions)} lines, the first {top}:")
    console.print(_table(exceptions[:top], _lines(ledger, exceptions[:top])))
    cost = Decimal(str(run.get("cost_usd") or 0))
    console.print(f"[bold]Cost[/]         {cost:.4f} USD   [bold]Took[/] {_took(run):.1f} s")


def print_links(
    *, url: str, flower_url: str, run_id: str, people: Iterable[Credentials],
    flower_auth: str, console: Console,
) -> None:  # fmt: skip
    """Where to look, and who may."""
    links = {
        "Run": f"{url}/dashboard/runs/{run_id}",
        "Dashboard": f"{url}/dashboard",
        "API": f"{url}/api/docs",
        "Admin": f"{url}/admin/",
    }
    if flower_url:
        links["Flower"] = flower_url
    console.print()
    for name, link in links.items():
        console.print(f"[bold]{name:<12}[/] {link}", highlight=False, soft_wrap=True)
    table = Table("sign in as", "password", "role", box=None, pad_edge=False)
    for person in people:
        table.add_row(person.username, person.password or "(set by you)", person.role)
    if flower_url:
        user, _, password = flower_auth.partition(":")
        table.add_row(user, password, "Flower, read-only")
    console.print(table)


def _table(exceptions: list[dict[str, Any]], lines: Mapping[str, Mapping[str, str]]) -> Table:
    table = Table("line", "score", "amount", "date", "vendor", "why", box=None, pad_edge=False)
    for found in exceptions:
        line_id = str(found["line_id"])
        line = lines.get(line_id, {})
        tests = found.get("tests") or []
        why = ", ".join(str(test.get("test", test) if isinstance(test, dict) else test)
                        for test in tests)  # fmt: skip
        table.add_row(
            line_id,
            f"{float(found['score']):.2f}",
            line.get("amount_gbp", ""),
            line.get("payment_date", ""),
            line.get("vendor", "")[:32],
            why[:48],
        )
    return table


def _lines(ledger: Path, exceptions: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    wanted = {str(found["line_id"]) for found in exceptions}
    with ledger.open(encoding="utf-8", newline="") as stream:
        return {row["line_id"]: row for row in csv.DictReader(stream) if row["line_id"] in wanted}


def _one_line(value: Any) -> str:
    """A short text as it is; a document by its plain members."""
    if isinstance(value, dict):
        plain = {k: v for k, v in value.items() if isinstance(v, str | int | float)}
        return "; ".join(f"{k.replace('_', ' ')} {v}" for k, v in list(plain.items())[:6])[:400]
    return " ".join(str(value if value is not None else "none").split())[:400]


def _took(run: Mapping[str, Any]) -> float:
    start, end = run.get("started_at") or run.get("created_at"), run.get("ended_at")
    if not start or not end:
        return 0.0
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
