"""Dates that do not fit: odd days, holidays, year-ends, and numbers out of their sequence.

Source: ISA 240.A45 (entries at period end, at unusual times); ISA 330.A45 (cut-off). Whether a
weekday is odd is read from the ledger around it: some payment runs post on Sundays.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd

from agents.tools.ledger.journal.context import Context, none_of
from agents.tools.ledger.journal.names import surprise
from agents.tools.ledger.journal.sizes import base_rate

# A line within this many days of a year-end may belong to the other side.
CUT_OFF_DAYS = 20
# Fewer numbers of one form are no series.
LEAST_NUMBERS = 200
# A number stands alone when it is this many times further off than the middle one.
LONE_FACTOR = 100.0
# A form of number (its length and beginning) under this share of the lines is rare.
RARE_FORM = 0.002
# What an old number counts in the first days of a ledger.
OLD_SHARE, SETTLED_DAYS = 0.4, 90


def odd_day(context: Context) -> pd.Series:
    """A Saturday or Sunday, by how seldom the ledger posts then and how quiet the day is."""
    lines = context.lines
    weekday = lines["date"].dt.day_of_week
    weekend = weekday >= 5
    per_day = lines.groupby("date")["order"].transform("size")
    table = pd.crosstab(lines["month"], weekday).reindex(columns=range(7), fill_value=0)
    total = table.sum(axis=1).loc[lines["month"]].to_numpy()
    own = np.array([table.at[m, w] for m, w in zip(lines["month"], weekday, strict=True)])
    usual = surprise((own - 1 + 0.3) / (total + 5))
    quiet = surprise(np.minimum(per_day / max(per_day.median(), 1), 1.0))
    return (pd.Series(usual, index=lines.index) + 1.5 * quiet).where(weekend, 0.0)


def bank_holiday(context: Context) -> pd.Series:
    """A posting on a bank holiday of England and Wales."""
    lines = context.lines
    years = lines["date"].dt.year
    days = {d for year in range(years.min(), years.max() + 1) for d in bank_holidays(year)}
    fires = lines["date"].dt.date.isin(days)
    per_day = lines.groupby("date")["order"].transform("size")
    quiet = surprise(np.minimum(per_day / max(per_day.median(), 1), 1.0))
    return (surprise(max(fires.mean(), 1e-4)) + pd.Series(quiet, lines.index)).where(fires, 0.0)


def bank_holidays(year: int) -> set[date]:
    """Bank holidays of England and Wales by rule, and the moved and extra ones of record.

    Source: Banking and Financial Dealings Act 1971, schedule 1, and the proclamations for
    2002, 2011, 2012, 2020, 2022 and 2023.
    """
    easter = _easter(year)
    spring = _last_monday(year, 5)
    moved = {2002: date(2002, 6, 4), 2012: date(2012, 6, 4), 2022: date(2022, 6, 2)}
    extra = {2002: date(2002, 6, 3), 2011: date(2011, 4, 29), 2012: date(2012, 6, 5),
             2022: date(2022, 6, 3), 2023: date(2023, 5, 8)}  # fmt: skip
    early = date(2020, 5, 8) if year == 2020 else _first_monday(year, 5)
    days = {easter - timedelta(2), easter + timedelta(1), early, moved.get(year, spring),
            _last_monday(year, 8)}  # fmt: skip
    new_year = date(year, 1, 1)
    days.add(new_year + timedelta({5: 2, 6: 1}.get(new_year.weekday(), 0)))
    christmas = date(year, 12, 25)
    shift = {4: (0, 3), 5: (2, 3), 6: (2, 1)}.get(christmas.weekday(), (0, 1))
    days |= {christmas + timedelta(shift[0]), christmas + timedelta(shift[1])}
    return days | ({extra[year]} if year in extra else set()) | _funeral(year)


def _funeral(year: int) -> set[date]:
    return {date(2022, 9, 19)} if year == 2022 else set()


def _easter(year: int) -> date:
    """Easter Sunday; source: the anonymous Gregorian computus (Meeus, ch. 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    f = (b + 8) // 25
    h = (19 * a + b - d - (b - f + 1) // 3 + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _first_monday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((7 - first.weekday()) % 7)


def _last_monday(year: int, month: int) -> date:
    last = date(year, month + 1, 1) - timedelta(1)
    return last - timedelta(last.weekday())


def document_sequence(context: Context) -> pd.Series:
    """A document number far from those of its day; most odd when numbered after it was paid."""
    lines = context.lines
    strength = none_of(lines)
    day = (lines["date"] - lines["date"].min()).dt.days.astype(float)
    for number, alone in _number_series(lines):
        known = number[~alone]
        if len(known) < LEAST_NUMBERS:
            continue
        expected = _median_curve(day[known.index].to_numpy(), known.to_numpy())
        lag = day[known.index] - expected(known.to_numpy())  # paid so long after its usual day
        rank = lag.rank(method="max") / len(lag)
        early = surprise(rank).where(lag < 0, 0.0)
        late = 0.6 * surprise((1 + 1 / len(lag) - rank).clip(lower=1 / len(lag)))
        strength[known.index] = np.maximum(early, late.where(lag > 0, 0.0))
    return strength.where(strength > 2.5, 0.0)


def lone_number(context: Context) -> pd.Series:
    """A document number far from every other of its form, or of a form that hardly occurs.

    It is mistyped, or made up; unless the payee's other documents are numbered like that.
    """
    lines = context.lines
    strength = none_of(lines)
    settled = lines["date"].min() + pd.Timedelta(days=SETTLED_DAYS)
    for number, alone in _number_series(lines):
        if len(number) < LEAST_NUMBERS:
            continue
        apart = _apart(number)
        value = np.log(apart / max(float(apart.median()), 1.0))
        # The first months of a ledger still pay documents from before it: the last of a series.
        old = (number < number[~alone].min()) & (lines["date"][number.index] < settled)
        strength[number.index] = value.where(alone, 0.0) * np.where(old, OLD_SHARE, 1.0)
    return np.maximum(strength.clip(lower=0.0), _rare_beginning(lines))


def _rare_beginning(lines: pd.DataFrame) -> pd.Series:
    """Of numbers as long as most are: how odd the first two digits are, for ledger and payee."""
    digits = lines["doc_no"].str.fullmatch(r"\d{4,15}")
    length = lines["doc_no"].str.len().where(digits)
    usual = length.value_counts()
    alike = digits & (length == usual.index[0]) if len(usual) else digits
    if alike.sum() < LEAST_NUMBERS:
        return none_of(lines)
    first = lines["doc_no"].str[:2]
    rare = alike & (first.map(first[alike].value_counts()) < RARE_FORM * len(lines))
    odd = pd.Series(surprise(base_rate(rare, lines)), lines.index)
    return (1.0 + odd).where(rare & (odd > 4.0), 0.0)


def _number_series(lines: pd.DataFrame) -> list[tuple[pd.Series, pd.Series]]:
    """The document numbers of each length and beginning, and which of them stand alone."""
    number = pd.to_numeric(lines["doc_no"].where(lines["doc_no"].str.fullmatch(r"\d{4,15}")))
    number = number.dropna()
    form = lines["doc_no"].str.len().astype(str) + lines["doc_no"].str[:2]
    found = []
    for _, known in number.groupby(form[number.index]):
        apart = _apart(known)
        alone = apart > LONE_FACTOR * max(float(apart.median()), 1.0)
        # A ledger in which one number in ten stands alone has no series to be alone from.
        found.append((known, alone & (alone.mean() < 0.1)))
    return found


def _apart(number: pd.Series) -> pd.Series:
    """How far a number is from its fifth nearest other number (lines of a document count once)."""
    distinct = np.unique(number.to_numpy(dtype=float))
    reach = min(5, len(distinct) - 1)
    if reach < 1:
        return pd.Series(0.0, number.index)
    below = distinct - np.roll(distinct, reach)
    above = np.roll(distinct, -reach) - distinct
    # At the ends of the series one side is all there is.
    below[:reach], above[-reach:] = np.inf, np.inf
    nearest = pd.Series(np.minimum(below, above), index=distinct)
    return pd.Series(number.map(nearest), number.index)


def _median_curve(day: np.ndarray, number: np.ndarray):
    """The usual day of a document number: medians of equal-count bins, joined by lines."""
    ordered = np.argsort(number, kind="stable")
    bins = np.array_split(ordered, max(len(number) // 60, 2))
    at = np.array([np.median(number[part]) for part in bins])
    usual = np.maximum.accumulate(np.array([np.median(day[part]) for part in bins]))
    # A number issued before the ledger starts, or to be paid after it ends, has no usual day: the
    # curve goes on at the ledger's pace instead of standing still at its edges.
    pace = (usual[-1] - usual[0]) / max(at[-1] - at[0], 1.0)

    def expected(value: np.ndarray) -> np.ndarray:
        beyond = np.minimum(value - at[0], 0.0) + np.maximum(value - at[-1], 0.0)
        return np.interp(value, at, usual) + pace * beyond

    return expected


def other_period(context: Context) -> pd.Series:
    """A date outside the days that the line's source report otherwise covers."""
    lines = context.lines
    strength = none_of(lines)
    if not lines["source_file"].str.len().any():
        return strength
    group = lines.groupby("source_file")["date"]
    size = group.transform("size")
    before, after = group.rank(method="max"), group.rank(method="max", ascending=False)
    beyond = np.minimum(before, after)  # lines of the report dated this far out or further
    middle = group.transform("median")
    reach = (lines["date"] - middle).dt.days.abs()
    usual = reach.groupby(lines["source_file"]).transform(lambda days: days.quantile(0.9))
    fires = (beyond <= np.maximum(3, 0.01 * size)) & (reach > usual) & (size >= 20)
    named = lines["source_file"].str.len() > 0
    elsewhere = _others_that_day(lines)
    value = surprise(beyond / size) + surprise(elsewhere)
    return pd.Series(value, lines.index).where(fires & named & (elsewhere < 0.5), 0.0)


def _others_that_day(lines: pd.DataFrame) -> pd.Series:
    """Share of a day's lines that come from the line's own report."""
    own = lines.groupby(["date", "source_file"])["order"].transform("size")
    return own / lines.groupby("date")["order"].transform("size")


def cut_off(context: Context) -> pd.Series:
    """Near a year-end, with a document number or report of the other side."""
    lines = context.lines
    distance = _days_to_year_end(context)
    window = distance <= CUT_OFF_DAYS
    early = document_sequence(context)
    evidence = np.maximum(early, other_period(context))
    value = evidence + 1.5 * (1 - distance / CUT_OFF_DAYS)
    return pd.Series(value, lines.index).where(window & (evidence > 3.0), 0.0)


def _days_to_year_end(context: Context) -> pd.Series:
    lines, period = context.lines, context.book.period
    ends = {(period.start - timedelta(1)), period.end}
    years = lines["date"].dt.year
    for year in range(years.min() - 1, years.max() + 1):
        ends |= {date(year, 3, 31), date(year, 12, 31)}
    gaps = [(lines["date"] - pd.Timestamp(end)).dt.days.abs() for end in ends]
    return pd.concat(gaps, axis=1).min(axis=1).astype(float)


def line_sequence(context: Context) -> pd.Series:
    """A line numbered among lines of quite another date, or outside the numbering's form.

    In a ledger whose numbers follow its dates, such a line was entered late or back-dated.
    """
    lines = context.lines
    strength = none_of(lines)
    if len(lines) < 200:
        return strength
    form = lines["line_id"].str.replace(r"\d", "9", regex=True)
    share = form.map(form.value_counts()) / len(lines)
    if share.max() > 0.9:
        strength = pd.Series(surprise(share), lines.index).where(share < 0.05, 0.0)
    number = pd.to_numeric(lines["line_id"].map(_trailing_number), errors="coerce")
    known = number.dropna().index
    apart = _displacement(lines.loc[known, "date"], number[known])
    usual = float(apart.quantile(0.9))
    # 30 lines is a day's posting; a ledger where one line in ten strays has no sequence.
    fires = apart > 2 * usual + 30
    if usual < 0.05 * len(lines) and fires.mean() < 0.05:
        strength[known] += np.where(fires, 2.0 + np.log1p(apart / (usual + 30)), 0.0)
    return strength


def _displacement(day: pd.Series, number: pd.Series) -> pd.Series:
    """How many lines away each number lies from the numbers of its day."""
    place = number.rank(method="first")
    low, high = day.rank(method="min"), day.rank(method="max")
    return np.maximum(low - place, place - high).clip(lower=0)


def _trailing_number(line_id: str) -> str | None:
    found = re.search(r"(\d{1,15})$", line_id)
    return found[1] if found else None
