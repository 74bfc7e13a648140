"""What became of runs, one by one: rows of steps, notes of effects, results, order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Rows = Callable[..., list[tuple[Any, ...]]]
# Every step and item that something was done for.
_STEPS = "kind NOT IN ('end', 'chunk') AND NOT (item = -1 AND value IS NOT NULL)"


class Wrong(Exception):
    """Something is missing, was done twice, is wrong or was too early."""


class Notes:
    """The notes of effects of an instance, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def new(self) -> list[str]:
        """Ids of effects that were noted since the last look, in the order in which they were."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        self._read += len(text)
        return text.decode().split()


def reconcile(
    rows: Rows, ids: list[str], steps: dict[str, Any], items: int, noted: Iterable[str]
) -> int:
    """How many steps were done; raises Wrong unless each was, once, with its effect, in order.

    ``noted`` are the effects that were noted meanwhile: each step's own, once, and no other.
    """
    total, good, right = rows(
        "SELECT count(*), count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE "
        "item < 0 OR output->'value' = value) FROM workflows_steprun WHERE run_id = "
        f"ANY(%s::uuid[]) AND {_STEPS}",
        ids,
    )[0]
    twice = rows(
        "SELECT count(*) FROM (SELECT step_id FROM workflows_runevent WHERE run_id = "
        "ANY(%s::uuid[]) AND name = 'step.succeeded' GROUP BY step_id HAVING count(*) > 1) t",
        ids,
    )[0][0]
    bad = rows(
        "SELECT count(*) FROM workflows_run WHERE id = ANY(%s::uuid[]) AND state <> 'succeeded'",
        ids,
    )[0][0]
    tasks = sum("for_each" not in step for step in steps.values())
    wanted = len(ids) * (tasks + items)
    early, effects = _early(rows, ids, steps), _effects(rows, ids, noted)
    if not total == good == right == wanted or twice or bad or early or effects:
        raise Wrong(
            f"{wanted} steps wanted: {total} rows, {good} succeeded, {right} right, {twice} done "
            f"twice, {early} before what they need; {bad} runs failed; effects: {effects or 'all'}"
        )
    return int(total)


def _effects(rows: Rows, ids: list[str], noted: Iterable[str]) -> str:
    """What is wrong with the effects of these runs; empty if each step had its own, once."""
    own = {
        str(step_id)
        for (step_id,) in rows(
            f"SELECT id FROM workflows_steprun WHERE run_id = ANY(%s::uuid[]) AND {_STEPS}", ids
        )
    }
    found = Counter(noted)
    wrong = {
        "missing": len(own - found.keys()),
        "of no step": len(found.keys() - own),
        "happened again": sum(count > 1 for count in found.values()),
    }
    return ", ".join(f"{count} {what}" for what, count in wrong.items() if count)


def _early(rows: Rows, ids: list[str], steps: dict[str, Any]) -> int:
    """How many steps began before a step that they need had ended."""
    times = {
        (run, key): (started, ended)
        for run, key, started, ended in rows(
            "SELECT run_id, key, coalesce(started_at, ended_at), ended_at FROM workflows_steprun "
            "WHERE run_id = ANY(%s::uuid[]) AND item = -1 AND kind NOT IN ('end', 'chunk')",
            ids,
        )
    }
    return sum(
        times[run, need][1] > started
        for (run, key), (started, _) in times.items()
        for need in steps[key].get("needs", ())
    )
