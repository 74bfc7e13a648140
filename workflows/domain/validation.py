"""Every fault of a definition, each with its path, line and a sentence that says what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema

from config import schemas
from config.errors import InvalidDocument
from workflows.domain import slips
from workflows.domain.definition import Plan, needs_of, plan_of
from workflows.domain.documents import Document, Path, parse
from workflows.domain.fault_words import schema_fault
from workflows.domain.faults import Faults
from workflows.domain.fitting import types_in
from workflows.domain.reachability import misshapen
from workflows.domain.references import Ancestry, References, holds_expression, predecessors_of

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
    check = _Check(document, known=known)
    check.structure()
    if not check.found:  # meaning is only looked for in what has the right form
        check.meaning()
    faults = sorted(check.found, key=lambda fault: (fault["line"] or 0, fault["path"]))
    if len(faults) > MOST_FAULTS:
        more = f"and {len(faults) - MOST_FAULTS} more faults; mend these first"
        faults[MOST_FAULTS:] = [{"path": "", "line": None, "message": more}]
    return faults


@dataclass(slots=True)
class _Check(Faults):
    known: Known = field(kw_only=True)
    names: frozenset[str] = frozenset()
    predecessors: Mapping[str, list[str]] = field(default_factory=dict)
    reads: References = field(init=False)
    ancestry: Ancestry = field(init=False)

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
        self.names, self.predecessors = frozenset(steps), predecessors_of(steps)
        self.ancestry = Ancestry(self.predecessors)
        outputs = {key: self._output_of(raw) for key, raw in steps.items()}
        self.reads = References(self, steps, source.get("inputs") or {}, outputs)
        for key, raw in steps.items():
            self._step(key, raw, steps)
        for name, roles in (source.get("access") or {}).items():
            for index, role in enumerate(roles):
                if ":" in role:
                    known, what = self.known.audiences, "audience"
                else:
                    known, what = self.known.roles, "role"
                self.named(what, role, known, ("access", name, index))
        self.reads.check(source.get("outputs"), ("outputs",), set(steps), frozenset())
        if key_text := (source.get("concurrency") or {}).get("key"):
            self.reads.check(key_text, ("concurrency", "key"), set(), frozenset())
        for key, why in misshapen(source, self.predecessors):
            self.add(("steps", key, *(("needs",) if steps[key].get("needs") else ())), why)

    def _schema_of_inputs(self, raw: Any) -> None:
        if raw is not None and (fault := schemas.fault_of(raw)):
            self.add(("inputs", *fault[0]), fault[1])

    def _step(self, key: str, raw: Mapping[str, Any], steps: Mapping[str, Any]) -> None:
        at: Path = ("steps", key)
        _, needs, needed = needs_of(raw.get("needs"))
        for need in needs:
            self.named("step", need, self.names, (*at, "needs"))
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
        before = self.ancestry.of(key)
        item = frozenset({raw.get("as", "item"), "index"}) if "for_each" in raw else frozenset()
        if "each" in raw:
            self.reads.check(raw["each"]["for_each"], (*at, "each", "for_each"), before, item)
            item |= {raw["each"]["as"], "outer_index"}
        turn = frozenset({"output", "iteration"}) if "repeat" in raw else frozenset()
        self.reads.check(
            raw.get("with"), (*at, "with"), before, item | turn,
            self.known.outputs_of.get(str(raw.get("tool"))) if turn else None,
            is_turn=bool(turn),
        )  # fmt: skip
        self.reads.check(raw.get("for_each"), (*at, "for_each"), before, frozenset())
        if "when" in raw and isinstance(raw["when"], str):
            self.reads.condition(raw["when"], (*at, "when"), before, frozenset())
        if "repeat" in raw:
            self.reads.condition(
                raw["repeat"]["until"], (*at, "repeat", "until"), before.and_also(key), item | turn
            )
        if "compensate" in raw:
            inner = raw["compensate"]
            tools, gives = self.known.tools, self.known.outputs_of.get(str(raw.get("tool")))
            names = item | {"output"}
            path = (*at, "compensate")
            self.reads.check(inner.get("with"), (*path, "with"), set(steps), names, gives)
            every = None if tools is None else frozenset(tools)
            if self.named("tool", inner["tool"], every, (*path, "tool")) and tools is not None:
                self._arguments(inner, tools[inner["tool"]], path)
        for part in ("approval", "wait"):
            self.reads.check(raw.get(part), (*at, part), before, frozenset())

    def _target(self, raw: Mapping[str, Any], at: Path) -> None:
        if "tool" in raw:
            tools = self.known.tools
            names = None if tools is None else frozenset(tools)
            if self.named("tool", raw["tool"], names, (*at, "tool")) and tools is not None:
                self._arguments(raw, tools[raw["tool"]], at)
        if "agent" in raw:
            self.named("agent", raw["agent"], self.known.agents, (*at, "agent"))
        if "workflow" in raw:
            own = frozenset({self.document.value["name"]})
            if raw["workflow"] in own:
                self.add((*at, "workflow"), "a workflow cannot contain itself")
                return
            self.named("workflow", raw["workflow"], self.known.workflows, (*at, "workflow"))
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
                    self.named(f"input of {raw['workflow']}", name, frozenset(properties), path)
            elif holds_expression(value):
                self.reads.may_fit(value, types_in(properties[name], wanted), path, strictly=True)
            else:
                self._fits(value, wanted, name, path)

    def _arguments(self, raw: Mapping[str, Any], wanted: Mapping[str, Any], at: Path) -> None:
        given = raw.get("with") or {}
        allowed = frozenset(wanted.get("properties", {}))
        for name in given:
            self.named(f"argument of {raw['tool']}", name, allowed, (*at, "with", name))
        for name in wanted.get("required", ()):
            if name not in given:
                self.add((*at, "with"), f"{raw['tool']} requires the argument {name!r}")
        for name, value in given.items():
            if name not in allowed:
                continue
            if holds_expression(value):
                types = types_in(wanted["properties"][name], wanted)
                self.reads.may_fit(value, types, (*at, "with", name), strictly=False)
            else:
                self._fits(value, wanted, name, (*at, "with", name))

    def _fits(self, value: Any, wanted: Mapping[str, Any], name: str, at: Path) -> None:
        part = {**wanted["properties"][name], "$defs": wanted.get("$defs", {})}
        if error := schemas.first_error(part, value):
            self.add(at, error.message)

    def _go_to(self, key: str, target: str, steps: Mapping[str, Any], at: Path) -> None:
        path = (*at, "on_error", "go_to")
        if not self.named("step", target, frozenset(steps), path):
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
            self.named("role", role, self.known.roles, (*at, "approval", "role"))
        if "escalate" in raw:
            path = (*at, "approval", "escalate", "role")
            self.named("role", raw["escalate"]["role"], self.known.roles, path)
        if len(raw.get("roles", ())) not in (0, raw.get("levels", 1)):
            self.add((*at, "approval", "roles"), "give one role for each of the levels")

    def _combinations(self, raw: Mapping[str, Any], at: Path) -> None:
        if "repeat" in raw and "for_each" in raw:
            self.add((*at, "repeat"), "repeat and for_each go together by a sub-workflow")
        if isinstance(raw.get("for_each"), str):
            lists = frozenset({"array", "object"})
            self.reads.may_fit(raw["for_each"], lists, (*at, "for_each"), strictly=True)
        if isinstance(inner := (raw.get("each") or {}).get("for_each"), str):
            lists = frozenset({"array", "object"})
            self.reads.may_fit(inner, lists, (*at, "each", "for_each"), strictly=True)
        taken = {raw.get("as", "item"), "index", "outer_index"}
        if "each" in raw and raw["each"]["as"] in taken:
            said = f"{raw['each']['as']!r} is taken; there are {', '.join(sorted(taken))} already"
            self.add((*at, "each", "as"), said)
        for part in ("as", "max_parallel", "each"):
            if part in raw and "for_each" not in raw:
                self.add((*at, part), "has no meaning without for_each")
        if "max_parallel" in raw.get("compensate", ()) and "for_each" not in raw:
            self.add((*at, "compensate", "max_parallel"), "has no meaning without for_each")
        if ("approval" in raw or "wait" in raw) and ("for_each" in raw or "repeat" in raw):
            self.add(at, "an approval or a wait takes neither for_each nor repeat")
        if "wait" in raw:
            given = sorted({"signal", "for", "until"} & set(raw["wait"]))
            if len(given) != 1:
                self.add((*at, "wait"), "waits for exactly one of signal, for, until")
            elif "timeout" in raw["wait"] and given != ["signal"]:
                self.add((*at, "wait", "timeout"), f"has no meaning beside {given[0]}")
