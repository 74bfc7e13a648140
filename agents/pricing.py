"""Price lists of one's own: added, dated, and never changed once they are there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import IntegrityError, transaction

from agents.domain.cost import ANY_MODEL
from agents.endpoints.directory import forget
from agents.models import PriceList
from config import logs
from config.errors import Conflict, InvalidInput

logger = logging.getLogger(__name__)
KINDS = frozenset({"input", "cached", "output", "reasoning", "training", "batch_ratio"})
# USD for a million tokens; more is a slip of the pen.
DEAREST_USD = Decimal(100_000)


def add(
    *, version: str, valid_from: date, prices: Mapping[str, Any], source: str = "", by: str = ""
) -> PriceList:
    """A new list: ``prices`` of these models, and of all others as in the list before it.

    Raises InvalidInput for a price that is none or a day before the list in force, Conflict for
    a version that there is.
    """
    for model, price in prices.items():
        _check(model, price)
    with transaction.atomic():
        before = PriceList.objects.select_for_update().order_by("-valid_from", "-version").first()
        if before is not None and (valid_from, version) < (before.valid_from, before.version):
            latest = f"{before.valid_from}, {before.version}"
            limit = f"a day and version after the latest list's ({latest})"
            raise InvalidInput("valid_from", str(valid_from), limit)
        merged = {**(before.prices if before else {}), **prices}
        if ANY_MODEL not in merged:
            raise InvalidInput("prices", sorted(merged), f'"{ANY_MODEL}" for models not named')
        try:
            with transaction.atomic():
                made = PriceList.objects.create(
                    version=version, valid_from=valid_from, prices=merged, source=source[:300]
                )
        except IntegrityError:
            state = "there, and never changed"
            raise Conflict(f"price list {version}", state, "another version") from None
    forget()
    logs.event(logger, "agents.prices.added", version=version, by=by)
    return made


def _check(model: str, price: Any) -> None:
    where = f"prices.{model}"
    if not isinstance(price, Mapping) or not {"input", "output"} <= set(price) <= KINDS:
        raise InvalidInput(
            where, price, f"input and output, and some of {', '.join(sorted(KINDS))}"
        )
    for kind, told in price.items():
        try:
            value = Decimal(told) if isinstance(told, str) else Decimal("NaN")
        except InvalidOperation:
            value = Decimal("NaN")
        most = Decimal(1) if kind == "batch_ratio" else DEAREST_USD
        if not (value.is_finite() and 0 <= value <= most):
            raise InvalidInput(f"{where}.{kind}", told, f'a decimal as text from "0" to "{most}"')
