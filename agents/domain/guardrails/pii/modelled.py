"""Names of persons that a model finds, where one is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agents.domain.guardrails.findings import Span

Model = Callable[[str], Iterable[tuple[int, int]]]
# Less than what a title or a label beside a name says.
CONFIDENCE = 0.55
_models: list[Model] = []


def use(model: Model) -> None:
    """Ask ``model`` from now on: it gives start and end of each name in a text."""
    _models[:] = [model]


def named(text: str) -> list[Span]:
    """The names that the model finds; none without a model."""
    return [
        Span("PERSON", start, end, CONFIDENCE) for model in _models for start, end in model(text)
    ]
