"""A tool with an effect that can be counted: a line in a file that is only ever added to.

Worker processes load this module with ``celery worker -I tests.workflows.effects``. The file
stands for a system outside that knows ``Idempotency-Key``: a key that it has seen does nothing
a second time. Every call is written down as well, so that drills can count both.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from agents.tools.registry import ToolContext, tool
from config.errors import Unavailable


@tool("drill.effect", timeout_seconds=120)
def effect(
    ledger: str, context: ToolContext, value: Any = None, seconds: float = 0, fails: int = 0
) -> dict[str, Any]:
    """Add a line with the key of this effect, after ``seconds``; fail the first ``fails`` times."""
    return _act(ledger, context, value, seconds, fails)


@tool("drill.light", light=True)
def light_effect(
    ledger: str, context: ToolContext, value: Any = None, fails: int = 0
) -> dict[str, Any]:
    """The same, as a light tool."""
    return _act(ledger, context, value, 0, fails)


@tool("drill.once", idempotent=False, timeout_seconds=120)
def effect_once(
    ledger: str, context: ToolContext, value: Any = None, seconds: float = 0
) -> dict[str, Any]:
    """The same at a system that knows no keys: called twice, it happens twice."""
    return _act(ledger, context, value, seconds, 0)


if times := int(os.environ.get("DRILL_SENDS", "1")) - 1:  # a broker that repeats every message
    from workflows import dispatch

    _send_once = dispatch._send
    dispatch._send = lambda messages: _send_once(messages * (times + 1))


def _act(
    ledger: str, context: ToolContext, value: Any, seconds: float, fails: int
) -> dict[str, Any]:
    if seconds:
        time.sleep(seconds)
    if context.attempt <= fails:
        raise Unavailable("drill", f"attempt {context.attempt} of {fails} that fail", 1)
    line = f"{context.effect_id} {context.attempt} {os.getpid()}\n".encode()
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)  # one write of a short line: whole or not at all
    finally:
        os.close(file)
    return {"value": value}


def calls(ledger: Path) -> Counter[str]:
    """How often each effect was asked for, by its key."""
    if not ledger.exists():
        return Counter()
    return Counter(line.split()[0] for line in ledger.read_text().splitlines())
