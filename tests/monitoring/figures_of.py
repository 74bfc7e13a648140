"""The figures of a page as its reader meets them: name, number, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Figure:
    """One number. ``beside`` are the others of its row of a table, by their heads."""

    label: str
    said: str = ""
    exact: str = ""
    href: str = ""
    beside: dict[str, Figure] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects ``dl.figures`` and cells of tables that hold numbers (class ``n``)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Figure] = []
        self.pieces: list[str] = []
        self.links: list[str] = []
        self._heads: list[str] = []
        self._row: list[Figure] = []
        self._cell: Figure | None = None
        self._in_list = self._is_head = self._is_term = self._is_note = False
        self._term = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("hx-get", "") and "load" in given.get("hx-trigger", ""):
            self.pieces.append(given["hx-get"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
            if self._cell is not None and not self._cell.href:
                self._cell.href = given["href"]
        if tag == "dl":
            self._in_list = "figures" in given.get("class", "")
        elif tag == "dt":
            self._is_term, self._text = self._in_list, ""
        elif tag == "dd" and self._in_list:
            self._cell = Figure(self._term, exact=given.get("title", ""))
        elif tag in ("table", "thead"):
            self._heads = []
        elif tag == "th":
            self._is_head, self._text = True, ""
        elif tag == "tr":
            self._row = []
        elif tag == "td":
            place = len(self._row)
            label = self._heads[place] if place < len(self._heads) else ""
            self._cell = Figure(label, exact=given.get("title", ""))
            self._cell.beside = {"class": Figure(given.get("class", ""))}
        elif tag == "span" and self._cell is not None:
            self._is_note = {"note", "sub"} & set(given.get("class", "").split()) != set()
            if not self._cell.exact:
                self._cell.exact = given.get("title", "")

    def handle_data(self, data: str) -> None:
        if self._is_head or self._is_term:
            self._text += data
        elif self._cell is not None and not self._is_note:
            self._cell.said += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self._is_note = False
        elif tag == "dt" and self._is_term:
            self._is_term, self._term = False, self._text.strip()
        elif tag == "th" and self._is_head:
            self._is_head = False
            self._heads.append(self._text.strip())
        elif tag in ("dd", "td") and self._cell is not None:
            self._cell.said = self._cell.said.strip()
            (self.found if tag == "dd" else self._row).append(self._cell)
            self._cell = None
        elif tag == "tr":
            beside = {one.label: one for one in self._row}
            for one in self._row:
                is_number = "n" in one.beside["class"].label.split()
                one.beside = beside
                if is_number:
                    self.found.append(one)


@dataclass(frozen=True, slots=True)
class Read:
    """``pieces`` are the addresses that the page fetches of itself."""

    figures: list[Figure]
    pieces: list[str]
    links: list[str]


def read(html: str) -> Read:
    """All figures, pieces and links of a page."""
    reader = _Reader()
    reader.feed(html)
    return Read(reader.found, reader.pieces, reader.links)
