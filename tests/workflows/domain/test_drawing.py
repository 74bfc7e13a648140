"""Where steps are drawn."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.domain import drawing
from workflows.domain.drawing import draw, wrapped

LAYERS = {"a": 0, "b": 1, "c": 1, "d": 2, "e": 3}
EDGES = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "e"), ("d", "e")]


def test_a_need_stands_left_of_what_needs_it():
    x = {node.key: node.x for node in draw(LAYERS, EDGES).nodes}
    assert all(x[source] < x[target] for source, target in EDGES)


def test_every_edge_is_drawn_once():
    drawn = [(edge.source, edge.target) for edge in draw(LAYERS, [*EDGES, ("a", "b")]).edges]
    assert sorted(drawn) == sorted(EDGES)


def test_a_long_edge_passes_no_box():
    drawing_ = draw(LAYERS, EDGES)
    path = next(e.path for e in drawing_.edges if (e.source, e.target) == ("a", "e"))
    heights = [float(y) for y in re.findall(r" ([\d.]+)H", path)]
    assert len(heights) == 2
    for x, y in zip((drawing._left(1), drawing._left(2)), heights, strict=True):
        boxes = [n for n in drawing_.nodes if n.x == x]
        assert all(not n.y < y < n.y + drawing.NODE_HEIGHT for n in boxes)


def test_an_edge_to_an_earlier_layer_is_refused():
    with pytest.raises(ValueError, match="d → a"):
        draw(LAYERS, [("d", "a")])


def test_an_empty_graph_has_an_empty_drawing():
    assert draw({}, []).nodes == ()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_boxes_never_overlap_and_stay_inside(data):
    layers = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=18))
    layers = {str(i): layer for i, layer in enumerate(layers)}
    pairs = [(a, b) for a in layers for b in layers if layers[a] < layers[b]]
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    drawn = draw(layers, edges)
    for node in drawn.nodes:
        assert 0 <= node.x <= drawn.width - drawing.NODE_WIDTH
        assert 0 <= node.y <= drawn.height - drawing.NODE_HEIGHT
    for column in set(layers.values()):
        tops = sorted(n.y for n in drawn.nodes if layers[n.key] == column)
        gaps = [b - a for a, b in itertools.pairwise(tops)]
        assert all(gap >= drawing.NODE_HEIGHT for gap in gaps)
    assert draw(layers, edges) == drawn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Opinion", ["Opinion"]),
        ("Acceptance and independence", ["Acceptance and", "independence"]),
        ("Substantive work per account of the group", ["Substantive work", "per account of th…"]),
    ],
)
def test_a_title_takes_two_lines_at_most(text, expected):
    assert wrapped(text, 18) == expected
