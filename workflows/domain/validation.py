"""Every fault of a definition, each with its path, line and a sentence that says what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from jsonschema.validators import validator_for

from config.errors import InvalidDocument
from workflows.domain import slips
from workflows.domain.definition import ROOT_NAMES, Plan, in_order, needs_of, plan_of
from workflows.domain.documents import Document, Path, parse
from workflows.domain.expressions import (
    Expression,
    ExpressionFailed,
    compile_expression,
    compile_template,
)
from workflows.domain.fault_words import schema_fault
from workflows.domain.fitting import misfit, missing_field, types_at, types_in, types_of
from workflows.domain.reachability import never_reached

# Nobody reads more at once; the last of so many says how many there are.
MOST_FAULTS = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What a definition may name: tools with their argument schemas, agents, workflows, roles.

    ``None`` means that this kind of name is not checked. ``inputs_of`` are the JSON Schemas of
    the workflows that one may contain, ``outputs_of`` those of what tools return.
    """

    tools: Mapping[str, Mapping[str, Any]] | None = None
    agents: frozenset[str] | None = None
    workflows: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    audiences: frozenset[str] | None = None
    inputs_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs_of: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of a definition."""
    text = files("workflows.domain").joinpath("definition.schema.json").read_text("utf-8")
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(schema())


def compile_definition(text: str, known: Known) -> Plan:
    """The Plan of the definition ``text``; raises InvalidDocument naming every fault."""
    document = parse(text, what="the workflow definition")
    faults = faults_of(document, known)
    if faults:
        raise InvalidDocument("the workflow definition", faults)
    return plan_of(document.value)


def faults_of(document: Document, known: Known) -> list[dict[str, Any]]:
    """All faults (MOST_FAULTS at most), in the order of their lines; empty means it is good."""
    check = _Check(document, known)
    check.structure()
    if not check.faults:  # meaning is only looked for in what has the right form
        check.meaning()
    faults = sorted(check.faults, key=lambda fault: (fault["line"] or 0, fault["path"]))
    if len(faults) > MOST_FAULTS:
        more = f"and {len(faults) - MOST_FAULTS} more faults; mend these first"
        faults[MOST_FAULTS:] = [{"path": "", "line": None, "message": more}]
    return faults


@dataclass(slots=True)
class _Check:
    document: Document
    known: Known
    faults: list[dict[str, Any]] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)
    names: frozenset[str] = frozenset()
    predecessors: Mapping[str, list[str]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def add(self, path: Path, message: str) -> None:
        where = ".".join(str(part) for part in path)
        if (where, message) not in self.told:
            self.told.add((where, message))
            line = self.document.line(path)
            self.faults.append({"path": where, "line": line, "message": message})

    # ------------------------------------------------------------ form
    def structure(self) -> None:
        if not isinstance(self.document.value, dict):
            self.add((), "a definition is a mapping with name and steps")
            return
        for error in _validator().iter_errors(self.document.value):
            path, message = schema_fault(error)
            if message:
                self.add(path, message)

    def _output_of(self, raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """A JSON Schema of what a step gives, as far as it is known."""
        if "for_each" in raw:
            return {"type": "array"}
        if "approval" in raw:
            return {"type": "object"}
        return self.known.outputs_of.get(str(raw.get("tool")))

    # ------------------------------------------------------------ meaning
    def meaning(self) -> None:
        source = self.document.value
        for path, message in slips.of_definition(source):
            self.add(path, message)
        self._schema_of_inputs(source.get("inputs"))
        steps: Mapping[str, Any] = source["steps"]
        self.names, self.predecessors = frozenset(steps), _predecessors(steps)
        self.inputs = source.get("inputs") or {}
        self.outputs = {key: self._output_of(raw) for key, raw in steps.items()}
        for key, raw in steps.items():
            self._step(key, raw, steps)
        for name, roles in (source.get("access") or {}).items():
            for index, role in enumerate(roles):
                if ":" in role:
                    known, what = self.known.audiences, "audience"
                else:
                    known, what = self.known.roles, "role"
                self._named(what, role, known, ("access", name, index))
        self._expressions(source.get("outputs"), ("outputs",), set(steps), frozenset())
        if key_text := (source.get("concurrency") or {}).get("key"):
            self._expressions(key_text, ("concurrency", "key"), set(), frozenset())
        if not self.faults:
            self._graph(plan_of(source))

    def _schema_of_inputs(self, raw: Any) -> None:
        if raw is None:
            return
        try:
            validator_for(raw, default=jsonschema.Draft202012Validator).check_schema(raw)
        except jsonschema.SchemaError as error:
            self.add(("inputs", *error.absolute_path), f"not a JSON Schema: {error.message}")

    def _step(self, key: str, raw: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
        at: Path = ("steps", key)
        _, needs, needed = needs_of(raw.get("needs"))
        for need in needs:
            self._named("step", need, self.names, (*at, "needs"))
            if need == key:
                self.add((*at, "needs"), "a step cannot need itself")
        if needed > len(needs):
            self.add((*at, "needs"), f"at_least {needed} of {len(needs)} can never be met")
        self._target(raw, at)
        action = raw.get("on_error")
        if isinstance(action, dict):
            self._go_to(key, action["go_to"], steps, at)
        self._roles(raw.get("approval"), at)
        self._combinations(raw, at)
        # Walking the graph back is worth it only where an expression reads a step.
        before = _ancestors(key, self.predecessors) if "steps" in repr(raw) else set()
        item = frozenset({raw.get("as", "item"), "index"}) if "for_each" in raw else frozenset()
        if "each" in raw:
            self._expressions(raw["each"]["for_each"], (*at, "each", "for_each"), before, item)
            item |= {raw["each"]["as"], "outer_index"}
        self._expressions(raw.get("with"), (*at, "with"), before, item)
        self._expressions(raw.get("for_each"), (*at, "for_each"), before, frozenset())
        if "when" in raw and isinstance(raw["when"], str):
            self._condition(raw["when"], (*at, "when"), before, frozenset())
        if "repeat" in raw:
            names = item | {"output", "iteration"}
            self._condition(raw["repeat"]["until"], (*at, "repeat", "until"), before | {key}, names)
        if "compensate" in raw:
            inner = raw["compensate"]
            self._expressions(inner.get("with"), (*at, "compensate"), set(steps), frozenset())
            tools = self.known.tools
            every = None if tools is None else frozenset(tools)
            path = (*at, "compensate")
            if self._named("tool", inner["tool"], every, (*path, "tool")) and tools is not None:
                self._arguments(inner, tools[inner["tool"]], path)
        for part in ("approval", "wait"):
            self._expressions(raw.get(part), (*at, part), before, frozenset())

    def _target(self, raw: Mapping[str, Any], at: Path) -> None:
        if "tool" in raw:
            tools = self.known.tools
            names = None if tools is None else frozenset(tools)
            if self._named("tool", raw["tool"], names, (*at, "tool")) and tools is not None:
                self._arguments(raw, tools[raw["tool"]], at)
        if "agent" in raw:
            self._named("agent", raw["agent"], self.known.agents, (*at, "agent"))
        if "workflow" in raw:
            own = frozenset({self.document.value["name"]})
            if raw["workflow"] in own:
                self.add((*at, "workflow"), "a workflow cannot contain itself")
                return
            self._named("workflow", raw["workflow"], self.known.workflows, (*at, "workflow"))
            if raw["workflow"] in self.known.inputs_of:
                self._inputs_of_child(raw, self.known.inputs_of[raw["workflow"]], at)

    def _inputs_of_child(self, raw: Mapping[str, Any], wanted: Mapping[str, Any], at: Path) -> None:
        given = raw.get("with") or {}
        properties = wanted.get("properties") or {}
        for name in wanted.get("required", ()):
            if name not in given and "default" not in properties.get(name, {}):
                self.add((*at, "with"), f"{raw['workflow']} requires the input {name!r}")
        for name, value in given.items():
            path = (*at, "with", name)
            if name not in properties:
                if wanted.get("additionalProperties") is False:
                    self._named(f"input of {raw['workflow']}", name, frozenset(properties), path)
            elif compile_or_none(value):
                self._may_fit(value, types_in(properties[name], wanted), path, strictly=True)
            else:
                self._fits(value, wanted, name, path)

    def _may_fit(self, value: Any, wanted: frozenset[str], at: Path, *, strictly: bool) -> None:
        """A fault if what an expression gives can never be of a wanted type."""
        if why := misfit(types_of(value, self.inputs, self.outputs), wanted, strictly=strictly):
            self.add(at, f"{value} {why}")

    def _arguments(self, raw: Mapping[str, Any], wanted: Mapping[str, Any], at: Path) -> None:
        given = raw.get("with") or {}
        allowed = frozenset(wanted.get("properties", {}))
        for name in given:
            self._named(f"argument of {raw['tool']}", name, allowed, (*at, "with", name))
        for name in wanted.get("required", ()):
            if name not in given:
                self.add((*at, "with"), f"{raw['tool']} requires the argument {name!r}")
        for name, value in given.items():
            if name not in allowed:
                continue
            if compile_or_none(value):
                types = types_in(wanted["properties"][name], wanted)
                self._may_fit(value, types, (*at, "with", name), strictly=False)
            else:
                self._fits(value, wanted, name, (*at, "with", name))

    def _fits(self, value: Any, wanted: Mapping[str, Any], name: str, at: Path) -> None:
        part = {**wanted["properties"][name], "$defs": wanted.get("$defs", {})}
        if error := jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(part).iter_errors(value)
        ):
            self.add(at, error.message)

    def _go_to(self, key: str, target: str, steps: Mapping[str, Any], at: Path) -> None:
        path = (*at, "on_error", "go_to")
        if not self._named("step", target, frozenset(steps), path):
            return
        if target == key:
            self.add(path, "a step cannot go to itself")
        if needs_of(steps[target].get("needs"))[1]:
            self.add(
                ("steps", target, "needs"),
                f"is reached by the failure of {key!r}, so it takes no needs of its own",
            )

    def _roles(self, raw: Mapping[str, Any] | None, at: Path) -> None:
        if not raw:
            return
        for role in (raw["role"], *raw.get("roles", ())):
            self._named("role", role, self.known.roles, (*at, "approval", "role"))
        if "escalate" in raw:
            path = (*at, "approval", "escalate", "role")
            self._named("role", raw["escalate"]["role"], self.known.roles, path)
        if len(raw.get("roles", ())) not in (0, raw.get("levels", 1)):
            self.add((*at, "approval", "roles"), "give one role for each of the levels")

    def _combinations(self, raw: Mapping[str, Any], at: Path) -> None:
        if "repeat" in raw and "for_each" in raw:
            self.add((*at, "repeat"), "repeat and for_each go together by a sub-workflow")
        if isinstance(raw.get("for_each"), str):
            lists = frozenset({"array", "object"})
            self._may_fit(raw["for_each"], lists, (*at, "for_each"), strictly=True)
        if isinstance(inner := (raw.get("each") or {}).get("for_each"), str):
            lists = frozenset({"array", "object"})
            self._may_fit(inner, lists, (*at, "each", "for_each"), strictly=True)
        taken = {raw.get("as", "item"), "index", "outer_index"}
        if "each" in raw and raw["each"]["as"] in taken:
            said = f"{raw['each']['as']!r} is taken; there are {', '.join(sorted(taken))} already"
            self.add((*at, "each", "as"), said)
        for part in ("as", "max_parallel", "each"):
            if part in raw and "for_each" not in raw:
                self.add((*at, part), "has no meaning without for_each")
        if ("approval" in raw or "wait" in raw) and ("for_each" in raw or "repeat" in raw):
            self.add(at, "an approval or a wait takes neither for_each nor repeat")
        if "wait" in raw:
            given = sorted({"signal", "for", "until"} & set(raw["wait"]))
            if len(given) != 1:
                self.add((*at, "wait"), "waits for exactly one of signal, for, until")
            elif "timeout" in raw["wait"] and given != ["signal"]:
                self.add((*at, "wait", "timeout"), f"has no meaning beside {given[0]}")

    # ------------------------------------------------------------ expressions
    def _expressions(
        self, value: Any, at: Path, before: Iterable[str], extra: frozenset[str]
    ) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                self._expressions(child, (*at, key), before, extra)
        elif isinstance(value, list):
            for index, child in enumerate(value):
                self._expressions(child, (*at, index), before, extra)
        elif isinstance(value, str) and "${" in value:
            try:
                for expression in compile_template(value).expressions:
                    self._names(expression, at, before, extra)
            except ExpressionFailed as error:
                self.add(at, str(error))

    def _condition(self, text: str, at: Path, before: Iterable[str], extra: frozenset[str]) -> None:
        bare = text.strip()
        if bare.startswith("${") and bare.endswith("}"):
            bare = bare[2:-1]
        try:
            expression = compile_expression(bare)
            self._names(expression, at, before, extra)
            given = types_at(expression.path, self.inputs, self.outputs)
            if why := misfit(given, frozenset({"boolean"}), strictly=True):
                self.add(at, f"{bare} {why}")
        except ExpressionFailed as error:
            self.add(at, str(error))

    def _names(
        self, expression: Expression, at: Path, before: Iterable[str], extra: frozenset[str]
    ) -> None:
        allowed = ROOT_NAMES | extra
        every = frozenset(self.document.value["steps"])
        for name in sorted(expression.names - allowed):
            near = difflib.get_close_matches(name, sorted(allowed), n=1)
            better = f"steps.{name}" if name in every else (near[0] if near else "")
            hint = f"did you mean {better}? There" if better else "there"
            self.add(at, f"unknown name {name!r}; {hint} are {', '.join(sorted(allowed))}")
        for step in sorted(expression.steps):
            if self._named("step", step, every, at) and step not in before:
                self.add(at, f"reads steps.{step}, which need not have ended by then; add a need")
        for message in slips.of_expression(expression, self.document.value.get("inputs") or {}):
            self.add(at, message)
        for source, *rest in sorted(expression.reads, key=str):
            if missing := missing_field(self.outputs.get(str(source)), tuple(rest)):
                self._named(f"field of steps.{source}.output", *missing, at)

    # ------------------------------------------------------------ shape
    def _graph(self, plan: Plan) -> None:
        ordered = set(in_order(plan.steps)) if plan.steps else set()
        every = set(self.document.value["steps"])
        stuck = sorted(every - ordered)
        if stuck:
            self.add(("steps", stuck[0], "needs"), f"a cycle goes through {', '.join(stuck)}")
            return
        for key, why in never_reached(plan).items():
            where = "needs" if plan.steps[key].needs else ""
            self.add(("steps", key, *([where] if where else [])), why)

    def _named(self, what: str, name: str, known: frozenset[str] | None, at: Path) -> bool:
        if known is None or name in known:
            return True
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.add(at, f"unknown {what} {name!r}{hint}")
        return False


def compile_or_none(value: Any) -> bool:
    """Whether ``value`` holds an expression, so that its type is known only at run time."""
    try:
        return bool(compile_template(value).expressions)
    except ExpressionFailed:
        return True


def _predecessors(steps: Mapping[str, Any]) -> dict[str, list[str]]:
    """What each step waits for directly: its needs, and those whose failure leads to it."""
    found = {key: list(needs_of(raw.get("needs"))[1]) for key, raw in steps.items()}
    for source, raw in steps.items():
        if isinstance(raw.get("on_error"), dict):
            found.setdefault(raw["on_error"]["go_to"], []).append(source)
    return found


def _ancestors(key: str, predecessors: Mapping[str, list[str]]) -> set[str]:
    """Steps that have ended when ``key`` starts."""
    found: set[str] = set()
    stack = [key]
    while stack:
        for need in predecessors.get(stack.pop(), ()):
            if need not in found:
                found.add(need)
                stack.append(need)
    return found
