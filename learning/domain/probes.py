"""How much personal data a redaction lets through, measured by planting some.

Identifiers with valid check digits are made from a seed and put into copies of real texts; what
can still be read afterwards has leaked. The rate is about these kinds in these texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from learning.domain import numeric

PROBES_PER_TEXT = 4
MOST_PROBES = 400


@dataclass(frozen=True, slots=True)
class LeakRate:
    """``leaked`` of ``planted`` identifiers; ``upper`` bounds the rate with 95 % confidence."""

    planted: int
    leaked: int

    def __post_init__(self) -> None:
        if not 0 <= self.leaked <= self.planted:
            raise ValueError(f"need 0 <= leaked <= planted, got {self}")

    @property
    def ratio(self) -> float:
        """Share that leaked; 0 of nothing."""
        return self.leaked / self.planted if self.planted else 0.0

    @property
    def upper(self) -> float:
        """Clopper-Pearson's one-sided bound; 1 of nothing."""
        if self.leaked >= self.planted:
            return 1.0
        return float(numeric.stats().beta.ppf(0.95, self.leaked + 1, self.planted - self.leaked))


def leak_rate(texts: Sequence[str], redact: Callable[[str], str], *, seed: int) -> LeakRate:
    """Plant identifiers in ``texts``, redact, and count those that stay readable."""
    draw = random.Random(seed)
    planted = leaked = 0
    for text in texts:
        for make in draw.sample(_MAKERS, PROBES_PER_TEXT):
            if planted >= MOST_PROBES:
                return LeakRate(planted, leaked)
            label, value = make(draw)
            words = text.split(" ")
            place = draw.randint(0, len(words))
            probed = " ".join([*words[:place], f"{label} {value}", *words[place:]])
            planted += 1
            leaked += value in redact(probed)
    return LeakRate(planted, leaked)


def _email(draw: random.Random) -> tuple[str, str]:
    name = draw.choice(("anna.berger", "j.ortega", "li_wen", "m.dubois", "k.nowak"))
    host = draw.choice(("gmail.com", "web.de", "outlook.com", "example.org"))
    return "e-mail", f"{name}{draw.randint(1, 99)}@{host}"


def _phone(draw: random.Random) -> tuple[str, str]:
    return "phone", f"+49 30 {draw.randint(200000, 999999)}{draw.randint(10, 99)}"


def _card(draw: random.Random) -> tuple[str, str]:
    digits = [4, *(draw.randint(0, 9) for _ in range(14))]
    return "card", "".join(map(str, [*digits, _luhn(digits)]))


def _luhn(digits: Sequence[int]) -> int:
    """Check digit of ISO/IEC 7812, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


def _iban(draw: random.Random) -> tuple[str, str]:
    account = "".join(str(draw.randint(0, 9)) for _ in range(18))
    check = 98 - int(f"{account}131400") % 97  # DE00 as digits, ISO 13616
    return "IBAN", f"DE{check:02d}{account}"


def _ssn(draw: random.Random) -> tuple[str, str]:
    return "SSN", f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}"


def _address(draw: random.Random) -> tuple[str, str]:
    return "IP address", f"84.{draw.randint(1, 250)}.{draw.randint(1, 250)}.{draw.randint(1, 250)}"


_MAKERS = (_email, _phone, _card, _iban, _ssn, _address)
