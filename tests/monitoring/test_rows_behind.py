"""Every figure of every page leads to rows, and is what these rows come to."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from urllib.parse import urljoin

import pytest
from django.test import Client as Browser
from django.utils import timezone

from agents.models import Conversation, Invocation
from config import readable
from config.access.models import Client
from monitoring import queries
from monitoring.addresses import rows_behind
from monitoring.models import Alert, Board, Incident
from tests.monitoring.figures_of import Figure, Read, read
from tests.monitoring.filled import ONE, filled
from tests.workflows.conftest import begin, broker, caller, finished, firm

__all__ = ["begin", "broker", "caller", "filled", "finished", "firm"]
pytestmark = pytest.mark.django_db(transaction=True)
Rows = list[dict[str, str]]


def pages() -> list[str]:
    incident, alert = Incident.objects.latest("id"), Alert.objects.latest("id")
    by = ("agent", "version", "domain", "user", "client", "workflow", "experiment", "model",
          "endpoint", "learning")  # fmt: skip
    return [
        "/dashboard?range=7d", "/dashboard/agents", f"/dashboard/agents/{ONE}",
        "/dashboard/domains", "/dashboard/domains/audit", "/dashboard/workflows",
        "/dashboard/workflows/two", "/dashboard/workflows/fails?range=24h",
        "/dashboard/workflows/worked",
        *(f"/dashboard/costs?by={name}&range=7d" for name in by), "/dashboard/conversations",
        "/dashboard/objectives", "/dashboard/incidents", f"/dashboard/incidents/{incident.pk}",
        f"/dashboard/alerts/{alert.pk}", "/dashboard/security", "/dashboard/learning",
        f"/dashboard/sla/{timezone.now():%Y-%m}",
        f"/dashboard/boards/{Board.objects.get().pk}",
    ]  # fmt: skip


class Site:
    """Reads each address once."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._kept: dict[str, str] = {}
        self._lists: set[str] = set()

    def html(self, address: str) -> str:
        address = address.partition("#")[0]
        if address not in self._kept:
            answer = self.browser.get(address)
            assert answer.status_code == 200, (address, answer.status_code)
            self._kept[address] = answer.getvalue().decode()
        return self._kept[address]

    def whole(self, address: str) -> Read:
        """A page with the pieces that it fetches."""
        found = read(self.html(address))
        for piece in found.pieces:
            inner = read(self.html(piece))
            found.figures.extend(inner.figures)
        return found

    def rows(self, address: str) -> Rows | None:
        """The rows of the list that an address leads to; None if it is no such list."""
        kind = address.partition("?")[0]
        if kind in self._lists:  # once it is seen that the page leads to the file, it is the file
            file = self.html(address.replace(kind, f"{kind}.csv"))
            return list(csv.DictReader(io.StringIO(file)))
        html = self.html(address)
        if f'href="{kind}.csv?' in html:
            self._lists.add(kind)
            return self.rows(address)
        if "/dashboard/conversations" in address:
            found = [read(self.html(p)) for p in read(html).pieces if "_talks" in p]
            return [
                {"turns": one.said, "quality": one.beside["Quality"].exact}
                for one in found[0].figures if one.label == "Turns"
            ]  # fmt: skip
        if "/dashboard/security" in address:
            table = html[html.index('id="events"') :]
            return [{}] * (table.count("<tr>") - 1 if "<tbody>" in table else 0)
        return None


def total(column: str, rows: Rows) -> float:
    return sum(float(row[column] or 0) for row in rows)


def tokens(rows: Rows) -> float:
    kinds = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
    return sum(total(kind, rows) for kind in kinds)


