"""Rows as a file that a spreadsheet opens, and runs nothing of."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from django.http import HttpResponse, StreamingHttpResponse

# A piece of a streamed file has at least so many bytes.
PIECE_BYTES = 64 * 1024
CONTENT_TYPE = "text/csv; charset=utf-8"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> HttpResponse:
    """A CSV of ``rows`` to save: texts made harmless, numbers as they are, None empty."""
    return as_file("".join(_pieces(columns, rows)), name)


def streamed(
    columns: Sequence[str], rows: Iterable[Sequence[object]], name: str
) -> StreamingHttpResponse:
    """As ``table``, for files of any length: of ``rows`` no more is held than a piece."""
    answer = StreamingHttpResponse(_pieces(columns, rows), content_type=CONTENT_TYPE)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _pieces(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in row])
        if out.tell() >= PIECE_BYTES:
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def as_file(text: str, name: str) -> HttpResponse:
    """A CSV to save."""
    answer = HttpResponse(text, content_type=CONTENT_TYPE)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def safe(text: str) -> str:
    """A spreadsheet would run a cell that begins so (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
