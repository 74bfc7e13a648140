"""Where the steps of a graph are drawn: layers from left to right, few crossings, smooth edges.

Long edges pass through invisible places in the layers between, so that no edge runs through a
node. Places are ordered by the mean of their neighbours (Sugiyama, Tagawa and Toda, 1981) and
moved as near to them as order and gaps allow (least squares by pooling adjacent violators).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Pixels at scale one.
NODE_WIDTH, NODE_HEIGHT = 158.0, 66.0
COLUMN_GAP, ROW_GAP = 26.0, 18.0
BEND_HEIGHT = 10.0
MARGIN = 14.0
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Node:
    """One step's box: ``x``, ``y`` is its upper left corner."""

    key: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve from ``source``'s right side to ``target``'s left, as SVG path data."""

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


# A place in a layer: a step's key, or (source, target, layer) where an edge passes.
Place = str | tuple[str, str, int]


def draw(layers: Mapping[str, int], edges: Sequence[tuple[str, str]]) -> Drawing:
    """A drawing of the graph whose steps stand in ``layers`` (0 is leftmost).

    Every edge leads to a later layer; raises ValueError otherwise. The same graph always gives
    the same drawing.
    """
    columns, chains = _places(layers, edges)
    neighbours: dict[Place, list[Place]] = defaultdict(list)
    for chain in chains.values():
        for left, right in itertools.pairwise(chain):
            neighbours[left].append(right)
            neighbours[right].append(left)
    _order(columns, neighbours)
    centres = _settle(columns, neighbours)
    top = min((centres[p] - _height(p) / 2 for c in columns for p in c), default=0.0)
    centres = {place: centre - top + MARGIN for place, centre in centres.items()}
    bottom = max((centres[p] + _height(p) / 2 for c in columns for p in c), default=0.0)
    nodes = tuple(
        Node(key, _left(layer), round(centres[key] - NODE_HEIGHT / 2, 1))
        for key, layer in layers.items()
    )
    drawn = tuple(
        Edge(source, target, _path(chain, layers[source], centres))
        for (source, target), chain in chains.items()
    )
    width = _left(len(columns) - 1) + NODE_WIDTH + MARGIN if columns else 2 * MARGIN
    return Drawing(width, round(bottom + MARGIN, 1), nodes, drawn)


def _places(
    layers: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[list[list[Place]], dict[tuple[str, str], list[Place]]]:
    columns: list[list[Place]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for key, layer in layers.items():
        columns[layer].append(key)
    chains: dict[tuple[str, str], list[Place]] = {}
    for source, target in dict.fromkeys(edges):
        first, last = layers[source], layers[target]
        if first >= last:
            raise ValueError(f"edge {source} → {target} leads from layer {first} to {last}")
        bends: list[Place] = [(source, target, layer) for layer in range(first + 1, last)]
        for layer, bend in enumerate(bends, first + 1):
            columns[layer].append(bend)
        chains[source, target] = [source, *bends, target]
    return columns, chains


def _order(columns: list[list[Place]], neighbours: Mapping[Place, list[Place]]) -> None:
    """Sort each layer by the mean position of neighbours in the layer before, then after."""
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        sequence = range(1, len(columns)) if forward else range(len(columns) - 2, -1, -1)
        for index in sequence:
            fixed = columns[index - 1 if forward else index + 1]
            rank = {
                place: position / max(len(fixed) - 1, 1) for position, place in enumerate(fixed)
            }
            own = {place: position for position, place in enumerate(columns[index])}

            def mean(place: Place, rank: Mapping[Place, float] = rank) -> float | None:
                found = [rank[n] for n in neighbours.get(place, ()) if n in rank]
                return sum(found) / len(found) if found else None

            span = max(len(own) - 1, 1)
            means = {place: mean(place) for place in own}
            columns[index].sort(
                key=lambda place: (
                    own[place] / span if means[place] is None else means[place],
                    own[place],
                )
            )


def _settle(
    columns: list[list[Place]], neighbours: Mapping[Place, list[Place]]
) -> dict[Place, float]:
    """Vertical centres: each place near its neighbours, none overlapping."""
    centres: dict[Place, float] = {}
    for column in columns:
        offsets = _offsets(column)
        middle = offsets[-1] / 2 if offsets else 0.0
        centres.update({p: offset - middle for p, offset in zip(column, offsets, strict=True)})
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [
                sum(centres[n] for n in neighbours[p]) / len(neighbours[p])
                if neighbours.get(p)
                else centres[p]
                for p in column
            ]
            offsets = _offsets(column)
            free = _increasing([w - o for w, o in zip(wanted, offsets, strict=True)])
            centres.update({p: f + o for p, f, o in zip(column, free, offsets, strict=True)})
    return centres


def _offsets(column: Sequence[Place]) -> list[float]:
    """Centres of the places of a layer when packed from the top."""
    offsets: list[float] = []
    at = 0.0
    for index, place in enumerate(column):
        if index:
            at += (_height(column[index - 1]) + _height(place)) / 2 + ROW_GAP
        offsets.append(at)
    return offsets


def _increasing(values: Sequence[float]) -> list[float]:
    """The non-decreasing sequence nearest to ``values`` (Ayer et al., 1955)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((value, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (left, n), (right, m) = blocks[-2], blocks[-1]
            blocks[-2:] = [((left * n + right * m) / (n + m), n + m)]
    return [mean for mean, size in blocks for _ in range(size)]


def _height(place: Place) -> float:
    return NODE_HEIGHT if isinstance(place, str) else BEND_HEIGHT


def _left(layer: int) -> float:
    return MARGIN + layer * (NODE_WIDTH + COLUMN_GAP)


def _path(chain: Sequence[Place], layer: int, centres: Mapping[Place, float]) -> str:
    x, y = _left(layer) + NODE_WIDTH, centres[chain[0]]
    parts = [f"M{x:g} {y:.1f}"]
    for step, place in enumerate(chain[1:], 1):
        to_x, to_y = _left(layer + step), centres[place]
        middle = (x + to_x) / 2
        parts.append(f"C{middle:g} {y:.1f} {middle:g} {to_y:.1f} {to_x:g} {to_y:.1f}")
        x, y = to_x, to_y
        if not isinstance(place, str):
            x = to_x + NODE_WIDTH
            parts.append(f"H{x:g}")
    return "".join(parts)


def wrapped(text: str, width: int, lines: int = 2) -> list[str]:
    """``text`` in at most ``lines`` lines of about ``width`` characters, cut with an ellipsis."""
    found = [""]
    for word in text.split():
        longer = f"{found[-1]} {word}".strip()
        if len(longer) <= width or not found[-1]:
            found[-1] = longer
        else:
            found.append(word)
    if len(found) > lines:
        found = [*found[: lines - 1], " ".join(found[lines - 1 :])]
    return [line if len(line) <= width + 1 else line[: width - 1].rstrip() + "…" for line in found]
