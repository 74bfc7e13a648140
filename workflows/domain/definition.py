"""A workflow definition as a value: read, validated whole, compiled once.

``compile_definition`` gives a Plan or raises InvalidDocument with every fault, each with its path
and line. ``plan_of`` rebuilds the Plan of a stored definition, which was validated when stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workflows.domain.expressions import Expression, Template, compile_expression, compile_template
from workflows.domain.transitions import Mode, Retry, duration_seconds

DEFAULT_MAX_PARALLEL = 64
# A fan-out or approval without a limit of its own still ends some day.
DEFAULT_RUN_TIMEOUT_SECONDS = 90 * 86400.0

# Names that expressions may read besides a fan-out's own item.
ROOT_NAMES = frozenset({"inputs", "steps", "run"})

# Kinds that leave the process and travel as a message; the others are decided while advancing.
TASK_KINDS = frozenset({"tool", "agent", "workflow"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan. ``needs`` are step keys; ``needed`` how many must be met."""

    key: str
    title: str
    kind: str  # tool | agent | workflow | approval | wait
    target: str
    arguments: Template
    mode: Mode
    needs: tuple[str, ...]
    needed: int
    failures_of: tuple[str, ...]  # steps whose failure leads here
    when: Expression | None
    timeout_seconds: float | None
    retry: Retry
    on_error: str  # fail | continue | go_to
    go_to: str | None
    for_each: Template | None
    item_name: str
    max_parallel: int
    until: Expression | None
    max_iterations: int
    compensate: Mapping[str, Any] | None
    options: Mapping[str, Any]  # of an approval or a wait
    each: Template | None = None  # the list inside of each item, if it fans out once more
    each_name: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it can be queued without evaluating anything."""
        return self.kind in TASK_KINDS and self.when is None and self.for_each is None

    @property
    def lists(self) -> int:
        """In how many lists its outputs stand: one for a fan-out, two for a nested one."""
        return 0 if self.for_each is None else 1 if self.each is None else 2

    @property
    def undone_at_once(self) -> int:
        """How many of its compensations run side by side; more than one only of a fan-out's."""
        return int((self.compensate or {}).get("max_parallel", 1))

    @property
    def reads(self) -> frozenset[str]:
        """Keys of steps whose outputs its expressions read when it runs."""
        found = self.arguments.steps
        if self.until is not None:
            found |= self.until.steps
        return found

    @property
    def decides_on(self) -> frozenset[str]:
        """Keys of steps whose outputs are read to decide whether and how it runs."""
        found: frozenset[str] = frozenset()
        if self.when is not None:
            found |= self.when.steps
        if self.for_each is not None:
            found |= self.for_each.steps
        if self.each is not None:
            found |= self.each.steps
        return found

    @property
    def decides_by(self) -> frozenset[str]:
        """The root names that are read to decide whether and how it runs."""
        parts = (self.when, self.for_each, self.each)
        return frozenset().union(*(part.names for part in parts if part is not None))