def number(text: str) -> float:
    """The first number of an exact figure: "10 of 40", "0.4 USD", "1,200"."""
    found = re.search(r"-?[\d,]*\.?\d+(?:e-?\d+)?", text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


def at_percentile(q: float, column: str, figure: Figure, rows: Rows) -> None:
    """Within the sketch's 1 % of the two rows between which the percentile lies.

    The list of runs says milliseconds: half of one is its own error.
    """
    values = sorted(float(row[column]) for row in rows if row[column])
    place, own = q * (len(values) - 1), 0.0005 if "steps" in rows[0] else 1e-6
    low = values[math.floor(place)] * 0.99 - own
    high = values[math.ceil(place)] * 1.01 + own
    if figure.exact:
        assert low <= number(figure.exact) <= high, (low, high)
    else:
        zero = {readable.duration(0.0)} if low <= 0 else set()
        low = max(low, 1e-6)
        steps = 2 + int(math.log(high / low) / 4e-4)  # finer than three digits can tell apart
        said = {readable.duration(low * (high / low) ** (n / steps)) for n in range(steps + 1)}
        assert figure.said in said | zero, (low, high)


def comes_to(of: Callable[[Rows], float], figure: Figure, rows: Rows) -> None:
    assert number(figure.exact or figure.said) == pytest.approx(of(rows), rel=1e-4, abs=1e-9)


def share_of(head: str, figure: Figure, rows: Rows) -> None:
    """A percentage of another figure of the same row."""
    whole = number(figure.beside[head].exact or figure.beside[head].said)
    assert figure.said == readable.percent(len(rows) / whole)


count = partial(comes_to, len)
paid = partial(comes_to, partial(total, "cost_usd"))
saved = partial(comes_to, partial(total, "saved_usd"))
lasted = "duration_seconds"


def counted_or_shared(figure: Figure, rows: Rows) -> None:
    """A figure of the top ("1 of 40" on hover), or a column beside the calls."""
    if "Calls" in figure.beside:
        share_of("Calls", figure, rows)
    else:
        count(figure, rows)


def succeeded(figure: Figure, rows: Rows) -> None:
    runs = number(figure.beside["Runs"].said)
    assert figure.said == readable.percent(1 - len(rows) / runs)


def mean_turns(figure: Figure, rows: Rows) -> None:
    assert figure.said == readable.significant(sum(int(row["turns"]) for row in rows) / len(rows))


def of_talks(figure: Figure, rows: Rows) -> None:
    if figure.beside:
        share_of("Begun", figure, rows)
    else:
        count(figure, rows)


def mean_of(column: str, say: Callable[[float], str], figure: Figure, rows: Rows) -> None:
    mean = total(column, rows) / len(rows)
    if figure.exact:
        assert number(figure.exact) == pytest.approx(mean, rel=1e-4)
    else:
        assert figure.said == say(mean)


def of_calls(figure: Figure, rows: Rows) -> None:
    """A share of calls, with both numbers on hover: only the first is of these rows."""
    count(figure, rows)


def again(figure: Figure, rows: Rows) -> None:
    """Results that were done again: "3 of 40"; one row may stand for several."""
    comes_to(partial(total, "times"), figure, rows)


def by_itself(figure: Figure, rows: Rows) -> None:
    mean_of("automated_ratio", readable.percent, figure, [r for r in rows if r["automated_ratio"]])


def tries(figure: Figure, rows: Rows) -> None:
    comes_to(lambda some: total("attempts", some) - len(some), figure, rows)


CHECKS: dict[str, Callable[[Figure, Rows], None]] = {
    "Calls": count, "Errors": counted_or_shared, "From the cache": count, "Runs ended": count,
    "Runs": count, "Failed": count, "Failed calls": count, "Failed runs": count,
    "Latency p50": partial(at_percentile, 0.5, lasted),
    "Latency p95": partial(at_percentile, 0.95, lasted),
    "Duration p50": partial(at_percentile, 0.5, lasted),
    "Duration p95": partial(at_percentile, 0.95, lasted),
    "p50": partial(at_percentile, 0.5, lasted), "p95": partial(at_percentile, 0.95, lasted),
    "In models, p95": partial(at_percentile, 0.95, "waited_seconds"),
    "First token, p95": partial(at_percentile, 0.95, "first_token_seconds"),
    "Cost": paid, "Spent": paid, "Money": paid, "This month so far": paid,
    "Saved by the cache": saved, "Tokens": partial(comes_to, tokens),
    "A call": lambda figure, rows: comes_to(
        lambda some: total("cost_usd", some) / len(some), figure, rows),
    "Users touched": partial(comes_to, lambda rows: len({row["user_id"] for row in rows})),
    "Succeeded": succeeded, "Begun": count, "Turns": mean_turns, "Handed over": of_talks,
    "Accuracy": partial(mean_of, "value", readable.percent), "With feedback": of_calls,
    "Satisfaction": partial(mean_of, "rating", lambda value: f"{value:.2f} of 5"),
    "Feedback given": count, "Feedback, 30 days": count, "Times": count,
    "Mean rating": partial(mean_of, "rating", lambda value: f"{value:.2f}"),
    "Abandoned": count, "Done again": again, "Approvals given": count,
    "Wait for a worker, p95": partial(at_percentile, 0.95, "waited_seconds"),
    "Wait, p95": partial(at_percentile, 0.95, "waited_seconds"),
    "Steps tried again": tries, "Without a hand": by_itself,
    "Quality": partial(mean_of, "quality", readable.percent), "Handed to a person": count,
    "Injections": count, "Denied access": count, "Personal data": count, "Secrets": count,
    "Key misuse": count, "Unusual behaviour": count, "Audit log broken": count,
    "Events": count, "Grave": count, "Observed": count,
}  # fmt: skip
# What is true of rows without being a count of them, or whose rows stand on the page it leads to.
LEADS_ON = {
    "Throughput", "Concurrency", "Improvements deployed", "Cost of learning", "To its end",
    "Saved", "Learning", "Now", "Alerts", "Value", "Kinds", "Days missed", "USD",
    "Reached", "Budget left", "Error budget left",
}  # fmt: skip


# Of these tables each line is one of the rows.
LISTS = {"When", "Created", "Opened", "Last heard"}
# Neither counts nor sums: positions, limits, names, parts of another figure of the line.
NO_FIGURES = {"", "Version", "Share", "Course", "Target", "Compare", "Steps", "Last", "Rule",
              "Compared with", "Asked"}  # fmt: skip


def told(site: Site, page: str) -> list[Figure]:
    """The figures of a page that say something."""
    return [
        one for one in site.whole(page).figures
        if one.said not in ("–", "0", "", "none") and not LISTS & one.beside.keys()
        and one.label not in NO_FIGURES and "limit" not in one.label  # how fast a budget burns
    ]  # fmt: skip


def fault_of(site: Site, page: str, figure: Figure) -> str:
    """What is wrong with a figure; empty if it is what the rows come to that it leads to."""
    check = CHECKS.get(figure.label)
    if check is None and figure.label not in LEADS_ON:
        return "nobody says how to check it"
    if not figure.href:
        return "leads nowhere"
    rows = site.rows(urljoin(page, figure.href))
    if check is None or (figure.label == "Observed" and "/invocations" not in figure.href):
        return ""
    if rows is None:
        return "leads to no rows"
    try:
        check(figure, rows)
    except (AssertionError, LookupError, ValueError) as fault:
        return f"{len(rows)} rows: {fault!s:.200}"
    return ""


def test_every_figure_leads_to_rows_and_is_what_they_come_to(filled: Browser) -> None:
    site, met = Site(filled), set()
    faults = []
    for page in pages():
        for figure in told(site, page):
            met.add(figure.label)
            if fault := fault_of(site, page, figure):
                faults.append(f"{page}: {figure.label} {figure.said!r} ({figure.exact}) -> "
                              f"{figure.href}: {fault}")  # fmt: skip
    panel = site.html(f"/dashboard/_panel?scope=agent&key={ONE}&range=7d")
    failed = re.search(r'href="([^"]*code=timeout[^"]*)" title="(\d+)">timeout', panel)
    assert failed is not None and site.rows(failed[1].replace("&amp;", "&")) is not None
    assert len(site.rows(failed[1].replace("&amp;", "&")) or []) == int(failed[2]) > 0
    assert not faults, "\n" + "\n".join(sorted(set(faults)))
    assert met >= CHECKS.keys() - {"Failed runs"}, "a figure has gone from its page"


def test_figures_by_channel_and_by_budget_lead_to_their_rows_and_no_others(
    filled: Browser, firm: Client
) -> None:
    site, now = Site(filled), timezone.now()
    channel = Conversation.objects.latest("id").channel
    rows = site.rows(rows_behind("conversation_turns", "channel", channel, range="7d")) or []
    week = {"since": now - timedelta(days=7), "until": now + timedelta(minutes=1)}
    asked = queries.total("conversation_turns", scope="channel", key=channel, **week)
    assert sum(int(row["turns"]) for row in rows) == asked.total > len(rows)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    paid = [one for one in Invocation.objects.filter(client_id=firm.pk)
            if one.started_at + timedelta(seconds=one.duration_seconds) >= month]  # fmt: skip
    since = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    address = rows_behind("budget_used_ratio", "budget", f"client:{firm.pk}:month", since=since)
    rows = site.rows(address) or []
    assert {row["id"] for row in rows} == {str(one.pk) for one in paid}
    whole = rows_behind("budget_used_ratio", "budget", "all:all:total", since=since)
    assert len(site.rows(whole) or []) == Invocation.objects.count()
    # No list of calls can be narrowed by a queue: all of them would be a wrong answer.
    assert rows_behind("queue_depth", "queue", "high", range="7d") == ""
