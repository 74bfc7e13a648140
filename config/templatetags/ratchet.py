"""Tags of every page: readable numbers and times, states with icon and word, icons."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString, mark_safe

from config import readable

register = template.Library()


def _or_dash(say: Callable[[Any], str]) -> Callable[[Any], str]:
    """Templates hand over an empty text where there is nothing to look at."""
    return lambda value: say(None if value == "" else value)


register.filter("seconds", _or_dash(readable.duration))
register.filter("usd", _or_dash(readable.money))
register.filter("number", _or_dash(readable.count))
register.filter("percent", _or_dash(readable.percent))
register.filter("p_value", _or_dash(readable.p_value))
register.filter("bytes", _or_dash(readable.size))

# state → (tone, icon, word). Tones are good, attention, bad, info and quiet.
STATES: dict[str, tuple[str, str, str]] = {
    "pending": ("quiet", "circle", "Not started"),
    "queued": ("info", "clock", "Queued"),
    "running": ("info", "play", "Running"),
    "waiting": ("attention", "hand", "Waiting"),
    "paused": ("attention", "pause", "Paused"),
    "cancelling": ("attention", "stop", "Cancelling"),
    "failing": ("bad", "cross", "Failing"),
    "succeeded": ("good", "check", "Succeeded"),
    "approved": ("good", "check", "Approved"),
    "rejected": ("bad", "cross", "Rejected"),
    "expired": ("attention", "clock", "Expired"),
    "withdrawn": ("quiet", "stop", "Withdrawn"),
    "failed": ("bad", "cross", "Failed"),
    "retried": ("attention", "retry", "Tried again"),
    "skipped": ("quiet", "skip", "Skipped"),
    "unreachable": ("quiet", "skip", "Not reached"),
    "cancelled": ("quiet", "stop", "Cancelled"),
    "dead": ("bad", "alert", "Needs a person"),
    "abandoned": ("attention", "stop", "Not waited for"),
    "started": ("good", "check", "Started"),
    "due": ("info", "clock", "Due"),
    "missed": ("attention", "clock", "Missed"),
    "overlapped": ("quiet", "skip", "Left out"),
    "refused": ("bad", "cross", "Refused"),
    "dismissed": ("quiet", "stop", "Dismissed"),
    "lost": ("attention", "alert", "Worker lost"),
    "fallback": ("attention", "retry", "Fallback"),
    "blocked": ("bad", "shield", "Blocked"),
    "active": ("good", "check", "Active"),
    "retired": ("quiet", "stop", "Retired"),
    "met": ("good", "check", "Met"),
    "no_data": ("quiet", "circle", "No data"),
    "firing": ("bad", "alert", "Firing"),
    "resolved": ("good", "check", "Resolved"),
    "open": ("bad", "alert", "Open"),
    "acknowledged": ("attention", "hand", "Acknowledged"),
    "merged": ("quiet", "fork", "Merged"),
    "healthy": ("good", "check", "Healthy"),
    "critical": ("bad", "alert", "Critical"),
    "high": ("bad", "alert", "High"),
    "medium": ("attention", "alert", "Medium"),
    "low": ("info", "circle", "Low"),
    "handed_over": ("attention", "hand", "With a person"),
    "closed": ("quiet", "check", "Closed"),
    "talking": ("info", "play", "Open"),
    "idle": ("quiet", "circle", "Not called"),
    "draft": ("quiet", "circle", "Draft"),
    "stopped": ("quiet", "stop", "Stopped"),
    "concluded": ("good", "check", "Concluded"),
    "done": ("good", "check", "Done"),
    "rolled_back": ("bad", "retry", "Went back"),
    "proposed": ("attention", "hand", "To be decided"),
    "testing": ("info", "play", "In an experiment"),
    "rolling_out": ("info", "play", "Rolling out"),
    "shipped": ("good", "check", "Shipped"),
    "better": ("good", "check", "Better"),
    "worse": ("bad", "cross", "Worse"),
    "unclear": ("quiet", "circle", "No difference shown"),
    "not_measured": ("quiet", "circle", "Not measured yet"),
    "unreadable": ("attention", "alert", "Can't be read"),
    "holds": ("good", "shield", "Holds"),
    "not_shown": ("quiet", "clock", "Not yet shown"),
    "breached": ("bad", "alert", "Breached"),
}


def tone_of(state: str) -> str:
    return STATES.get(state, ("quiet", "circle", state))[0]


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A symbol of the page's own sprite; decoration, so hidden from readers."""
    return format_html('<svg class="i {}" aria-hidden="true"><use href="#i-{}"/></svg>', css, name)


@register.simple_tag
def state(value: str, word: str = "") -> SafeString:
    """A state as icon and word in its tone."""
    tone, symbol, plain = STATES.get(value, ("quiet", "circle", value.replace("_", " ")))
    return format_html('<span class="state is-{}">{}{}</span>', tone, icon(symbol), word or plain)


@register.filter
def tone(value: str) -> str:
    return tone_of(value)


@register.filter
def state_icon(value: str) -> str:
    return STATES.get(value, ("quiet", "circle", value))[1]


@register.filter
def state_word(value: str) -> str:
    return STATES.get(value, ("quiet", "circle", value.replace("_", " ")))[2]


@register.simple_tag
def when(moment: datetime | None) -> SafeString:
    """A time as it is said; the script of the page puts the reader's zone into its title."""
    if moment is None:
        return format_html("<span>{}</span>", "–")
    iso = moment.isoformat(timespec="seconds")
    said = readable.ago(moment, timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, iso, said)


