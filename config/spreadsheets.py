"""Rows as a file that a spreadsheet opens, and runs nothing of."""

from __future__ import annotations

from django.http import HttpResponse


def as_file(text: str, name: str) -> HttpResponse:
    """A CSV to save."""
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def safe(text: str) -> str:
    """A spreadsheet would run a cell that begins so (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
