"""What a search for a better prompt may aim at."""

from __future__ import annotations

from enum import StrEnum


class Goal(StrEnum):
    """``better_examples`` changes worked examples only, not the prompt's own words."""

    REDUCE_COST = "reduce_cost"
    IMPROVE_ACCURACY = "improve_accuracy"
    BETTER_EXAMPLES = "better_examples"
