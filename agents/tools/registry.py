"""Tools: what an agent or a step may do, declared beside the function that does it.

A tool is a plain function with typed parameters. Its JSON Schema comes from the types, so the
model, the step and the documentation read the same one. Heavy imports belong inside the
function: declaring a tool must stay cheap, because every process declares them all.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from config.errors import InvalidInput, NotFound

Lane = Literal["io", "analysis"]

# Modules of this package that hold machinery, not tools.
MACHINERY = frozenset({"registry", "mcp_server", "remote"})


class ArtifactStore(Protocol):
    """Where a tool reads and leaves files; the caller supplies one bound to its client."""

    def read(self, ref: str) -> bytes:
        """The bytes of the artifact ``ref``; raises NotFound."""

    def save(self, name: str, content: bytes, content_type: str) -> str:
        """Store ``content``, return its reference. The same content gives the same reference."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know of its caller. ``effect_id`` is stable over retries of one effect."""

    artifacts: ArtifactStore | None = None
    client_id: str | None = None
    run_id: str | None = None
    effect_id: str | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Tool:
    """One callable thing. ``timeout_seconds`` bounds a call; ``cache_seconds`` 0 means never.

    ``outcome`` of a tool that is not idempotent finds out what became of an effect.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    function: Callable[..., Any]
    wants_context: bool
    light: bool = False
    idempotent: bool = True
    cache_seconds: int = 0
    timeout_seconds: float = 30.0
    fallback: str | None = None
    lane: Lane = "io"
    tags: frozenset[str] = field(default_factory=frozenset)
    outcome: Callable[[ToolContext], dict[str, Any] | None] | None = None

    @property
    def repeatable(self) -> bool:
        """Whether a call may be made again when nobody knows what became of the first."""
        return self.idempotent or self.outcome is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        schema: dict[str, Any] = json.loads(_schema_of(self.arguments))
        return schema

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """JSON Schema of what the function says it returns; None where it does not say."""
        return schema_of_returned(self.function)

    def call(self, arguments: dict[str, Any], context: ToolContext | None = None) -> Any:
        """Validate ``arguments`` and run; raises InvalidInput naming the first bad argument."""
        try:
            model = self.arguments.model_validate(arguments)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "arguments"
            raise InvalidInput(f"{self.name}.{where}", first.get("input"), first["msg"]) from error
        values = {name: getattr(model, name) for name in type(model).model_fields}
        if self.wants_context:
            values["context"] = context or ToolContext()
        return self.function(**values)


@cache
def _schema_of(arguments: type[BaseModel]) -> str:
    """As text, so that nobody changes what others get: making one costs a millisecond."""
    return json.dumps(arguments.model_json_schema())


def schema_of_returned(function: Callable[..., Any]) -> dict[str, Any] | None:
    """JSON Schema of a function's return type; None where it does not say. It is kept for good."""
    found = _returned_by(function)
    return None if found is None else dict(json.loads(found))


@cache
def _returned_by(function: Callable[..., Any]) -> str | None:
    returned = typing.get_type_hints(function, include_extras=True).get("return", Any)
    if returned is Any or returned is None:
        return None
    schema = TypeAdapter(returned).json_schema(mode="serialization")
    return json.dumps(_closed(schema))


def _closed(schema: Any) -> Any:
    """A TypedDict names every field there is: what refers to another is wrong."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


_tools: dict[str, Tool] = {}
_finders: list[Callable[[str], Tool | None]] = []


def tool(
    name: str,
    *,
    light: bool = False,
    idempotent: bool = True,
    cache_seconds: int = 0,
    timeout_seconds: float = 30.0,
    fallback: str | None = None,
    lane: Lane = "io",
    tags: tuple[str, ...] = (),
    outcome: Callable[[ToolContext], dict[str, Any] | None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function as the tool ``name``; returns the function unchanged.

    The description is the docstring, and what the function returns is its return type. A parameter
    named ``context`` receives the ToolContext and is not part of the schema. ``light`` means: no
    network, under about 10 ms. ``outcome`` looks up what became of an effect that was begun and
    never reported: its result, or None if it did not and can't happen any more. It has the tool's
    time limit too.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        arguments, wants_context = _arguments_of(name, function)
        declared = Tool(
            name=name,
            description=inspect.cleandoc(function.__doc__ or ""),
            arguments=arguments,
            function=function,
            wants_context=wants_context,
            light=light,
            idempotent=idempotent,
            cache_seconds=cache_seconds,
            timeout_seconds=timeout_seconds,
            fallback=fallback,
            lane=lane,
            tags=frozenset(tags),
            outcome=outcome,
        )
        existing = _tools.get(name)
        if existing is not None and existing.function.__qualname__ != function.__qualname__:
            raise ValueError(f"tool {name!r} is declared twice")
        _tools[name] = declared
        return function

    return declare


def get(name: str) -> Tool:
    """The tool ``name``, declared here or offered by a configured source; raises NotFound."""
    discover()
    found = _tools.get(name) or next((t for look in _finders if (t := look(name))), None)
    if found is None:
        raise NotFound("tool", name)
    return found


def add_finder(look: Callable[[str], Tool | None]) -> None:
    """Ask ``look`` for tools that are not declared in code."""
    if look not in _finders:
        _finders.append(look)


def missing(wanted: Iterable[str]) -> list[str]:
    """Those of ``wanted`` that no tool has, sorted."""
    discover()
    unknown = set(wanted) - _tools.keys()
    return sorted(name for name in unknown if not any(look(name) for look in _finders))


def names() -> frozenset[str]:
    """Names of all declared tools."""
    discover()
    return frozenset(_tools)


def all_tools() -> Iterator[Tool]:
    """All declared tools, by name."""
    discover()
    yield from (_tools[name] for name in sorted(_tools))


@cache
def discover() -> None:
    """Import every module and package of ``agents.tools`` once, so that it declares its tools."""
    package = importlib.import_module("agents.tools")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in MACHINERY:
            importlib.import_module(f"agents.tools.{module.name}")


def _arguments_of(name: str, function: Callable[..., Any]) -> tuple[type[BaseModel], bool]:
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    wants_context = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "context":
            wants_context = True
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    model = create_model(
        name.replace(".", "_").replace("-", "_"),
        __config__=ConfigDict(extra="forbid"),
        **fields,
    )
    return model, wants_context
