"""The feedback form as a piece that any page fetches by URL."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from config.access.callers import Caller
from config.errors import AppError, InvalidInput
from config.pages import page
from learning import feedback
from learning.models import Feedback

# What the form offers beside stars, in the order of how often it is wanted.
KINDS = ("correction", "complaint", "suggestion", "praise")


@require_http_methods(["GET", "POST"])
@page("feedback:write")
def piece(request: HttpRequest, caller: Caller, kind: str, subject_id: UUID) -> HttpResponse:
    """``/dashboard/_feedback/{kind}/{id}``: what this person said, and the form to say more."""
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
    context = {
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
    status = fault.http_status if fault else 200
    return render(request, "learning/_feedback.html", context, status=status)


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
        what = Feedback.Kind.CORRECTION if corrected else form.get("kind", "complaint")
        feedback.give(**about, kind=what, text=words, corrected_output=corrected, reason=words)
    if stars:
        feedback.give(**about, kind=Feedback.Kind.RATING, rating=int(stars))