@dataclass(frozen=True)
class Plan:
    """A compiled definition: steps by key, in an order in which needs come first."""

    name: str
    title: str
    steps: Mapping[str, Step]
    inputs_schema: Mapping[str, Any]
    outputs: Template
    access: Mapping[str, tuple[str, ...]]
    budget_usd: str | None
    timeout_seconds: float
    priority: str
    concurrency_key: Template | None
    concurrency_max: int | None
    source: Mapping[str, Any] = field(repr=False)

    @cached_property
    def successors(self) -> Mapping[str, tuple[tuple[str, bool], ...]]:
        """For each step, who waits for it and whether for its failure."""
        found: dict[str, list[tuple[str, bool]]] = {key: [] for key in self.steps}
        for step in self.steps.values():
            for need in step.needs:
                found[need].append((step.key, False))
            for need in step.failures_of:
                found[need].append((step.key, True))
        return {key: tuple(value) for key, value in found.items()}

    @cached_property
    def ends(self) -> frozenset[str]:
        """Steps that the end of the run waits for, so that no other is open when they have ended.

        Those are the sinks, and what nobody surely waits for: a join of ``any`` fires before the
        rest of its needs, one of ``all`` gives up when one need can no longer be met, and what
        may be withdrawn waits no longer then.
        """
        waited_for: set[str] = set()
        for step in self.steps.values():
            if step.key in self._withdrawable:
                continue
            for need in (*step.needs, *step.failures_of):
                others = {*step.needs, *step.failures_of} - {need}
                if not others or (step.mode is Mode.ALL and not others & self._missable):
                    waited_for.add(need)
        return frozenset(self.steps) - waited_for

    @cached_property
    def contains(self) -> frozenset[str]:
        """Names of the workflows that its steps are runs of."""
        return frozenset(step.target for step in self.steps.values() if step.kind == "workflow")

    @cached_property
    def _missable(self) -> frozenset[str]:
        """Steps that may end without being met, while the run goes on."""
        found: set[str] = set()
        for key, step in self.steps.items():  # needs come first
            unreachable = bool(step.failures_of) or (
                bool(step.needs) and (step.mode is not Mode.ALL or bool(found & {*step.needs}))
            )
            if unreachable or step.on_error == "go_to":
                found.add(key)
        return frozenset(found)

    @cached_property
    def dispensable(self) -> Mapping[str, tuple[str, ...]]:
        """For each step, what in front of it may turn out needless."""
        found: dict[str, list[str]] = {}
        for key in self.steps:
            for follower in self.needed_by(key) if key in self._withdrawable else ():
                found.setdefault(follower, []).append(key)
        return {key: tuple(keys) for key, keys in found.items()}

    @cached_property
    def _withdrawable(self) -> frozenset[str]:
        """What waits for others and may turn out needless: approvals, waits and sub-workflows.

        One is needless once everything that needs it goes on or has ended without it. Only a join
        of ``any`` or ``at_least`` goes on without one, or ends because it is needless itself;
        what the run's outputs read is never needless.
        """
        found: set[str] = set()
        for key in reversed(list(self.steps)):  # what needs a step comes behind it
            waits = self.steps[key].kind in ("approval", "wait", "workflow")
            if waits and key not in self.outputs.steps:
                behind = self.needed_by(key)
                if any(self.steps[f].mode is not Mode.ALL or f in found for f in behind):
                    found.add(key)
        return frozenset(found)

    def needed_by(self, key: str) -> list[str]:
        """The steps that need ``key`` to succeed; its failure's handler is none of them."""
        return [follower for follower, on_failure in self.successors[key] if not on_failure]

    @cached_property
    def layers(self) -> Mapping[str, int]:
        """For drawing: a step's column, one right of its furthest need."""
        column: dict[str, int] = {}
        for key, step in self.steps.items():
            before = [column[need] for need in (*step.needs, *step.failures_of)]
            column[key] = 1 + max(before) if before else 0
        return column


def plan_of(source: Mapping[str, Any]) -> Plan:
    """The Plan of a definition that has been validated before."""
    raw_steps: Mapping[str, Any] = source["steps"]
    failures: dict[str, list[str]] = {}
    for key, raw in raw_steps.items():
        action = raw.get("on_error")
        if isinstance(action, dict):
            failures.setdefault(action["go_to"], []).append(key)
    steps = {key: _step(key, raw, failures.get(key, [])) for key, raw in raw_steps.items()}
    concurrency = source.get("concurrency") or {}
    key_text = concurrency.get("key")
    return Plan(
        name=source["name"],
        title=source.get("title") or source["name"].replace("_", " ").capitalize(),
        steps={key: steps[key] for key in in_order(steps)},
        inputs_schema=source.get("inputs") or {"type": "object"},
        outputs=compile_template(source.get("outputs") or {}),
        access={key: tuple(roles) for key, roles in (source.get("access") or {}).items()},
        budget_usd=source.get("budget_usd"),
        timeout_seconds=_seconds(source.get("timeout")) or DEFAULT_RUN_TIMEOUT_SECONDS,
        priority=source.get("priority", "default"),
        concurrency_key=compile_template(key_text) if key_text else None,
        concurrency_max=concurrency.get("max"),
        source=source,
    )


