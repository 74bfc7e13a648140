"""The faults of a document as they are found: each said once, with its path and line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from workflows.domain.documents import Document, Path


@dataclass(slots=True)
class Faults:
    """Collects what is wrong with ``document``; ``found`` holds it in the order of finding."""

    document: Document
    found: list[dict[str, Any]] = field(default_factory=list)
    _told: set[tuple[str, str]] = field(default_factory=set)

    def add(self, path: Path, message: str) -> None:
        """Say ``message`` of what stands at ``path``, unless it was said before."""
        where = ".".join(str(part) for part in path)
        if (where, message) not in self._told:
            self._told.add((where, message))
            line = self.document.line(path)
            self.found.append({"path": where, "line": line, "message": message})

    def named(self, what: str, name: str, known: frozenset[str] | None, at: Path) -> bool:
        """Whether ``name`` is one of ``known``; None knows all. If not, that is a fault."""
        if known is None or name in known:
            return True
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.add(at, f"unknown {what} {name!r}{hint}")
        return False
