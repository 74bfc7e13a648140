"""Whether a version that fails while it is rolled out is to blame, or everything fails. Pure."""

from __future__ import annotations

from enum import StrEnum

from learning.domain.numeric import stats

Counts = tuple[int, int]
# An alert is looked at every few minutes while it lasts, on windows that overlap: of sound versions
# one in some hundred rollouts is worse by chance at one of these looks.
LEVEL = 1e-5
# The control's own change, which only holds a rollout: a person goes on with it.
OUTAGE_LEVEL = 1e-3


class Blame(StrEnum):
    """What a version's failures say."""

    VERSION = "version"
    OUTAGE = "outage"
    NOBODY = "nobody"


def blame(treated: Counts, control: Counts, before: Counts) -> Blame:
    """Who is to blame for bad ones of so many: (bad, all) now, and of the control a week before.

    The version is where it is worse than its control, now and before taken together. Where the
    control itself is worse than before, it has to be worse than the control now: else all fail.
    """
    everything = (control[0] + before[0], control[1] + before[1])
    if not _is_worse(treated, everything, LEVEL):
        return Blame.NOBODY
    if _is_worse(control, before, OUTAGE_LEVEL) and not _is_worse(treated, control, LEVEL):
        return Blame.OUTAGE
    return Blame.VERSION


def _is_worse(one: Counts, other: Counts, level: float) -> bool:
    """By Fisher's exact test on one side; nothing is worse than what was never counted."""
    (bad, of), (others_bad, others) = one, other
    if not of or not others:
        return False
    table = [[bad, of - bad], [others_bad, others - others_bad]]
    return bool(stats().fisher_exact(table, alternative="greater").pvalue < level)
