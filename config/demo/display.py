"""How the demo shows a run: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_ENDED = frozenset({"succeeded", "failed", "skipped", "cancelled", "unreachable", "continued"})


class Display(Protocol):
    """Shows a run document each time it is read."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, run: dict[str, Any]) -> None: ...


def display_for(console: Console) -> Display:
    return Bars(console) if console.is_terminal else Lines(console)


class _Quiet:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Lines(_Quiet):
    """A line when a step ends, or when a part of a fan-out brings it further."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, str] = {}

    def show(self, run: dict[str, Any]) -> None:
        for key, rows in by_key(run).items():
            done, state = sum(row["state"] in _ENDED for row in rows), state_of(rows)
            if state == "pending" or state == self._told.get(key):
                continue
            if state in _ENDED or state == "waiting":
                self._told[key] = state
                count = f" ({done} of {len(rows)})" if len(rows) > 1 else ""
                line = f"  {key:<24} {state:<10}{count} {_seconds(rows)}"
                self._console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


class Bars:
    """A bar for the run and one for each step that is under way."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}
        self._whole: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, run: dict[str, Any]) -> None:
        steps = by_key(run)
        ended = sum(state_of(rows) in _ENDED for rows in steps.values())
        name = str(run.get("workflow", "run"))
        if self._whole is None:
            self._whole = self._progress.add_task(f"[bold]{name}", total=len(steps) or 1)
        self._progress.update(self._whole, completed=ended, total=len(steps) or 1)
        for key, rows in steps.items():
            state = state_of(rows)
            if state == "pending":
                continue
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(key, total=len(rows))
            done = sum(row["state"] in _ENDED for row in rows)
            shown = key if state in {"running", "succeeded"} else f"{key} [dim]{state}[/]"
            self._progress.update(
                self._bars[key], description=f"  {shown}", completed=done, total=len(rows)
            )


def by_key(run: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """A run's step rows by step, in the document's order; a fan-out has many."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in run.get("steps", []):
        found.setdefault(row["key"], []).append(row)
    return found


def state_of(rows: list[dict[str, Any]]) -> str:
    """One word for all rows of a step: what still holds it up, else how it ended."""
    states = {row["state"] for row in rows}
    for holding in ("running", "waiting", "queued"):
        if holding in states:
            return holding if holding != "queued" else "running"
    if "pending" in states:
        return "running" if states & _ENDED else "pending"
    return "failed" if "failed" in states else next(iter(sorted(states, reverse=True)), "pending")


def _seconds(rows: list[dict[str, Any]]) -> str:
    starts = [_time(row.get("started_at")) for row in rows]
    ends = [_time(row.get("ended_at")) for row in rows]
    known_starts = [at for at in starts if at]
    known_ends = [at for at in ends if at]
    if not known_starts or not known_ends:
        return ""
    return f"{(max(known_ends) - min(known_starts)).total_seconds():.1f} s"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
