"""Lists of the admin that ask before they do what can't be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from config.access import callers
from config.access.callers import Caller
from config.errors import AppError
from config.readable import plural

# What is written down with a decision.
MOST_REASON = 500


class AsksFirst:
    """Beside a ``ModelAdmin``: its actions return what ``asked_first`` does."""

    opts: Any
    admin_site: Any

    def asked_first(
        self, request: HttpRequest, rows: QuerySet[Any], *, action: str, button: str,
        follows: Callable[[Any], str], do: Callable[[Caller, Any, str], Any],
    ) -> HttpResponse | None:  # fmt: skip
        """Do to each row what can't be undone, once somebody has confirmed it and said why.

        Until then a page that says what ``follows`` of each; empty: nothing, and it is left alone.
        """
        found = [(row, follows(row)) for row in rows]
        moved = [row for row, words in found if words]
        reason = request.POST.get("reason", "").strip()
        if request.POST.get("confirmed") and reason and moved:
            caller, done = callers.of_user(request.user), 0  # type: ignore[arg-type]
            for row in moved:
                try:
                    do(caller, row, reason[:MOST_REASON])
                    done += 1
                except AppError as error:
                    messages.error(request, str(error))
            if done:
                messages.success(request, f"{button}: {plural(done, self.opts.verbose_name)}.")
            return None
        context = {
            **self.admin_site.each_context(request), "title": f"{button}?", "opts": self.opts,
            "found": found, "moved": moved, "action": action, "button": button, "reason": reason,
            "most": MOST_REASON, "checkbox": ACTION_CHECKBOX_NAME, "many": len(moved),
            "is_unsaid": bool(request.POST.get("confirmed")) and not reason,
        }  # fmt: skip
        return TemplateResponse(request, "admin/confirm.html", context)
