"""Working papers: what a run found, stored as a document a person can read and file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from agents.tools.operations import outputs
from agents.tools.registry import ToolContext, tool
from config.errors import InvalidInput, Unavailable

# A paper is read by a person; rows beyond this are counted, not printed.
MOST_ROWS = 200
DEEPEST = 6


@tool("operations.working_paper", timeout_seconds=15)
def working_paper(
    title: Annotated[str, Field(min_length=1, max_length=200)],
    sections: Annotated[dict[str, Any], Field(min_length=1, description="heading to content")],
    context: ToolContext,
) -> outputs.WorkingPaper:
    """Write sections to a Markdown paper and store it. The same content gives the same paper.

    A list of records becomes a table, a record a list of its fields, null "not available".
    """
    if context.artifacts is None:
        raise Unavailable("artifact store", "this call has no client to store for")
    lines = [f"# {title}", ""]
    for heading, content in sections.items():
        lines += [f"## {heading}", "", *_written(content, 0), ""]
    text = "\n".join(lines)
    name = "".join(c if c.isalnum() else "-" for c in title.lower()).strip("-")[:80]
    reference = context.artifacts.save(f"{name or 'paper'}.md", text.encode(), "text/markdown")
    return {
        "paper": reference,
        "sections_written": len(sections),
        "empty_sections": [name for name, content in sections.items() if content in (None, [], {})],
        "lines": len(lines),
    }


def _written(content: Any, depth: int) -> list[str]:
    if depth > DEEPEST:
        raise InvalidInput("sections", f"{depth} levels", f"at most {DEEPEST} levels deep")
    if isinstance(content, list):
        return _list(content, depth)
    if isinstance(content, dict):
        indent = "  " * depth
        lines = []
        for key, value in content.items():
            label = str(key).replace("_", " ")
            if isinstance(value, dict | list) and value:
                lines += [f"{indent}- {label}:", *_written(value, depth + 1)]
            else:
                lines.append(f"{indent}- {label}: {_cell(value)}")
        return lines or ["none"]
    return [_cell(content)]


def _list(rows: list[Any], depth: int) -> list[str]:
    if not rows:
        return ["none"]
    shown, more = rows[:MOST_ROWS], len(rows) - MOST_ROWS
    if depth == 0 and all(isinstance(row, dict) for row in shown):
        columns = list(dict.fromkeys(key for row in shown for key in row))
        lines = [
            "| " + " | ".join(str(column).replace("_", " ") for column in columns) + " |",
            "|" + "---|" * len(columns),
            *("| " + " | ".join(_cell(row.get(c)) for c in columns) + " |" for row in shown),
        ]
    else:
        lines = ["  " * depth + f"- {_cell(row)}" for row in shown]
    return lines + ([f"and {more} more"] if more > 0 else [])


def _cell(value: Any) -> str:
    """One line; a bar or a line break inside would break the table."""
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split()).replace("|", "\\|")
