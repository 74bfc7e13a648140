"""The one reader of environment variables: typed, with errors that name variable and value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


class Env:
    """Typed access to a mapping of strings (the process environment by default)."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name) or default
        if value is None:
            raise ImproperlyConfigured(f"{name} is not set and has no default")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """``1 true yes on`` or ``0 false no off``."""
        raw = (self._values.get(name) or str(default)).strip().lower()
        if raw in {"1", "true", "yes", "on"}:
            return True
        if raw in {"0", "false", "no", "off"}:
            return False
        raise ImproperlyConfigured(f"{name}={raw!r}: give one of true, false")

    def whole(self, name: str, default: int, *, low: int = 0, high: int = 2**31) -> int:
        raw = self._values.get(name) or str(default)
        try:
            value = int(raw)
        except ValueError:
            raise ImproperlyConfigured(f"{name}={raw!r}: give a whole number") from None
        if not low <= value <= high:
            raise ImproperlyConfigured(f"{name}={value}: must be from {low} to {high}")
        return value

    def seconds(self, name: str, default: str) -> timedelta:
        """A duration in seconds; fractions allowed."""
        raw = self._values.get(name) or default
        try:
            value = float(raw)
        except ValueError:
            raise ImproperlyConfigured(f"{name}={raw!r}: give seconds as a number") from None
        if not 0 < value < 10**9:
            raise ImproperlyConfigured(f"{name}={raw!r}: must be more than 0 seconds")
        return timedelta(seconds=value)

    def usd(self, name: str, default: str) -> Decimal:
        raw = self._values.get(name) or default
        try:
            value = Decimal(raw)
        except InvalidOperation:
            raise ImproperlyConfigured(f"{name}={raw!r}: give an amount such as 12.50") from None
        if not value.is_finite() or value < 0:
            raise ImproperlyConfigured(f"{name}={raw!r}: must be 0 or more")
        return value

    def one_of(self, name: str, default: str, known: tuple[str, ...]) -> str:
        raw = self._values.get(name) or default
        if raw not in known:
            raise ImproperlyConfigured(f"{name}={raw!r}: give one of {', '.join(known)}")
        return raw

    def words(self, name: str, default: str = "") -> list[str]:
        """A comma-separated list without blanks."""
        raw = self._values.get(name) or default
        return [part.strip() for part in raw.split(",") if part.strip()]

    def path(self, name: str, default: Path) -> Path:
        raw = self._values.get(name)
        return Path(raw).expanduser().resolve() if raw else default
