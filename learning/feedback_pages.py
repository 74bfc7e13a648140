"""The feedback form as a piece that any page fetches by URL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from config.access.callers import Caller
from config.errors import AppError, InvalidInput
from config.pages import page
from learning import feedback, inviting
from learning.models import Feedback

# What the form offers beside stars; what holds a corrected answer is a correction in any case.
KINDS = ("complaint", "suggestion", "praise", "correction")
# From so many stars on, words that nobody gave a kind are praise: a complaint takes versions back.
PRAISE_FROM = 4


@require_http_methods(["GET", "POST"])
@page("feedback:write")
def piece(request: HttpRequest, caller: Caller, kind: str, subject_id: UUID) -> HttpResponse:
    """``/dashboard/_feedback/{kind}/{id}``: what this person said, and the form to say more."""
    action = f"/dashboard/_feedback/{kind}/{subject_id}"
    context = _answered(request, caller, kind, subject_id, action)
    return render(request, "learning/_feedback.html", context, status=context["status"])


@require_http_methods(["GET", "POST"])
@login_not_required
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """``/feedback/{token}``: the same form for whom the link was mailed to, without signing in.

    Opening it stores nothing, because mail programs open links by themselves.
    """
    try:
        row, caller = inviting.opened(token)
        caller.require("feedback:write", "give feedback")
        if request.method == "POST" and request.POST.get("decline"):
            inviting.decline(row)
            return _private(render(request, "learning/by_link.html", {"declined": True}))
        context = _answered(request, caller, row.subject_kind, row.subject_id, request.path)
    except AppError as error:
        context = {"gone": error}
        return render(request, "learning/by_link.html", context, status=error.http_status)
    if context["sent"]:
        inviting.answered(row)
    # Over somebody's shoulder or in a shared inbox: what was said before is not shown.
    context |= {
        "said": [],
        "others": 0,
        "rating": None,
        "about": inviting.about(row),
        "by_itself": row.asked_by == inviting.ITSELF,
    }
    return _private(render(request, "learning/by_link.html", context, status=context["status"]))


def _private(response: HttpResponse) -> HttpResponse:
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    return response


def _answered(
    request: HttpRequest, caller: Caller, kind: str, subject_id: UUID, action: str
) -> dict[str, Any]:
    """What the form shows, after what was sent with it is stored."""
    feedback.subject(caller, kind, subject_id)
    fault: AppError | None = None
    if request.method == "POST":
        try:
            _take(request, caller, kind, subject_id)
        except AppError as error:
            fault = error
    said = feedback.visible(caller).filter(
        subject_kind=kind, subject_id=subject_id, superseded_at=None
    )
    own = {row.kind: row for row in said if row.author_key == caller.principal}
    rating = own.get(Feedback.Kind.RATING)
    return {
        "action": action,
        "status": fault.http_status if fault else 200,
        "kind": kind,
        "subject_id": subject_id,
        "rating": rating.rating if rating else None,
        "said": [row for row in said if row.author_key == caller.principal],
        "others": sum(row.author_key != caller.principal for row in said),
        "kinds": KINDS,
        "stars": range(1, 6),
        "fault": fault,
        "sent": request.method == "POST" and fault is None,
        "posted": request.POST if fault else {},
    }


def _take(request: HttpRequest, caller: Caller, kind: str, subject_id: UUID) -> None:
    """Store what the form holds: the stars and the words are two pieces of feedback."""
    form = request.POST
    stars, words = form.get("rating", ""), form.get("text", "").strip()
    corrected = form.get("corrected_output", "").strip()
    if stars and not (stars.isdigit() and 1 <= int(stars) <= 5):
        raise InvalidInput("rating", stars, "from 1 to 5")
    if not (stars or words or corrected):
        raise InvalidInput("text", words, "stars, words or a corrected answer")
    about: dict[str, Any] = {"caller": caller, "subject_kind": kind, "subject_id": subject_id}
    if words or corrected:
        by_stars = "praise" if stars and int(stars) >= PRAISE_FROM else "complaint"
        what = Feedback.Kind.CORRECTION if corrected else form.get("kind") or by_stars
        feedback.give(**about, kind=what, text=words, corrected_output=corrected, reason=words)
    if stars:
        feedback.give(**about, kind=Feedback.Kind.RATING, rating=int(stars))
