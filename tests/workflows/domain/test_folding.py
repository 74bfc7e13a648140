"""A large graph folds into few stages, and none of its steps is lost on the way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain import drawing
from workflows.domain.folding import MOST_COLUMNS, MOST_STAGES, edges_between, fold, stem


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Project image 12", "Project image"),
        ("project_0042", "project"),
        ("Sift 3.2", "Sift"),
        ("2026", "2026"),
        ("Year 2012 audit", "Year 2012 audit"),
    ],
)
def test_a_title_is_told_without_the_number_at_its_end(title: str, expected: str) -> None:
    assert stem(title) == expected


def test_steps_that_stand_side_by_side_and_are_called_alike_are_one_stage() -> None:
    layers = {"a1": 0, "a2": 0, "b": 0, "c1": 1, "c2": 1}
    titles = {"a1": "Cut 1", "a2": "Cut 2", "b": "Read", "c1": "Join 1", "c2": "Join 2"}
    assert [(s.key, s.title, s.steps) for s in fold(layers, titles)] == [
        ("1-1", "Cut", ("a1", "a2")), ("1-2", "Read", ("b",)), ("2-1", "Join", ("c1", "c2")),
    ]  # fmt: skip


def test_a_column_of_many_names_is_one_stage() -> None:
    layers = {f"s{n}": n // 400 for n in range(800)}
    titles = {key: f"{'abcdefghij'[n % 10]}{'k' * (n % 97)}" for n, key in enumerate(layers)}
    stages = fold(layers, titles)
    assert [(stage.title, len(stage.steps)) for stage in stages] == [
        ("Stage 1", 400), ("Stage 2", 400),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 400), st.text("ab 12", max_size=4)), max_size=300))
def test_every_step_is_in_one_stage_and_there_are_few(steps: list[tuple[int, str]]) -> None:
    layers = {f"s{n}": layer for n, (layer, _) in enumerate(steps)}
    titles = {f"s{n}": title for n, (_, title) in enumerate(steps)}
    stages = fold(layers, titles)
    assert sorted(key for stage in stages for key in stage.steps) == sorted(layers)
    assert len(stages) <= max(MOST_STAGES, MOST_COLUMNS)
    assert len({stage.key for stage in stages}) == len(stages)
    order = sorted(layers, key=lambda key: layers[key])
    edges = [(a, b) for a, b in itertools.pairwise(order) if layers[a] < layers[b]]
    columns = {stage.key: stage.column for stage in stages}
    between = edges_between(stages, edges)
    assert all(columns[a] < columns[b] for a, b in between)
    assert len(drawing.draw(columns, between).nodes) == len(stages)
