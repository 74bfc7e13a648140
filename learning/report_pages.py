"""The page of a cycle's written report."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET
from markdown import Markdown

from config.access.callers import Caller
from config.pages import page
from learning import cycles
from learning.models import Cycle

# Other cycles that the page leads on to.
MOST_OTHERS = 12


@require_GET
@page("learning:read")
def report(request: HttpRequest, caller: Caller, cycle_id: UUID) -> HttpResponse:
    """``/dashboard/learning/reports/{id}``: what a cycle saw, proposed, tried, and its cost."""
    row = cycles.find(caller, cycle_id)
    steps = row.steps.all()
    return render(
        request,
        "learning/report.html",
        {
            "row": row, "said": first_sentence(row.report), "done": len(steps),
            "body": as_html(row.report.replace(first_sentence(row.report), "", 1)),
            "failed": sum(step.error is not None for step in steps),
            "others": Cycle.objects.exclude(pk=row.pk).order_by("-tick", "cadence")[:MOST_OTHERS],
        },
    )  # fmt: skip


def first_sentence(report: str) -> str:
    """What a report says first, beneath its title."""
    lines = [line.strip() for line in report.splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), "")


def as_html(report: str) -> SafeString:
    """A report's Markdown as HTML without its title; what would be HTML or a link stays text."""
    parser = Markdown(extensions=["sane_lists"], output_format="html")
    parser.preprocessors.deregister("html_block")
    for pattern in ("html", "link", "image_link", "reference", "image_reference", "autolink"):
        parser.inlinePatterns.deregister(pattern)
    lines = report.split("\n")
    body = "\n".join(lines[1:] if lines[0].startswith("# ") else lines)
    return mark_safe(parser.convert(body))  # noqa: S308 (neither HTML nor links get through)
