"""Reads a corpus file and draws texts from its template families."""

from __future__ import annotations

import random
import re
from pathlib import Path

_SLOT = re.compile(r"\{(\w+)\}")


def read_families(path: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Families of templates and the slots they draw from.

    ``[name]`` opens a family, ``[slot:name]`` a list separated by ``|``; ``#`` starts the notes
    at the head of a file.
    """
    families: dict[str, list[str]] = {}
    slots: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if (line.startswith("# ") and number == 0) or not line.strip():
            continue
        if opened := re.fullmatch(r"\[((?:slot:)?[a-z_]+)\]", line):
            name = opened[1]
        elif name.startswith("slot:"):
            slots[name.removeprefix("slot:")] = line.split("|")
        else:
            families.setdefault(name, []).append(line)
    return families, slots


def expand(template: str, slots: dict[str, list[str]], rng: random.Random) -> str:
    """The template with every known slot drawn; unknown braces stay as they are."""
    for _ in range(3):
        template = _SLOT.sub(lambda m: rng.choice(slots[m[1]]) if m[1] in slots else m[0], template)
    return template
