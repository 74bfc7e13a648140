"""Tools for try-outs and benchmarks."""

from __future__ import annotations

import time
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from agents.tools.registry import ToolContext, tool
from config.errors import Unavailable


class Echo(TypedDict):
    """What ``core.echo`` was given."""

    value: Any


class Slept(TypedDict):
    """How long ``core.sleep`` waited."""

    slept_seconds: float


class Attempt(TypedDict):
    """The attempt, from 1, at which ``core.fail`` succeeded."""

    attempt: int


@tool("core.echo", light=True)
def echo(value: Any = None) -> Echo:
    """Give back what it is given."""
    return {"value": value}


@tool("core.sleep", timeout_seconds=3600)
def sleep(seconds: Annotated[float, Field(ge=0, le=3600)]) -> Slept:
    """Wait for so many seconds."""
    time.sleep(seconds)
    return {"slept_seconds": seconds}


@tool("core.fail", light=True)
def fail(times: Annotated[int, Field(ge=0, le=100)], context: ToolContext) -> Attempt:
    """Fail the first ``times`` attempts, then succeed."""
    if context.attempt <= times:
        raise Unavailable("core.fail", f"attempt {context.attempt} of {times} that fail", 1)
    return {"attempt": context.attempt}
