"""Price lists of one's own: added, dated, and never changed once they are there."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from agents.domain.cost import ANY_MODEL
from agents.endpoints.directory import forget
from agents.models import PriceList
from config import logs
from config.errors import Conflict, InvalidInput

logger = logging.getLogger(__name__)
KINDS = frozenset({"input", "cached", "output", "reasoning", "training", "batch_ratio"})
# USD for a million tokens; more is a slip of the pen.
DEAREST_USD = Decimal(100_000)
_WRITTEN = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?")
# A day further away is a slip of the pen, too.
FURTHEST = timedelta(days=400)


def add(
    *, version: str, valid_from: date, prices: Mapping[str, Any], source: str = "", by: str = ""
) -> PriceList:
    """A new list: ``prices`` of these models, and of all others as in the list before it.

    "Before" is by day and version. Lists that are announced for later are no obstacle: they stay as
    they are. Raises InvalidInput for a price that is none, or a day before the list in force or too
    far ahead; Conflict for a version that there is.
    """
    for model, price in prices.items():
        _check(model, price)
    today = timezone.now().date()
    if valid_from > today + FURTHEST:
        limit = f"at most {FURTHEST.days} days ahead"
        raise InvalidInput("valid_from", str(valid_from), limit)
    with transaction.atomic():
        lists = PriceList.objects.select_for_update().order_by("-valid_from", "-version")
        known = [one for one in lists if (one.valid_from, one.version) <= (valid_from, version)]
        before = known[0] if known else None
        now = next((one for one in lists if one.valid_from <= today), None)
        if now is not None and now not in known:
            latest = f"{now.valid_from}, {now.version}"
            limit = f"a day and version after those of the list in force ({latest})"
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
        is_written = isinstance(told, str) and _WRITTEN.fullmatch(told)
        most = Decimal(1) if kind == "batch_ratio" else DEAREST_USD
        if not is_written or Decimal(told) > most:
            raise InvalidInput(f"{where}.{kind}", told, f'a decimal as text from "0" to "{most}"')
