"""How the demo shows a run: bars on a terminal, plain lines anywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_ENDED = frozenset({"succeeded", "failed", "skipped", "unreachable", "cancelled", "dead"})
_UNSEEN = frozenset({"pending", "queued"})


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
    """A line when a step ends or begins to wait for a person."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: dict[str, str] = {}

    def show(self, run: dict[str, Any]) -> None:
        for step in steps_of(run):
            key, state = step["key"], step["state"]
            # A fan-out waits for its items, which is no news; an approval waits for a person.
            asks = state == "waiting" and not step.get("items")
            if state == self._told.get(key) or not (state in _ENDED or asks):
                continue
            self._told[key] = state
            done, total = counts_of(step)
            count = f" {done} of {total}" if total > 1 else ""
            seconds = step.get("duration_seconds")
            took = f" {seconds:.1f} s" if seconds is not None and state in _ENDED else ""
            line = f"  {key:<24} {state}{count}{took}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


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
        steps = steps_of(run)
        ended = sum(step["state"] in _ENDED for step in steps)
        if self._whole is None:
            self._whole = self._progress.add_task(f"[bold]{run['workflow']}", total=1)
        self._progress.update(self._whole, completed=ended, total=len(steps))
        for step in steps:
            key, state = step["key"], step["state"]
            if state in _UNSEEN:
                continue
            done, total = counts_of(step)
            if key not in self._bars:
                self._bars[key] = self._progress.add_task(key, total=total)
            shown = key if state in {"running", "succeeded"} else f"{key} [dim]{state}[/]"
            self._progress.update(
                self._bars[key], description=f"  {shown}", completed=done, total=total
            )


def steps_of(run: dict[str, Any]) -> list[dict[str, Any]]:
    """A run's steps in its order: of a loop the last turn, of a fan-out not the items."""
    latest: dict[str, dict[str, Any]] = {}
    for row in run["steps"]:
        if row["index"] is None:
            latest[row["key"]] = row
    return list(latest.values())


def counts_of(step: dict[str, Any]) -> tuple[int, int]:
    """How many parts of a step have ended, and of how many: its items, or itself."""
    items = step.get("items")
    if items and items.get("total"):
        return int(items["succeeded"]) + int(items["failed"]), int(items["total"])
    return int(step["state"] in _ENDED), 1
