"""What a run found, made readable: short answers first, lists as tables with their source lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from config.errors import AppError, NotFound
from workflows import artifacts, payloads
from workflows.domain.documents import parse
from workflows.models import Run, WorkflowVersion

SHOWN_ROWS, ALL_ROWS = 100, 5_000
LINE = "line_id"
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
# Columns of a source line that a table of findings shows beside the finding.
_BESIDE = 4


def of_run(run: Run, *, limit: int = SHOWN_ROWS) -> dict[str, Any]:
    """Outputs of a run by how they read: ``answers``, ``texts``, ``groups`` and ``tables``.

    A table has at most ``limit`` rows.
    """
    outputs = payloads.expand_each(run.outputs, client_id=run.client_id, run_id=run.pk)
    answers, texts, groups, tables = [], [], [], []
    for name in _order(run):
        value: Any = (outputs or {}).get(name)
        if isinstance(value, str) and (len(value) > 90 or "\n" in value):
            texts.append((name, value))
        elif isinstance(value, dict):
            groups.append((name, _flat(value)))
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            tables.append(_table(run, name, value, limit))
        elif isinstance(value, list):
            answers.append((name, ", ".join(str(v) for v in value) or "none"))
        else:
            answers.append((name, value))
    groups.sort(key=lambda group: -len(group[1]))
    return {"answers": answers, "texts": texts, "groups": groups, "tables": tables}


def _order(run: Run) -> list[str]:
    """Names of outputs as they were written: rows keep no order of keys."""
    source = WorkflowVersion.objects.values_list("source", flat=True).get(pk=run.version_id)
    return list(parse(source).value.get("outputs") or {})


def line_of_run(run: Run, line_id: str) -> dict[str, Any]:
    """A source line of a run, and each output row that names it; raises NotFound."""
    source = source_lines(run, [line_id]).get(line_id)
    outputs = payloads.expand_each(run.outputs, client_id=run.client_id, run_id=run.pk)
    said = [
        (name, rank, row)
        for name, value in (outputs or {}).items() if isinstance(value, list)
        for rank, row in enumerate(value, 1)
        if isinstance(row, dict) and str(row.get(LINE)) == line_id
    ]  # fmt: skip
    if source is None and not said:
        raise NotFound("line", line_id)
    return {"source": source, "said": said}


def pairs_of(value: Any) -> list[tuple[str, Any]]:
    """A value as pairs of name and plain value; a plain one has no name."""
    if isinstance(value, dict):
        text = value.get("text")
        # An agent's answer says the same three times; its text is for people.
        return [("", text)] if isinstance(text, str) else _flat(value)
    if isinstance(value, list):
        return [("", "\n".join(str(one) for one in value))]
    return [("", value)]


def source_lines(run: Run, wanted: Iterable[str]) -> dict[str, dict[str, str]]:
    """The lines named ``wanted`` in the CSV that the run was given; {} if it was given none."""
    names = set(wanted)
    try:
        inputs = payloads.expand_each(run.inputs, client_id=run.client_id, run_id=run.pk)
    except AppError:
        return {}
    for value in inputs.values():
        if not (names and isinstance(value, str) and _UUID.match(value)):
            continue
        try:
            content = artifacts.read(UUID(value), client_id=run.client_id, run_id=run.pk)
        except AppError:
            continue
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig", "replace")))
        if LINE in (reader.fieldnames or ()):
            return {row[LINE]: row for row in reader if row[LINE] in names}
    return {}


def _table(run: Run, name: str, rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    shown = rows[:limit]
    own = list(dict.fromkeys(key for row in shown for key in row))
    lines = source_lines(run, (str(row[LINE]) for row in shown if LINE in row))
    beside: list[str] = []
    if lines:
        some = next(iter(lines.values()))
        beside = [c for c in some if c not in own and c not in _dull(lines.values())]
        beside = [c for c in beside if not c.endswith(("_id", "_code", "_no", "_file"))][:_BESIDE]
    columns = [*(c for c in (LINE,) if c in own), *beside, *(c for c in own if c != LINE)]
    numeric = {c: places for c in columns if (places := _places(shown, lines, c)) is not None}
    return {
        "name": name,
        "total": len(rows),
        "columns": [{"name": c, "numeric": c in numeric} for c in columns],
        "rows": [
            [_cell(row, lines.get(str(row.get(LINE)), {}), c, numeric) for c in columns]
            for row in shown
        ],
    }  # fmt: skip


def _dull(lines: Iterable[Mapping[str, str]]) -> set[str]:
    """Columns that say the same everywhere."""
    seen: dict[str, set[str]] = {}
    for line in lines:
        for key, value in line.items():
            seen.setdefault(key, set()).add(value)
    return {key for key, values in seen.items() if len(values) == 1 and len(seen) > _BESIDE}


def _cell(
    row: Mapping[str, Any], line: Mapping[str, str], column: str, numeric: Mapping[str, int]
) -> dict[str, Any]:
    value = row.get(column, line.get(column))
    if isinstance(value, list):
        return {"column": column, "words": [str(v).replace("_", " ") for v in value]}
    number = _number(value)
    if column not in numeric or number is None:
        return {"column": column, "value": value}
    return {"column": column, "value": value, "said": f"{number:,.{numeric[column]}f}"}


def _places(
    rows: Iterable[Mapping[str, Any]], lines: Mapping[str, Mapping[str, str]], column: str
) -> int | None:
    """How many decimals a column of numbers shows (none or two); None if it holds others."""
    values = [row.get(column, lines.get(str(row.get(LINE)), {}).get(column)) for row in rows]
    numbers = [_number(value) for value in values if value not in (None, "")]
    if column == LINE or not numbers or any(number is None for number in numbers):
        return None
    return 0 if all(number == int(number) for number in numbers if number is not None) else 2


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _flat(value: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """A nested object as pairs; lists of words are joined, deeper lists are left out."""
    pairs: list[tuple[str, Any]] = []
    for key, inner in value.items():
        name = f"{before}{key}"
        if isinstance(inner, dict):
            pairs.extend(_flat(inner, f"{name} "))
        elif isinstance(inner, list):
            if all(not isinstance(v, dict | list) for v in inner):
                pairs.append((name, "\n".join(str(v) for v in inner) or "none"))
        else:
            pairs.append((name, inner))
    return pairs
