"""What every page shares: who is looking, and how an error is said."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render

from config import logs
from config.access import callers
from config.access.callers import Caller
from config.errors import AppError
from config.outages import outage_of
from config.rest import PROBLEM

logger = logging.getLogger(__name__)
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
Page = Callable[Concatenate[HttpRequest, Caller, P], HttpResponseBase]

# Title and what to do next, by the error's HTTP status.
_WORDS = {
    400: ("That request makes no sense", "Go back and try again."),
    403: ("You may not open this", "Ask an administrator for the right named above."),
    404: ("There is nothing here", "It may belong to a client that you can't see, or be gone."),
    409: ("That can't be done now", "Go back and look at its present state."),
    422: ("Something in that is not right", "Go back, correct it and send it again."),
    500: ("Something broke on our side", "It has been logged. Try again in a moment."),
    503: ("Something this needs is away", "Try again in a moment."),
}


def page(scope: str) -> Callable[[Page[P]], View[P]]:
    """A page for callers with ``scope``: the view gets the caller, an AppError becomes a page."""

    def wrap(view: Page[P]) -> View[P]:
        @wraps(view)
        def answer(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                caller = callers.of_user(request.user)  # type: ignore[arg-type]
                request.caller = caller  # type: ignore[attr-defined]  # for the navigation
                caller.require(scope, "open this page")
                return view(request, caller, *args, **kwargs)
            except AppError as error:
                return problem(request, error.http_status, str(error), error.code)

        return answer

    return wrap


def problem(request: HttpRequest, status: int, detail: str, code: str) -> HttpResponse:
    """An error as a page, or as a piece of one where a piece was asked for."""
    title, advice = _WORDS.get(status, _WORDS[500])
    context = {
        "title": title, "detail": detail, "advice": advice, "code": code, "status": status,
        "request_id": (logs.context.get() or {}).get("request_id", ""),
    }  # fmt: skip
    template = "parts/problem.html" if _wants_a_piece(request) else "error.html"
    return render(request, template, context, status=status)


def _wants_a_piece(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _answer(request: HttpRequest, status: int, detail: str, code: str) -> HttpResponseBase:
    if request.path.startswith(("/api/", "/v1/")):
        body: dict[str, Any] = {
            "type": f"/problems/{code}", "code": code, "status": status, "detail": detail,
            "title": code.replace("_", " ").capitalize(),
        }  # fmt: skip
        if request.path.startswith("/v1/"):  # where clients of another protocol look
            kind = "invalid_request_error" if status < 500 else "server_error"
            body["error"] = {"message": detail, "type": kind, "param": None, "code": code}
        return JsonResponse(body, status=status, content_type=PROBLEM)
    return problem(request, status, detail, code)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _answer(request, 400, "the request could not be read", "bad_request")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _answer(request, 403, "this needs a right that you do not have", "forbidden")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """The form was made for another session, or is too old."""
    return _answer(request, 403, "this form is out of date: reload the page", "csrf_failed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    return _answer(request, 404, f"no page {request.path}", "not_found")


def broken(request: HttpRequest) -> HttpResponseBase:
    """The last resort. It may not ask the database who is looking: that may be what broke."""
    outage = outage_of(sys.exc_info()[1])  # Django calls this while it handles the exception
    if outage is not None and request.path.startswith(("/api/", "/v1/")):
        answer = _answer(request, 503, str(outage), outage.code)
        answer["Retry-After"] = "5"
        return answer
    if request.path.startswith(("/api/", "/v1/")):
        return _answer(request, 500, "something broke on our side", "internal_error")
    context: dict[str, Any] = {"request_id": (logs.context.get() or {}).get("request_id", "")}
    context["outage"] = str(outage or "")
    return render(None, "500.html", context, status=503 if outage else 500)
