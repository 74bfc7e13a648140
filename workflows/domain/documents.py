"""YAML (or JSON) text to plain values, with the line of every path, so that faults name both."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from config.errors import InvalidDocument, InvalidInput
from workflows.domain.fault_words import yaml_problem

# Programs write definitions, too: 2,000 steps of a scientific graph, pretty-printed, are 600 KiB.
MAX_CHARACTERS = 2 * 1024 * 1024
MAX_NODES = 200_000
MAX_DEPTH = 60

Path = tuple[str | int, ...]

# An escaped NUL: what is JSON and still no value of PostgreSQL's jsonb.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(slots=True)
class Document:
    """``value`` and, for every path in it, the line (from 1) where it stands."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int | None:
        """The line of ``path``, or of its nearest ancestor that has one."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


def parse(text: str, *, what: str = "the document") -> Document:
    """``text`` as a Document. Raises InvalidDocument for what is not YAML, or too much of it."""
    if len(text) > MAX_CHARACTERS:
        raise _refused(what, f"has {len(text)} characters; the limit is {MAX_CHARACTERS}", None)
    try:
        _require_bounded(text, what)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        line = mark.line + 1 if mark else None
        raise _refused(what, yaml_problem(str(problem)), line) from None
    if root is None:
        raise _refused(what, "is empty", None)
    document = Document(None)
    document.value = _Builder(what, document.lines).build(root, ())
    return document


def _require_bounded(text: str, what: str) -> None:
    """Refuse what nests too deep before it is composed: that is recursive C, and ends the process.

    Likewise what has too many values (each with a key at the most): a node takes half a kilobyte.
    Events come one by one and need neither.
    """
    depth = seen = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.NodeEvent):
            seen += 1
            if seen > 2 * MAX_NODES:
                raise _refused(what, f"has more than {MAX_NODES} values", None)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH + 1:  # the innermost list or mapping may hold values
                line = event.start_mark.line + 1 if event.start_mark else None
                raise _refused(what, f"nests more than {MAX_DEPTH} deep", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Builder:
    def __init__(self, what: str, lines: dict[Path, int]) -> None:
        self.what, self.lines, self.seen = what, lines, 0
        self.scalars = yaml.CSafeLoader("")

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.seen += 1
        if self.seen > MAX_NODES:  # aliases expand here: a small text can be a large value
            raise _refused(self.what, f"has more than {MAX_NODES} values", None)
        self.lines[path] = node.start_mark.line + 1
        if len(path) > MAX_DEPTH:  # an alias may even hold itself
            line = node.start_mark.line + 1
            raise _refused(self.what, f"nests more than {MAX_DEPTH} deep", line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        try:
            value = self.scalars.construct_object(node)
        except (ConstructorError, ValueError) as error:
            line = node.start_mark.line + 1
            raise _refused(self.what, yaml_problem(str(error)), line) from None
        if isinstance(value, float) and not math.isfinite(value):
            line = node.start_mark.line + 1
            raise _refused(self.what, f"holds {node.value}, which is no number of JSON", line)
        if "\0" in node.value:
            line = node.start_mark.line + 1
            raise _refused(self.what, "must not hold the NUL character", line)
        # Dates and times stay text: a definition has JSON values only.
        return value if isinstance(value, str | int | float | bool | None) else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):  # its text may be endless, by aliases
                raise _refused(self.what, "has a list or a mapping as a key; keys are text", line)
            # YAML 1.1 reads a bare `on` as true; as a key it means the word that was written.
            key = str(key_node.value)
            if "\0" in key:
                raise _refused(self.what, "must not hold the NUL character", line)
            if key in value:
                raise _refused(self.what, f"has the key {key!r} twice", line)
            value[key] = self.build(child, (*path, key))
            self.lines[(*path, key)] = line
        return value


def json_text(value: Any, *, field: str) -> str:
    """``value`` as JSON text that a row can hold.

    Raises InvalidInput, naming ``field``, for NaN and infinity, NUL characters, halves of
    surrogate pairs and what is nested without end.
    """
    try:
        text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field, "text", "must be Unicode without lone surrogates") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(field, type(value).__name__, f"must be JSON: {error}") from None
    if "\\u0000" in text and _NUL.search(text):
        raise InvalidInput(field, "text", "must not hold the NUL character")
    return text


def _refused(what: str, message: str, line: int | None) -> InvalidDocument:
    return InvalidDocument(what, [{"path": "", "line": line, "message": message}])
