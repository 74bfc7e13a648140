"""``scan_text`` without Django: JSON Lines in, findings out, a line for a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from agents.domain.guardrails.findings import Source
from agents.domain.guardrails.pipeline import scan
from agents.domain.guardrails.policy import DEFAULT_POLICY, Policy
from config.errors import InvalidDocument


def scan_lines(
    lines: Iterable[str], *, policy: Policy = DEFAULT_POLICY, source: Source = Source.USER
) -> Iterator[str]:
    """One JSON object out for each line in. Blank lines are skipped.

    A line may name its own ``source``. Raises InvalidDocument with the line's number.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        text, own = _read(line, number, source)
        result = scan(text, policy, source=own).as_dict()
        printed = {key: result[key] for key in ("injection", "pii", "redacted", "secrets")}
        yield json.dumps(printed, ensure_ascii=False)


def scan_stream(inward: TextIO, outward: TextIO, **options: Any) -> int:
    """Scan all of ``inward`` to ``outward``, flushing each line; the number of lines written."""
    count = 0
    for printed in scan_lines(inward, **options):
        outward.write(printed.encode("utf-8", "replace").decode("utf-8") + "\n")
        outward.flush()
        count += 1
    return count


def _read(line: str, number: int, source: Source) -> tuple[str, Source]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise _fault(number, f"not JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise _fault(number, 'need an object with a string "text"')
    own = record.get("source")
    return record["text"], Source(own) if own in set(Source) else source


def _fault(number: int, message: str) -> InvalidDocument:
    return InvalidDocument("scan input", [{"path": "$", "line": number, "message": message}])
