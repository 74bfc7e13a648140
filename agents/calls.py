"""What a caller gives to and gets from a call of an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from agents.budgets import Held
from agents.endpoints import Reply, Request, Served, Try
from agents.endpoints.values import ANY_OBJECT
from agents.models.records import CallState
from agents.tools.registry import ArtifactStore, Tool
from config.errors import InvalidInput


class Pending(Exception):
    """A reply that a batch will bring. ``held`` stays reserved for it."""

    def __init__(self, request: Request, served: Sequence[Served]) -> None:
        super().__init__()
        self.request, self.served = request, served
        self.held: Held | None = None


Asking = Callable[["Request", "Sequence[Served]", "Callable[[Try], None]"], "Reply"]


@dataclass(frozen=True, slots=True)
class Call:
    """One question to an agent, by name.

    ``inputs`` is what the agent works on; a chat gives ``messages`` instead. ``effect_id`` with
    ``attempt`` makes a repeat return the first answer. ``deadline`` is ``time.monotonic()``
    seconds. ``unit`` names the run or user that a traffic split assigns by. ``allow_fallback`` None
    means: the declared fallback answers people, while a step gets the error and is retried.
    ``caller_tools`` are tools that the caller runs itself: asked for, they end the call with
    ``tool_calls`` in its output; ``tool_choice`` insists on them. ``stop`` ends an answer early,
    and ``response_schema`` gives it a form where the agent has none of its own. A replay pins
    ``version_id`` (a version of this agent) past every split, and lets ``stand_in`` put another
    tool in the place of each of its tools.
    Who judges or replays what a run did names it in ``about_run_id``: seen with that run.
    ``asked_at`` is when it was asked, where that is not now: what a simulation or an import states.
    Beside its own run's budget it counts against those of ``capped_runs``, which lie around it.
    ``inherited``: what a reader of its conversation must hold, where that has been read.
    ``is_remembered``: the agent's turns in ``messages`` are those that we keep, not its caller's.
    ``is_live``: what is streamed is read at once, so that no other text can take its place.
    A batch gives ``ask``, which answers in the place of the endpoints or raises Pending, and the
    hold that an earlier pass made.
    """

    agent: str
    inputs: dict[str, Any]
    client_id: UUID
    user_id: UUID | None = None
    key_id: UUID | None = None
    run_id: UUID | None = None
    about_run_id: UUID | None = None
    workflow: str = ""
    step_id: UUID | None = None
    conversation_id: UUID | None = None
    inherited: tuple[str, ...] | None = None
    unit: str | None = None
    effect_id: str | None = None
    deadline: float | None = None
    artifacts: ArtifactStore | None = None
    capped_runs: tuple[UUID, ...] = ()
    messages: list[dict[str, Any]] | None = None
    stream: Callable[[str], None] | None = None
    is_remembered: bool = False
    is_live: bool = False
    attempt: int = 1
    is_demo: bool = False
    allow_fallback: bool | None = None
    max_output_tokens: int | None = None
    use_cache: bool = True
    invocation_id: UUID | None = None
    caller_tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = None
    stop: tuple[str, ...] = ()
    response_schema: dict[str, Any] | None = None
    version_id: UUID | None = None
    stand_in: Callable[[Tool], Tool] | None = None
    asked_at: datetime | None = None
    ask: Asking | None = None
    held: Held | None = None
    hold_seconds: float | None = None

    @property
    def units(self) -> dict[str, str]:
        """What a traffic split may assign by, where the call has it.

        A call outside of runs is a run of its own, a chat one for as long as it lasts.
        """
        return {
            "run": str(self.run_id or self.conversation_id or self.invocation_id or ""),
            "user": str(self.user_id or ""),
            "client": str(self.client_id),
            "conversation": str(self.conversation_id or ""),
            "workflow": self.workflow,
        }

    @property
    def bounds(self) -> list[Any]:
        """What an answer depends on beside its question: another answer where one differs."""
        return [self.max_output_tokens, list(self.stop), self.response_schema]

    def schema_of_answer(self, own: dict[str, Any] | None) -> dict[str, Any] | None:
        """The agent's ``own`` schema, else the one asked for; InvalidInput where they differ."""
        if own is not None and self.response_schema not in (None, ANY_OBJECT, own):
            limit = "text or json_object: this agent answers in a schema of its own"
            raise InvalidInput("response_format", "json_schema", limit)
        return own if own is not None else self.response_schema

    @property
    def may_fall_back(self) -> bool:
        """Whether the agent's declared fallback may answer."""
        return self.step_id is None if self.allow_fallback is None else self.allow_fallback


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent answered, and what it took.

    ``output``: ``text``; ``facts``, the top-level values of all tool results; ``tools``, each
    tool's last result; ``json`` where the version has an output schema. ``simulated``: offline
    models and their prices only. ``is_fallback``: the declared fallback answered.
    """

    invocation_id: UUID
    output: dict[str, Any]
    cost_usd: Decimal
    input_tokens: int
    output_tokens: int
    version_id: UUID
    model: str
    simulated: bool
    cached: bool
    is_fallback: bool = False
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def went(self) -> str:
        """The state of the call behind it."""
        return str(CallState.FALLBACK if self.is_fallback else CallState.SUCCEEDED)