@register.simple_tag
def ident(value: object) -> SafeString:
    """A short id with a button that copies the whole."""
    text = str(value or "")
    return format_html(
        '<span class="ident"><code title="{0}">{1}</code><button type="button" class="copy" '
        'data-copy="{0}" aria-label="Copy id {1}">{2}</button></span>',
        text, text[-8:], icon("copy"),
    )  # fmt: skip


@register.simple_tag
def exact(value: object, said: str, unit: str = "") -> SafeString:
    """A rounded number with the exact one on hover."""
    return format_html('<span class="num" title="{} {}">{}</span>', value, unit, said)


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: object) -> str:
    """The page's query string with ``changes``; an empty value takes a key out."""
    request: HttpRequest = context["request"]
    kept = {k: v for k, v in request.GET.items() if v and k not in changes}
    kept |= {k: str(v) for k, v in changes.items() if v not in (None, "")}
    return "?" + urlencode(kept)


@register.filter
def pretty(value: object) -> str:
    """JSON for reading; a plain text stays as it is."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)


@register.filter
def signed(value: float) -> str:
    """``+8.35``, ``−2.98``: a difference with its sign, three significant digits."""
    return readable.signed(value)


_ACRONYMS = {
    "id": "ID", "ids": "IDs", "gbp": "GBP", "usd": "USD", "eur": "EUR", "chf": "CHF", "vat": "VAT",
    "uk": "UK", "eu": "EU", "iban": "IBAN", "url": "URL", "api": "API", "csv": "CSV", "pdf": "PDF",
    "json": "JSON", "sla": "SLA", "isa": "ISA", "ifrs": "IFRS",
}  # fmt: skip


@register.filter
def label(value: str) -> str:
    """``exception_count`` as ``Exception count``, ``amount_gbp`` as ``Amount GBP``."""
    words = str(value).replace("_", " ").replace(".", " · ").strip().capitalize().split(" ")
    return " ".join(_ACRONYMS.get(word.lower(), word) for word in words)


@register.filter
def item(mapping: Mapping[Any, Any] | None, key: object) -> Any:
    return (mapping or {}).get(key)


@register.filter
def prose(value: object) -> SafeString:
    """Paragraphs and lists of a plain text, as agents write them; nothing else is markup."""
    blocks: list[tuple[str, list[str]]] = []
    for line in str("" if value is None else value).splitlines():
        text = line.strip()
        is_item = text.startswith(("- ", "* ", "• "))
        kind = "ul" if is_item else "p"
        if not text:
            blocks.append(("", []))
        elif blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(text[2:] if is_item else text)
        else:
            blocks.append((kind, [text[2:] if is_item else text]))
    return format_html_join("", "{}", ((_block(kind, lines),) for kind, lines in blocks if kind))


def _block(kind: str, lines: list[str]) -> SafeString:
    if kind == "ul":
        return format_html(
            "<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((x,) for x in lines))
        )
    return format_html(
        "<p>{}</p>", format_html_join(mark_safe("<br>"), "{}", ((x,) for x in lines))
    )


@register.filter
def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@register.filter
def amount(value: float) -> str:
    """A figure from a ledger: whole numbers whole, others with two decimals, never rounded more."""
    number = float(value)
    if number.is_integer():
        return f"{number:,.0f}"
    return f"{number:,.2f}" if abs(number) >= 100 else f"{number:,.4g}"


@register.filter
def words(text: str) -> list[str]:
    return text.split()


@register.filter
def last8(value: object) -> str:
    return str(value)[-8:]


SPARK_WIDTH, SPARK_HEIGHT = 88.0, 20.0
# Room around it, so that a dot at its end is whole.
SPARK_EDGE = 2.0


@register.simple_tag
def spark(values: Sequence[float | None], said: str = "") -> SafeString:
    """A small line of a row's own numbers, from zero; a gap where nothing was measured."""
    known = [value for value in values if value is not None]
    if not any(known):
        return mark_safe('<span class="quiet">–</span>')
    top, step = max(known), (SPARK_WIDTH - 2 * SPARK_EDGE) / max(len(values) - 1, 1)
    path = dots = ""
    for place, value in enumerate(values):
        if value is None:
            continue
        y = SPARK_HEIGHT - SPARK_EDGE - (SPARK_HEIGHT - 2 * SPARK_EDGE) * max(value, 0.0) / top
        at = f"{SPARK_EDGE + place * step:.1f} {y:.1f}"
        is_first = place == 0 or values[place - 1] is None
        is_last = place + 1 == len(values) or values[place + 1] is None
        if is_first and is_last:  # between two gaps: a line of no length with round ends
            dots += f"M{at}h0"
        else:
            path += f"{'M' if is_first else 'L'}{at}"
    return format_html(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<path d="{}"/><path class="dot" d="{}"/></svg>',
        f"{SPARK_WIDTH:.0f}", f"{SPARK_HEIGHT:.0f}", said or "its course", path, dots,
    )  # fmt: skip


@register.inclusion_tag("parts/plot.html")
def plot(doc: Mapping[str, Any], csv: str = "") -> dict[str, Any]:
    """A plot, drawn by plots.js from the document; it can be read as a table too."""
    marked = len(doc.get("marks", ()))
    said = f"{doc['title']}: {len(doc['x'])} points" + (f", {marked} marks" if marked else "")
    return {"doc": doc, "csv": csv, "said": said, "script": json_script(doc)}
