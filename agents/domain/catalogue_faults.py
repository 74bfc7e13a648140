"""What is wrong with a catalogue file: every fault, with its path and line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import meta
from jsonschema import Draft202012Validator

from agents.domain.grading import holds, kind_of
from config.errors import InvalidInput

SCHEMA_FILE = Path(__file__).parent.parent / "catalogue" / "schema.json"
DOMAIN_PREFIXES = {
    "accounting": ("acct", "acc"),
    "audit": ("aud",),
    "tax": ("tax",),
    "corporate": ("corp",),
    "operations": ("ops",),
}

Where = tuple[str | int, ...]
Fault = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """One parsed file; ``lines`` holds the line (from 1) of each place in it."""

    name: str
    data: Any
    lines: Mapping[Where, int]

    def line(self, where: Sequence[str | int]) -> int:
        """The line of ``where``, or of the nearest place around it that is written."""
        place = tuple(where)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def fault(self, where: Sequence[str | int], message: str) -> Fault:
        """A fault at ``where``, told as "audit.yaml:agents[3].cases[0].facts"."""
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in where).lstrip(".")
        text = f"{self.name}:{path}" if path else self.name
        return {"path": text, "line": self.line(where), "message": message}


def read_document(name: str, text: str, faults: list[Fault]) -> Document | None:
    """The file ``name`` with its lines; None, and the fault noted, if it is no YAML."""
    try:
        # One reader for values and places: composing twice would let them disagree.
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            faults.append({"path": name, "line": 1, "message": "the file is empty"})
            return None
        lines = dict(_lines(node, ()))
        repeated = list(_repeated_keys(node, ()))
        document = Document(name, loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = getattr(error, "problem", None) or str(error)
        faults.append({"path": name, "line": line, "message": f"not YAML: {problem}"})
        return None
    for where, line in repeated:
        faults.append({**document.fault(where, "the key occurs twice"), "line": line})
    return document


def faults_in(documents: Sequence[Document], tool_names: Collection[str]) -> list[Fault]:
    """Every fault of ``documents``, in the order of files and lines."""
    found: list[Fault] = []
    seen: dict[str, str] = {}
    domains: dict[str, str] = {}
    for document in documents:
        broken = list(_schema_faults(document))
        found += broken
        agents = document.data.get("agents") if isinstance(document.data, dict) else None
        name = document.data.get("domain") if isinstance(document.data, dict) else None
        if isinstance(name, str) and domains.setdefault(name, document.name) != document.name:
            found.append(document.fault(("domain",), f"{name!r} is already {domains[name]}"))
        for place, agent in enumerate(agents if isinstance(agents, list) else ()):
            if isinstance(agent, dict):
                here = document.line(("agents", place))
                found += _slug_faults(document, place, agent, name, seen, here)
                found += _tool_faults(document, place, agent, tool_names)
                found += _variable_faults(document, place, agent)
                found += _scaling_faults(document, place, agent)
                found += _case_faults(document, place, agent)
    return found


def _schema_faults(document: Document) -> Iterator[Fault]:
    errors = _validator().iter_errors(document.data)
    for error in sorted(errors, key=lambda e: [str(p) for p in e.absolute_path]):
        yield document.fault(tuple(error.absolute_path), error.message[:300])


def _slug_faults(
    document: Document,
    place: int,
    agent: Mapping[str, Any],
    domain: Any,
    seen: dict[str, str],
    line: int,
) -> Iterator[Fault]:
    slug, where = agent.get("slug"), ("agents", place, "slug")
    if not isinstance(slug, str):
        return
    here = f"{document.name} line {line}"
    if slug in seen:
        yield document.fault(where, f"slug {slug!r} is already used in {seen[slug]}")
    seen.setdefault(slug, here)
    prefixes = DOMAIN_PREFIXES.get(domain) if isinstance(domain, str) else None
    if prefixes and slug.split("-")[0] not in prefixes:
        wanted = " or ".join(f"{prefix}-" for prefix in prefixes)
        yield document.fault(where, f"slug {slug!r} of domain {domain!r} must start with {wanted}")


def _tool_faults(
    document: Document, place: int, agent: Mapping[str, Any], tool_names: Collection[str]
) -> Iterator[Fault]:
    tools = agent.get("tools")
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        if tool not in tool_names:
            yield document.fault(("agents", place, "tools", number), f"no tool {tool!r}")
    if not tools and not agent.get("sources"):
        yield document.fault(("agents", place), "an agent needs tools or sources; it has neither")


def _variable_faults(document: Document, place: int, agent: Mapping[str, Any]) -> Iterator[Fault]:
    prompt, where = agent.get("prompt"), ("agents", place, "prompt")
    if not isinstance(prompt, str):
        return
    try:
        used = meta.find_undeclared_variables(jinja2.Environment().parse(prompt))  # noqa: S701
    except jinja2.TemplateSyntaxError as error:
        message = f"template line {error.lineno}: {error.message}"
        yield document.fault(where, message)
        return
    listed = agent.get("variables") or []
    declared = {name for name in listed if isinstance(name, str)}
    for name in sorted(used - declared):
        yield document.fault(where, f"variable {name!r} is used and not declared")
    for name in sorted(declared - used):
        where_listed = ("agents", place, "variables", listed.index(name))
        yield document.fault(where_listed, f"variable {name!r} is declared and not used")


def _scaling_faults(document: Document, place: int, agent: Mapping[str, Any]) -> Iterator[Fault]:
    scaling = agent.get("scaling")
    if isinstance(scaling, dict):
        low, high = scaling.get("min_workers"), scaling.get("max_workers")
        if isinstance(low, int) and isinstance(high, int) and low > high:
            where = ("agents", place, "scaling", "min_workers")
            yield document.fault(where, f"{low} is over max_workers, {high}")


def _case_faults(document: Document, place: int, agent: Mapping[str, Any]) -> Iterator[Fault]:
    cases = agent.get("cases")
    names: set[str] = set()
    for number, case in enumerate(cases if isinstance(cases, list) else ()):
        if not isinstance(case, dict):
            continue
        where: Where = ("agents", place, "cases", number)
        name = case.get("name")
        if isinstance(name, str) and name in names:
            yield document.fault((*where, "name"), f"case {name!r} occurs twice")
        names.add(str(name))
        stated = json.dumps(case.get("input"), ensure_ascii=False, default=str)
        if not _is_json(case.get("input")):
            message = "a value that JSON has not; a date must be quoted"
            yield document.fault((*where, "input"), message)
        facts = case.get("facts")
        for index, fact in enumerate(facts if isinstance(facts, list) else ()):
            if isinstance(fact, dict):
                yield from _fact_faults(document, (*where, "facts", index), fact, stated)


def _fact_faults(
    document: Document, where: Where, fact: Mapping[str, Any], stated: str
) -> Iterator[Fault]:
    try:
        given = holds(stated, fact)
        if given and kind_of(fact) != "absent":
            yield document.fault(where, "the input already states this fact")
    except InvalidInput as error:
        yield document.fault(where, str(error))
    except (ArithmeticError, TypeError, ValueError, AttributeError):
        yield document.fault(where, "a fact that can't be read")


def _lines(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int]]:
    yield where, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*where, str(key.value)))
            # A block scalar's value starts a line after its key; the key is what one looks for.
            yield (*where, str(key.value)), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _lines(value, (*where, place))


def _repeated_keys(node: yaml.Node, where: Where) -> Iterator[tuple[Where, int]]:
    """Keys written twice in one mapping: YAML's loader would keep the last, silently."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield (*where, name), key.start_mark.line + 1
            seen.add(name)
            yield from _repeated_keys(value, (*where, name))
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _repeated_keys(value, (*where, place))


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    return Draft202012Validator(schema)
