"""What a search for a better prompt may aim at."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Goal(StrEnum):
    """``better_examples`` changes worked examples only, not the prompt's own words."""

    REDUCE_COST = "reduce_cost"
    IMPROVE_ACCURACY = "improve_accuracy"
    BETTER_EXAMPLES = "better_examples"


_EXAMPLES = ("few_shot", "few_shot_more", "few_shot_spread", "own_answers")
# Which kinds of variant serve which goal.
KINDS: Mapping[Goal, tuple[str, ...]] = {
    Goal.REDUCE_COST: ("compressed", "brief", "lighter_model"),
    Goal.IMPROVE_ACCURACY: (
        "explicit", "error_handling", "anti_hallucination", "reflective", "merged", *_EXAMPLES,
    ),
    Goal.BETTER_EXAMPLES: _EXAMPLES,
}  # fmt: skip
