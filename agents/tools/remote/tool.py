"""A tool whose schema comes from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from agents.tools.registry import Tool, ToolContext, schema_of_returned
from config import schemas
from config.errors import InvalidInput


class Anything(BaseModel):
    """Arguments that a JSON Schema describes, not a type."""


@dataclass(frozen=True, slots=True)
class RemoteTool(Tool):
    """``schema`` describes the arguments; ``function`` gets them and the context.

    ``gives``: a function of a module whose return type says what ``function`` returns.
    """

    schema: dict[str, Any] = field(default_factory=dict)
    gives: Callable[..., Any] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return self.schema

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of what it returns; None where its source does not say."""
        return None if self.gives is None else schema_of_returned(self.gives)

    def call(self, arguments: dict[str, Any], context: ToolContext | None = None) -> Any:
        """Validate ``arguments`` and run; raises InvalidInput naming the first bad argument."""
        fault = next(iter(schemas.errors(self.schema, arguments)), None)
        if fault is not None:
            where = f"{self.name}.{fault.json_path.removeprefix('$.')}"
            raise InvalidInput(where, fault.instance, fault.message[:300])
        return self.function(arguments, context or ToolContext())


def remote(
    name: str,
    description: str,
    schema: dict[str, Any],
    function: Callable[[dict[str, Any], ToolContext], Any],
    gives: Callable[..., Any] | None = None,
    **declared: Any,
) -> RemoteTool:
    """A remote tool; ``declared`` is what ``Tool`` declares of timeouts, caching and effects.

    It wants its context, so that answers made with it are never taken from the cache.
    """
    return RemoteTool(
        name=name,
        description=description,
        arguments=Anything,
        function=function,
        wants_context=True,
        schema=schema,
        gives=gives,
        **declared,
    )
