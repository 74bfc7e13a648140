"""Random definitions, and a tiny interpreter that says what must come of them.

The interpreter knows the contract's rules of skips, joins and errors and nothing of the engine:
no states in between, no time, no database. It reads the definition as a person would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import strategies as st

NEVER = 99  # more failures than any number of attempts


@dataclass(frozen=True)
class Node:
    """One step of a random definition; ``fails`` are failures before its first success."""

    key: str
    mode: str = "all"  # all | any | at_least
    needs: tuple[str, ...] = ()
    needed: int = 0
    light: bool = True
    fails: int = 0
    on_error: str = "fail"  # fail | continue | the key of a handler
    when: str = ""  # "" | true | false | the key of a need whose value it reads
    items: tuple[int, ...] | None = None  # a fan-out: failures of each item
    parallel: int = 2
    nested: bool = False  # the same items in lists of lists
    turns: int = 1
    child: bool = False
    undo: bool = False
    asks: int = 0  # levels of an approval
    refused: bool = False  # what the person says at its last level
    calls: bool = False  # waits for a signal of its own name
    rests: bool = False  # waits for a moment

    @property
    def waits(self) -> bool:
        """Whether no tool is called: a person, a signal or time ends it."""
        return bool(self.asks or self.calls or self.rests)


@dataclass(frozen=True)
class Dag:
    nodes: tuple[Node, ...]

    def source(self, ledger: str) -> str:
        steps = {node.key: _step(node, ledger) for node in self.nodes}
        return yaml.safe_dump({"name": "dag", "steps": steps}, sort_keys=False)


CHILD = """
name: dag_child
inputs: {type: object, properties: {ledger: {type: string}, fails: {type: integer}}}
steps:
  one:
    tool: drill.light
    with: {ledger: "${ inputs.ledger }", fails: "${ inputs.fails }"}
    retry: {max_attempts: 2, backoff: 1ms}
  two: {needs: [one], tool: drill.light, with: {ledger: "${ inputs.ledger }"}}
