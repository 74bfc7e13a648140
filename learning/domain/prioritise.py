"""What to do first: impact × confidence ÷ effort, with every factor in the open."""

from __future__ import annotations

from dataclasses import dataclass

FORMULA = "impact (USD a month) × confidence (0 to 1) ÷ effort (days)"
# What one call that fails or is complained about costs the firm: minutes of a person.
BAD_CALL_USD = 5.0
# A month of 30 days, for figures taken from other windows.
MONTH_DAYS = 30.0


@dataclass(frozen=True, slots=True)
class Priority:
    """``impact_usd`` a month, ``confidence`` from 0 to 1, ``effort_days`` of people's work."""

    impact_usd: float
    confidence: float
    effort_days: float

    def __post_init__(self) -> None:
        if self.impact_usd < 0 or not 0 <= self.confidence <= 1 or self.effort_days <= 0:
            raise ValueError(f"need impact >= 0, 0 <= confidence <= 1 and effort > 0, got {self}")

    @property
    def score(self) -> float:
        """Dollars a month for a day of work, as likely as they are."""
        return self.impact_usd * self.confidence / self.effort_days

    def shown(self) -> str:
        """The formula with its figures."""
        return (
            f"{self.impact_usd:.2f} USD a month × {self.confidence:.2f} ÷ "
            f"{self.effort_days:g} {'day' if self.effort_days == 1 else 'days'} = {self.score:.2f}"
        )


def confidence_of(cases: int, *, half: int = 20) -> float:
    """How far evidence of so many cases is trusted: 0 for none, a half at ``half``, towards 1.

    Raises ValueError for a negative number.
    """
    if cases < 0 or half < 1:
        raise ValueError(f"need cases >= 0 and half >= 1, got {cases} and {half}")
    return cases / (cases + half)


def monthly(amount: float, *, days: float) -> float:
    """``amount`` seen in ``days``, for a month of them; raises ValueError without days."""
    if days <= 0:
        raise ValueError(f"need days > 0, got {days}")
    return amount * MONTH_DAYS / days
