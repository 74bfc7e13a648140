"""A change of one catalogue entry as a patch that ``git am`` takes.

Only the lines of the prompt, the model and the tools change; everything else of the file stays as
people wrote it, comments and order included.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from typing import Any

SUBJECT_CHARACTERS = 72


@dataclass(frozen=True, slots=True)
class Patch:
    """An e-mail in mbox form; ``name`` is a file's."""

    name: str
    text: str


class EntryMissing(ValueError):
    """The file has no such entry, or not in the form that can be changed line by line."""


def changed_entry(
    text: str, slug: str, *, prompt: str, model: Mapping[str, Any],
    tools: Sequence[str] | None = None,
) -> str:  # fmt: skip
    """The catalogue file with the entry's prompt and model put in, and ``tools`` where given.

    Raises EntryMissing where the entry, its ``prompt: |``, its model line or its list of tools
    can't be found.
    """
    lines = text.splitlines(keepends=True)
    start, end = _entry(lines, slug)
    first, last, indent = _block(lines, start, end)
    body = [f"{indent}{line}\n" if line.strip() else "\n" for line in prompt.strip().splitlines()]
    kept = lines[first:last]
    old = "".join(line.removeprefix(indent) for line in kept).strip()
    block = kept if old == prompt.strip() else body
    changed = [*lines[start:first], *block, *lines[last:end]]
    entry = _with_model(changed, slug, model)
    if tools is not None:
        entry = _with_tools(entry, slug, tools)
    return "".join([*lines[:start], *entry, *lines[end:]])


def as_mail(
    *,
    path: str,
    before: str,
    after: str,
    subject: str,
    body: str,
    author: str,
    address: str,
    at: datetime,
    name: str,
) -> Patch:
    """The change as an e-mail patch; raises ValueError when nothing changes."""
    diff = _diff(path, before, after)
    if not diff:
        raise ValueError(f"{path} would not change")
    added = sum(line.startswith("+") and not line.startswith("+++") for line in diff)
    removed = sum(line.startswith("-") and not line.startswith("---") for line in diff)
    title = " ".join(subject.split())[:SUBJECT_CHARACTERS]
    head = [
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001",
        f"From: {_header(author)} <{address}>",
        f"Date: {format_datetime(at)}",
        f"Subject: [PATCH] {_header(title)}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *_safe(body),
        "---",
        f" {path} | {added + removed} {'+' * min(added, 30)}{'-' * min(removed, 30)}",
        "",
        f"diff --git a/{path} b/{path}",
    ]
    return Patch(name, "\n".join(head) + "\n" + "".join(diff) + "-- \nratchet\n\n")


def _entry(lines: Sequence[str], slug: str) -> tuple[int, int]:
    """First line of the entry and the one after its last."""
    opens = re.compile(r"^(\s*)- slug:\s*[\"']?([^\s\"'#]+)")
    found = [(i, m[2]) for i, line in enumerate(lines) if (m := opens.match(line))]
    for place, (index, name) in enumerate(found):
        if name == slug:
            end = found[place + 1][0] if place + 1 < len(found) else len(lines)
            return index, end
    raise EntryMissing(f"no entry {slug!r}")


def _block(lines: Sequence[str], start: int, end: int) -> tuple[int, int, str]:
    """Lines of the prompt's block and their indent."""
    for index in range(start, end):
        match = re.match(r"^(\s*)prompt:\s*\|[-+]?\s*$", lines[index])
        if not match:
            continue
        deeper = len(match[1]) + 1
        last = index + 1
        while last < end and (
            not lines[last].strip() or len(lines[last]) - len(lines[last].lstrip()) >= deeper
        ):
            last += 1
        while last > index + 1 and not lines[last - 1].strip():
            last -= 1
        if last == index + 1:
            break
        first = lines[index + 1]
        return index + 1, last, first[: len(first) - len(first.lstrip())]
    raise EntryMissing("no prompt written as a block")


def _with_model(lines: Sequence[str], slug: str, model: Mapping[str, Any]) -> list[str]:
    """The entry with tier, temperature and output limit put into its one-line model."""
    found = list(lines)
    for index, line in enumerate(found):
        match = re.match(r"^(\s*)model:\s*\{(.*)\}\s*$", line)
        if not match:
            continue
        fields = {
            key.strip(): value.strip()
            for key, _, value in (part.partition(":") for part in match[2].split(","))
        }
        wanted = {key: str(model[key]) for key in fields if key in model}
        if all(_same(fields[key], value) for key, value in wanted.items()):
            return found
        inside = ", ".join(f"{key}: {wanted.get(key, old)}" for key, old in fields.items())
        found[index] = f"{match[1]}model: {{{inside}}}\n"
        return found
    raise EntryMissing(f"no one-line model in {slug!r}")


def _with_tools(lines: Sequence[str], slug: str, tools: Sequence[str]) -> list[str]:
    """The entry with its list of tools, in one line or a line a tool, as it was written."""
    found = list(lines)
    inner = next(m[1] for line in lines if (m := re.match(r"^(\s*)prompt:", line)))
    for index, line in enumerate(found):
        if short := re.match(rf"^{inner}tools:\s*\[[^\]]*\](\s+#.*)?\s*$", line):
            found[index] = f"{inner}tools: [{', '.join(tools)}]{short[1] or ''}\n"
            return found
        if re.match(rf"^{inner}tools:\s*(#.*)?$", line):
            items = _items(found, index + 1, inner)
            if not items:
                break
            return _with_items(found, index, items, tools)
    raise EntryMissing(f"no list of tools in {slug!r}")


def _items(lines: Sequence[str], start: int, inner: str) -> dict[int, str]:
    """Line → tool; comments and empty lines may stand between them."""
    found: dict[int, str] = {}
    for index in range(start, len(lines)):
        line = lines[index]
        if item := re.match(rf"^{inner}\s*- [\"']?([^\s\"'#]+)[\"']?\s*(#.*)?$", line):
            found[index] = item[1]
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found


def _with_items(
    lines: Sequence[str], head: int, items: Mapping[int, str], tools: Sequence[str]
) -> list[str]:
    """The lines of tools that stay as they are, without those that go, then the new ones."""
    first, last = min(items), max(items)
    dash = lines[first].split("-")[0]
    added = [f"{dash}- {tool}\n" for tool in tools if tool not in items.values()]
    kept = [line for place, line in enumerate(lines[head + 1 : last + 1], head + 1)
            if place not in items or items[place] in tools]  # fmt: skip
    opened = lines[head] if tools else lines[head].replace("tools:", "tools: []", 1)
    return [*lines[:head], opened, *kept, *added, *lines[last + 1 :]]


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def _diff(path: str, before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    found = []
    for line in lines:
        found.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return found


def _safe(body: str) -> list[str]:
    """The message without a line that would end it early."""
    return [f" {x}" if re.match(r"(---|diff -|Index: |From )", x) else x for x in body.splitlines()]


def _header(text: str) -> str:
    plain = " ".join(text.split())
    return plain if plain.isascii() else Header(plain, "utf-8").encode()