outputs: {value: "${ 1 }"}
"""


def _step(node: Node, ledger: str) -> dict[str, Any]:
    fails: Any = node.fails
    step: dict[str, Any] = {}
    if node.mode == "all" and node.needs:
        step["needs"] = list(node.needs)
    elif node.mode == "any":
        step["needs"] = {"any": list(node.needs)}
    elif node.mode == "at_least":
        step["needs"] = {"at_least": node.needed, "of": list(node.needs)}
    if node.when in ("true", "false"):
        step["when"] = node.when
    elif node.when:
        step["when"] = f"steps.{node.when}.output.value > 0"
    if node.items is not None:
        step |= {"for_each": list(node.items), "max_parallel": node.parallel}
        fails = "${ item }"
        if node.nested:
            step |= {"for_each": [list(node.items[:2]), [], list(node.items[2:])]}
            step |= {"each": {"for_each": "${ item }", "as": "inner"}}
            fails = "${ inner }"
    if node.asks:
        roles = ["manager", "partner"][: node.asks]
        step["approval"] = {"role": "manager", "roles": roles, "levels": node.asks,
                            "forbid_self": False}  # fmt: skip
    elif node.calls:
        step["wait"] = {"signal": node.key}
    elif node.rests:
        step["wait"] = {"for": "1ms"}
    elif node.child:
        step |= {"workflow": "dag_child", "with": {"ledger": ledger, "fails": fails}}
    else:
        tool = "drill.light" if node.light else "drill.effect"
        step |= {
            "tool": tool,
            "with": {"ledger": ledger, "fails": fails, "value": 1},
            "retry": {"max_attempts": 2, "backoff": "1ms"},
        }
    if node.turns > 1:
        step["repeat"] = {"until": f"iteration >= {node.turns}", "max": node.turns}
    if node.on_error == "continue":
        step["on_error"] = "continue"
    elif node.on_error != "fail":
        step["on_error"] = {"go_to": node.on_error}
    if node.undo:
        step["compensate"] = {"tool": "drill.light", "with": {"ledger": ledger, "value": node.key}}
    return step


@dataclass
class Expected:
    """What must come of a definition; ``states`` and ``effects`` hold unless the run fails."""

    run: str = "succeeded"
    states: dict[str, str] = field(default_factory=dict)
    values: dict[str, bool] = field(default_factory=dict)  # whether ``output.value`` is there
    effects: dict[str, int] = field(default_factory=dict)


def may_be_withdrawn(dag: Dag) -> set[str]:
    """Sub-workflows and waits that a join behind them may go on without, or be withdrawn itself."""
    found: set[str] = set()
    for node in reversed(dag.nodes):
        behind = [after for after in dag.nodes if node.key in after.needs]
        may_go_on = any(after.mode != "all" or after.key in found for after in behind)
        if (node.child or node.waits) and may_go_on:
            found.add(node.key)
    return found


def interpret(dag: Dag, withdrawn: frozenset[str] = frozenset()) -> Expected:
    """The outcome of every step by the rules of the contract.

    ``withdrawn`` are sub-workflows and waits that were still under way when nothing needed them
    any more.
    """
    found = Expected()
    by_key = {node.key: node for node in dag.nodes}
    sent: dict[str, list[str]] = {}
    for node in dag.nodes:
        if node.on_error not in ("fail", "continue"):
            sent.setdefault(node.on_error, []).append(node.key)
    for node in dag.nodes:
        state, effects = _outcome(node, sent.get(node.key, []), by_key, found)
        if node.key in withdrawn:
            state = "cancelled"
        found.states[node.key] = state
        found.effects[node.key] = effects
        gives = node.items is None and not node.asks and not node.rests
        found.values[node.key] = state == "succeeded" and gives
        if state == "failed" and node.on_error == "fail":
            found.run = "failed"
    return found


def _outcome(
    node: Node, failures_of: list[str], by_key: dict[str, Node], found: Expected
) -> tuple[str, int]:
    if failures_of:
        reached = any(found.states[key] == "failed" for key in failures_of)
    else:
        reached = _reached(node, by_key, found)
    if not reached:
        return "unreachable", 0
    if node.when == "false":
        return "skipped", 0
    if node.when not in ("", "true") and not found.values[node.when]:
        return "failed", 0  # it reads a value of what gave none
    if node.waits:
        return ("failed" if node.refused else "succeeded"), 0
    if node.items is not None:
        worked = [fails < 2 for fails in node.items]
        good = all(worked) or node.on_error == "continue"
        return ("succeeded" if good else "failed"), sum(worked) * (2 if node.child else 1)
    if node.fails >= 2:
        return "failed", 0
    return "succeeded", node.turns * (2 if node.child else 1)


def _reached(node: Node, by_key: dict[str, Node], found: Expected) -> bool:
    if not node.needs:
        return True
    good = [key for key in node.needs if found.states[key] == "succeeded"]
    if node.mode == "any":
        return bool(good)
    if node.mode == "at_least":
        return len(good) >= node.needed
    return all(
        found.states[key] in ("succeeded", "skipped")
        or (found.states[key] == "failed" and by_key[key].on_error == "continue")
        for key in node.needs
    )


_WAITS: list[dict[str, Any]] = [
    {"asks": 1}, {"asks": 2}, {"asks": 1, "refused": True}, {"asks": 2, "refused": True},
    {"calls": True}, {"calls": True}, {"rests": True},
]  # fmt: skip
_FAILS = st.sampled_from([0, 0, 0, 0, 1, NEVER])


@st.composite
def dags(draw: st.DrawFn, most: int = 8, people: bool = False) -> Dag:
    """Definitions of up to ``most`` steps with every kind of join, error and repetition.

    With ``people`` some steps are approvals, or wait for a signal or a time.
    """
    size = draw(st.integers(1, most))
    keys = [f"s{i}" for i in range(size)]
    handlers = {key for key in keys[1:] if draw(st.integers(0, 5)) == 0}
    nodes = []
    for place, key in enumerate(keys):
        before = keys[:place]
        later = [other for other in keys[place + 1 :] if other in handlers]
        needs: tuple[str, ...] = ()
        mode, needed = "all", 0
        if key not in handlers and before and draw(st.integers(0, 4)):
            needs = tuple(draw(st.lists(st.sampled_from(before), max_size=4, unique=True)))
            mode = draw(st.sampled_from(["all", "all", "any", "at_least"])) if needs else "all"
            needed = draw(st.integers(1, len(needs))) if mode == "at_least" else 0
        readable = [need for need in needs if mode == "all"]
        nodes.append(
            Node(
                key=key, mode=mode, needs=needs, needed=needed, **draw(_work(people)),
                on_error=draw(st.sampled_from(["fail", "continue", "continue", *later * 2])),
                when=draw(st.sampled_from(["", "", "", "true", "false", *readable])),
            )
        )  # fmt: skip
    return Dag(tuple(nodes))


@st.composite
def _work(draw: st.DrawFn, people: bool) -> dict[str, Any]:
    if people and draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(_WAITS))
    shape = draw(st.sampled_from(["plain", "plain", "plain", "fan", "turns", "child"]))
    work: dict[str, Any] = {"light": draw(st.integers(0, 3)) > 0, "undo": draw(st.booleans())}
    if shape == "fan":
        work["items"] = tuple(draw(st.lists(_FAILS, max_size=5)))
        work["parallel"] = draw(st.integers(1, 3))
        work["child"] = draw(st.integers(0, 4)) == 0
        work["nested"] = draw(st.integers(0, 2)) == 0
    elif shape == "child":
        work |= {"child": True, "fails": draw(_FAILS)}
    else:
        work["fails"] = draw(_FAILS)
        work["turns"] = draw(st.integers(2, 3)) if shape == "turns" else 1
    return work
