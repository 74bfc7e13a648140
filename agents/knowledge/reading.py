"""The text of a document, whatever it came as: plain, Markdown, PDF, HTML or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

from agents.domain.chunking import Block
from config.errors import InvalidInput

TEXT, MARKDOWN, HTML, CSV, PDF = (
    "text/plain", "text/markdown", "text/html", "text/csv", "application/pdf",
)  # fmt: skip
MEDIA_TYPES = (TEXT, MARKDOWN, HTML, CSV, PDF)
MAX_BYTES = 10 * 2**20
MAX_CHARACTERS = 4_000_000
MAX_PAGES = 2_000
MAX_ROWS = 50_000
_ENDINGS = {"txt": TEXT, "md": MARKDOWN, "markdown": MARKDOWN, "html": HTML, "htm": HTML,
            "csv": CSV, "pdf": PDF}  # fmt: skip
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*$")


def media_type_of(name: str, given: str = "") -> str:
    """What a file is, by what its sender says or else by its name; raises InvalidInput."""
    kind = given.split(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        kind = _ENDINGS.get(name.rpartition(".")[2].lower(), "")
    if not kind:
        raise InvalidInput("media_type", given or name, f"one of {', '.join(MEDIA_TYPES)}")
    return kind


def blocks_of(content: bytes, media_type: str) -> list[Block]:
    """The document's text in reading order, under its headings and with its pages.

    Raises InvalidInput for a type, size or content that can't be read, and for no text at all.
    """
    if len(content) > MAX_BYTES:
        raise InvalidInput("content", f"{len(content)} bytes", f"at most {MAX_BYTES}")
    readers: dict[str, Callable[[bytes], Iterator[Block]]] = {
        TEXT: _plain, MARKDOWN: _markdown, HTML: _html, CSV: _csv, PDF: _pdf,
    }  # fmt: skip
    if media_type not in readers:
        raise InvalidInput("media_type", media_type, f"one of {', '.join(MEDIA_TYPES)}")
    found = [block for block in readers[media_type](content) if block.text.strip()]
    size = sum(len(block.text) for block in found)
    if not found:
        raise InvalidInput("content", "no text", "a document with text (a scan needs OCR first)")
    if size > MAX_CHARACTERS:
        raise InvalidInput("content", f"{size} characters", f"at most {MAX_CHARACTERS}")
    return found


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding).replace("\r\n", "\n").replace("\x00", "")
        except UnicodeDecodeError:
            continue
    raise InvalidInput("content", "undecodable bytes", "UTF-8 or Windows-1252 text")


def _plain(content: bytes) -> Iterator[Block]:
    yield Block(_decoded(content))


def _markdown(content: bytes) -> Iterator[Block]:
    path: list[str] = []
    lines: list[str] = []
    for line in _decoded(content).split("\n"):
        match = _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        yield Block("\n".join(lines), _title(path))
        lines = []
        path = [*path[: len(match[1]) - 1], match[2]]
    yield Block("\n".join(lines), _title(path))


class _Html(HTMLParser):
    """Text under headings; scripts, styles and what is hidden are left out."""

    SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "head"})
    BREAKS = frozenset({"p", "div", "li", "br", "tr", "section", "article", "table", "ul", "ol"})
    VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "col", "source", "wbr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._path: list[str] = []
        self._lines: list[str] = []
        self._title: list[str] | None = None
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        style = (given.get("style") or "").replace(" ", "").lower()
        unseen = "hidden" in given or "display:none" in style or "visibility:hidden" in style
        if tag not in self.VOID and (self._hidden or tag in self.SKIPPED or unseen):
            self._hidden.append(tag)
        elif re.fullmatch(r"h[1-6]", tag):
            self.end()
            self._path = self._path[: int(tag[1]) - 1]
            self._title = []
        elif tag in self.BREAKS:
            self._lines.append("\n")
        elif tag in ("td", "th"):
            self._lines.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif re.fullmatch(r"h[1-6]", tag) and self._title is not None:
            self._path.append(" ".join("".join(self._title).split()))
            self._title = None

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            (self._lines if self._title is None else self._title).append(data)

    def end(self) -> None:
        """Close the block that is open."""
        self.blocks.append(Block("".join(self._lines), _title(self._path)))
        self._lines = []


def _html(content: bytes) -> Iterator[Block]:
    parser = _Html()
    parser.feed(_decoded(content))
    parser.close()
    parser.end()
    yield from parser.blocks


def _csv(content: bytes) -> Iterator[Block]:
    """A row a sentence, each cell with its column's name, so that a passage explains itself."""
    text = _decoded(content)
    try:
        dialect = csv.Sniffer().sniff(text[:4096], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = csv.reader(io.StringIO(text), dialect)
    names = [name.strip() for name in next(rows, [])]
    for number, row in enumerate(rows, start=1):
        if number > MAX_ROWS:
            raise InvalidInput("content", f"over {MAX_ROWS} rows", f"at most {MAX_ROWS} rows")
        cells = [f"{n}: {v.strip()}" for n, v in zip(names, row, strict=False) if v.strip()]
        if cells:
            yield Block(", ".join(cells) + ".", f"Row {number}")


def _pdf(content: bytes) -> Iterator[Block]:
    # Every process declares the knowledge code; hardly any reads a PDF.
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InvalidInput("content", "an encrypted PDF", "one without a password")
        if len(reader.pages) > MAX_PAGES:
            raise InvalidInput("content", f"{len(reader.pages)} pages", f"at most {MAX_PAGES}")
        for number, page in enumerate(reader.pages, start=1):
            yield Block(page.extract_text().replace("\x00", ""), page=number)
    except (PyPdfError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput("content", "a broken PDF", f"a readable one ({error})") from error


def _title(path: list[str]) -> str:
    return " › ".join(path)[:300]
