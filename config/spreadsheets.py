"""Rows as a file that a spreadsheet opens, and runs nothing of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from django.http import HttpResponse


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> HttpResponse:
    """A CSV of ``rows`` to save: texts made harmless, numbers as they are, None empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in row])
    return as_file(out.getvalue(), name)


def as_file(text: str, name: str) -> HttpResponse:
    """A CSV to save."""
    answer = HttpResponse(text, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def safe(text: str) -> str:
    """A spreadsheet would run a cell that begins so (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
