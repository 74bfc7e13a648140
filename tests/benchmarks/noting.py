"""A tool that leaves a note of each effect; an instance has it among a firm's own tools.

A note is one line of a file: the id of the effect. It stands for what a step does elsewhere.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from typing_extensions import TypedDict

from agents.tools.registry import ToolContext, tool


class Noted(TypedDict):
    """What ``bench.note`` was given."""

    value: Any


@tool("bench.note", light=True)
def note(context: ToolContext, value: Any = None) -> Noted:
    """Write down that it was done, and give back what it is given."""
    os.write(_file(os.environ["BENCH_NOTES"]), f"{context.effect_id}\n".encode())
    return {"value": value}


@cache
def _file(path: str) -> int:
    """Only added to, so each line is whole, whoever writes at the same time."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
