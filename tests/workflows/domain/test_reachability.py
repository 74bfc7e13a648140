"""What validation refuses as never reached is what no way of ending steps reaches, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.dags import Dag, Expected, Node, _reached, dags
from workflows.domain.definition import plan_of
from workflows.domain.documents import parse
from workflows.domain.reachability import never_reached


def reached_by_any(dag: Dag) -> set[str]:
    """Every way in which each step that starts may end is tried, one after the other."""
    by_key = {node.key: node for node in dag.nodes}
    sources: dict[str, list[str]] = {}
    for node in dag.nodes:
        if node.on_error not in ("fail", "continue"):
            sources.setdefault(node.on_error, []).append(node.key)
    reached: set[str] = set()

    def go_on(place: int, so_far: dict[str, str]) -> None:
        if place == len(dag.nodes):
            return
        node = dag.nodes[place]
        if node.key in sources:
            starts = any(so_far[key] == "failed" for key in sources[node.key])
        else:
            starts = _reached(node, by_key, Expected(states=so_far))
        if not starts:
            go_on(place + 1, {**so_far, node.key: "unreachable"})
            return
        reached.add(node.key)
        for end in _ends(node):
            if not (end == "failed" and node.on_error == "fail"):  # that ends the run
                go_on(place + 1, {**so_far, node.key: end})

    go_on(0, {})
    return reached


def _ends(node: Node) -> list[str]:
    if node.when == "false":
        return ["skipped"]
    maybe = ["skipped"] if node.when not in ("", "true") else []
    return ["succeeded", "failed", *maybe]


@settings(max_examples=120, deadline=None, database=None, derandomize=True)
@given(dag=st.one_of(dags(most=3), dags(most=6)))
def test_a_step_is_refused_as_never_reached_if_and_only_if_no_run_reaches_it(dag: Dag) -> None:
    check(dag)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None, database=None)
@given(dag=st.one_of(dags(most=3), dags(most=6)))
def test_it_is_so_for_thousands_of_others(dag: Dag) -> None:
    check(dag)


def check(dag: Dag) -> None:
    plan = plan_of(parse(dag.source("ledger")).value)
    every = {node.key for node in dag.nodes}
    assert set(never_reached(plan)) == every - reached_by_any(dag)
