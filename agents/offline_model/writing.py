"""A short memo from tool results: the conclusion in one sentence, then the facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from agents.offline_model.planning import Result

Verbosity = Literal["terse", "normal", "verbose"]

# Keys whose text says what the facts amount to.
CONCLUSION_KEYS = ("conclusion", "opinion", "verdict", "assessment", "recommendation", "summary")
MAX_ROWS = 25
MAX_DEPTH = 6


def memo(results: Sequence[Result], *, verbosity: Verbosity, question: str = "") -> str:
    """The answer in words. ``question`` narrows the facts of a follow-up to those it names."""
    opening = conclusion(results)
    sections = []
    for result in results:
        lines = relevant(list(fact_lines(result)), question)
        if lines:
            sections.append((tool_title(result.tool), lines))
    if verbosity == "terse":
        facts = ["; ".join(line.strip() for line in lines) for _title, lines in sections]
    elif len(sections) == 1:
        facts = ["\n".join(_bullet(line) for line in sections[0][1])]
    else:
        facts = [
            f"{title}:\n" + "\n".join(_bullet(line) for line in lines) for title, lines in sections
        ]
    parts = [part for part in (opening, *facts) if part]
    if verbosity == "verbose":
        parts = [_method(results), *parts, _closing(results)]
    return "\n\n".join(parts)


def conclusion(results: Sequence[Result]) -> str:
    """A sentence for each result that has a conclusion of its own; empty if none has."""
    found = [
        (tool_title(result.tool), f"{label(key)}: {_stated(result, key)}.")
        for result in results
        if (key := _stated_key(result.data)) is not None
    ]
    if len(found) == 1:
        return found[0][1][0].upper() + found[0][1][1:]
    return " ".join(f"{title}, {sentence}" for title, sentence in found)


def verdict(results: Sequence[Result]) -> str:
    """The results' own conclusions and nothing else; empty if none has one."""
    keys = ((result, _stated_key(result.data)) for result in results)
    return "; ".join(_stated(result, key) for result, key in keys if key is not None)


def fact_lines(result: Result) -> Iterator[str]:
    """Every scalar of a result as "label: value", rows of lists indented under their label."""
    if result.text:
        yield result.text
    error = result.data.get("error")
    if error:
        yield f"could not be done: {_error_text(error)}"
    stated = _stated_key(result.data)
    rest = {k: v for k, v in result.data.items() if k != stated and not (k == "error" and error)}
    yield from _lines(rest, (), 0)


def relevant(lines: list[str], question: str) -> list[str]:
    """The lines that share a word with ``question``; all of them if none does."""
    words = set(re.findall(r"[a-z]{4,}", question.casefold()))
    if not words:
        return lines
    kept = [line for line in lines if words & set(re.findall(r"[a-z]{4,}", line.casefold()))]
    return kept or lines


def label(key: str) -> str:
    """``key`` in words: planned_hours → planned hours."""
    return re.sub(r"[_\s]+", " ", key).strip()


def tool_title(name: str) -> str:
    """A heading from a tool's name: audit__allocate_hours → Allocate hours."""
    last = re.split(r"__|\.|-(?=[a-z_]+$)", name)[-1]
    words = label(last)
    return words[:1].upper() + words[1:]


def value_text(value: Any) -> str:
    """A scalar as written in an answer."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _stated(result: Result, key: str) -> str:
    return str(result.data[key]).strip().rstrip(".")


def _stated_key(data: Mapping[str, Any]) -> str | None:
    """The key that ``conclusion`` has already written out."""
    for key in CONCLUSION_KEYS:
        if isinstance(data.get(key), str) and data[key].strip():
            return key
    return None


def _lines(value: Any, path: tuple[str, ...], depth: int) -> Iterator[str]:
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        for key, inner in value.items():
            yield from _lines(inner, (*path, label(str(key))), depth + 1)
    elif isinstance(value, list):
        yield from _list_lines(value, path)
    else:
        yield f"{', '.join(path)}: {value_text(value)}" if path else value_text(value)


def _list_lines(values: list[Any], path: tuple[str, ...]) -> Iterator[str]:
    heading = ", ".join(path) or "items"
    if not values:
        yield f"{heading}: none"
        return
    shown = values[:MAX_ROWS]
    if not any(isinstance(one, Mapping | list) for one in values):
        more = f" … ({len(values)} in all)" if len(values) > MAX_ROWS else ""
        yield f"{heading}: {', '.join(value_text(one) for one in shown)}{more}"
        return
    yield f"{heading} ({len(values)}):"
    for number, one in enumerate(shown, start=1):
        yield f"  {number}. {_row(one)}"
    if len(values) > MAX_ROWS:
        yield f"  … and {len(values) - MAX_ROWS} more of {len(values)}"


def _row(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(_lines(value, (), 1)).replace("\n", " ")
    if isinstance(value, list):
        return ", ".join(_row(one) for one in value[:MAX_ROWS])
    return value_text(value)


def _bullet(line: str) -> str:
    return line if line.startswith("  ") else f"- {line[:1].upper()}{line[1:]}"


def _error_text(error: Any) -> str:
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("detail") or error.get("code") or "error")
    return str(error)


def _method(results: Sequence[Result]) -> str:
    tools = ", ".join(dict.fromkeys(tool_title(result.tool).lower() for result in results))
    return (
        "I read the inputs as they were given, ran the computations that apply to them "
        f"({tools}), and set out below first what they amount to and then each figure."
    )


def _closing(results: Sequence[Result]) -> str:
    return (
        "Each figure above comes from a computation on the inputs given, none from memory; "
        "where an input changes, the figures that rest on it change with it. "
        f"Computations used: {len(results)}."
    )