def in_order(steps: Mapping[str, Step]) -> list[str]:
    """Keys with every need before what needs it (Kahn, 1962), else in the order written.

    Steps on a cycle are left out, so the result is shorter than ``steps`` exactly then.
    """
    waiting = {
        key: {n for n in (*step.needs, *step.failures_of) if n in steps}
        for key, step in steps.items()
    }
    followers: dict[str, list[str]] = {}
    for key, needs in waiting.items():
        for need in needs:
            followers.setdefault(need, []).append(key)
    ready = [key for key, needs in waiting.items() if not needs]
    ordered: list[str] = []
    for key in ready:  # grows while it is read
        ordered.append(key)
        for follower in followers.get(key, ()):
            waiting[follower].discard(key)
            if not waiting[follower]:
                ready.append(follower)
    return ordered


def needs_of(raw: Any) -> tuple[Mode, tuple[str, ...], int]:
    """The join that ``needs`` describes: mode, keys, how many must be met."""
    if not raw:
        return Mode.ALL, (), 0
    if isinstance(raw, list):
        return Mode.ALL, tuple(raw), len(raw)
    if "all" in raw:
        return Mode.ALL, tuple(raw["all"]), len(raw["all"])
    if "any" in raw:
        return Mode.ANY, tuple(raw["any"]), 1
    return Mode.AT_LEAST, tuple(raw["of"]), int(raw["at_least"])


def _step(key: str, raw: Mapping[str, Any], failures_of: list[str]) -> Step:
    kind = next(k for k in ("tool", "agent", "workflow", "approval", "wait") if k in raw)
    mode, needs, needed = needs_of(raw.get("needs"))
    if failures_of and not needs:
        mode, needed = Mode.ANY, 1
    action = raw.get("on_error", "fail")
    repeat = raw.get("repeat") or {}
    when = raw.get("when")
    each = raw.get("for_each")
    inner = raw.get("each")
    return Step(
        key=key,
        title=raw.get("title") or key.replace("_", " ").capitalize(),
        kind=kind,
        target=raw[kind] if kind in TASK_KINDS else "",
        arguments=compile_template(raw.get("with") or {}),
        mode=mode,
        needs=needs,
        needed=needed,
        failures_of=tuple(failures_of),
        when=None if when is None else compile_expression(_bare(when)),
        timeout_seconds=_seconds(raw.get("timeout")),
        retry=_retry(raw.get("retry")),
        on_error="go_to" if isinstance(action, dict) else action,
        go_to=action["go_to"] if isinstance(action, dict) else None,
        for_each=None if each is None else compile_template(each),
        item_name=raw.get("as", "item"),
        max_parallel=int(raw.get("max_parallel", DEFAULT_MAX_PARALLEL)),
        until=compile_expression(_bare(repeat["until"])) if repeat else None,
        max_iterations=int(repeat.get("max", 1)),
        compensate=raw.get("compensate"),
        options=raw[kind] if kind not in TASK_KINDS else {},
        each=compile_template(inner["for_each"]) if inner else None,
        each_name=inner["as"] if inner else "",
    )


def _bare(value: str | bool) -> str:
    """A condition is bare CEL; ``${ … }`` around it is forgiven."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.strip()
    if text.startswith("${") and text.endswith("}") and text.count("${") == 1:
        return text[2:-1].strip()
    return text


def _retry(raw: Mapping[str, Any] | None) -> Retry:
    if raw is None:
        return Retry()
    return Retry(
        max_attempts=int(raw.get("max_attempts", 3)),
        backoff_seconds=_seconds(raw.get("backoff")) or 1.0,
        on=frozenset(raw.get("on", ())),
    )


def _seconds(raw: str | float | None) -> float | None:
    return None if raw is None else duration_seconds(raw)
