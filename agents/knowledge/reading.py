"""The text of a document, whatever it came as: plain, Markdown, PDF, HTML or CSV."""

from __future__ import annotations

import codecs
import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import count, zip_longest
from typing import Any

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
# Bytes that one compressed part of a PDF may unpack to: 10 MB of zeros unpack to 10 GB, and a
# page is read at about a megabyte a second.
MAX_UNPACKED_BYTES = 16 * 2**20
# Somebody waits for the answer, and pages may repeat what is slow to read.
MAX_PDF_SECONDS = 60.0
_ENDINGS = {"txt": TEXT, "md": MARKDOWN, "markdown": MARKDOWN, "html": HTML, "htm": HTML,
            "csv": CSV, "pdf": PDF}  # fmt: skip
_UNPACKED = (
    "zlib_maximum_output_length",
    "lzw_maximum_output_length",
    "run_length_maximum_output_length",
    "array_based_stream_maximum_output_length",
)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
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
    found: list[Block] = []
    size = 0
    for block in readers[media_type](content):
        size += len(block.text)
        if size > MAX_CHARACTERS:  # what follows is not even read
            raise InvalidInput("content", f"{size} characters", f"at most {MAX_CHARACTERS}")
        if block.text.strip():
            found.append(block)
    if not found:
        raise InvalidInput("content", "no text", "a document with text (a scan needs OCR first)")
    return found


def _decoded(content: bytes) -> str:
    """The text with one kind of line end. UTF-16 (Excel's "Unicode text") says so in front."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    raise InvalidInput("content", "undecodable bytes", "UTF-8, UTF-16 or Windows-1252 text")


def _plain(content: bytes) -> Iterator[Block]:
    yield Block(_decoded(content))


def _markdown(content: bytes) -> Iterator[Block]:
    path: list[str] = []
    lines: list[str] = []
    fence = ""  # what closes the code that we are in: its comments are no headings
    for line in _decoded(content).split("\n"):
        match = None if fence else _HEADING.match(line)
        if (mark := _FENCE.match(line)) is not None:
            fence = _fence_after(fence, mark[1], line)
        if match is None:
            lines.append(line)
            continue
        yield Block("\n".join(lines), _title(path))
        lines = []
        path = [*path[: len(match[1]) - 1], match[2]]
    yield Block("\n".join(lines), _title(path))


def _fence_after(open_with: str, mark: str, line: str) -> str:
    """The fence that is open after a line with ``mark``; one of its kind, as long, closes it."""
    if not open_with:
        return mark
    closes = mark.startswith(open_with) and not line.strip().strip(mark[0])
    return "" if closes else open_with


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
    names = [name.strip() for name in _row(rows) or ()]
    for number in count(1):
        if (row := _row(rows)) is None:
            return
        if number > MAX_ROWS:
            raise InvalidInput("content", f"over {MAX_ROWS} rows", f"at most {MAX_ROWS} rows")
        named = zip_longest(names[: len(row)], row, fillvalue="")  # cells beyond the head, too
        cells = [f"{n}: {v.strip()}" if n else v.strip() for n, v in named if v.strip()]
        if cells:
            yield Block(", ".join(cells) + ".", f"Row {number}")


def _row(rows: Iterator[list[str]]) -> list[str] | None:
    """The next row, None after the last; raises InvalidInput for what is no CSV."""
    try:
        return next(rows, None)
    except csv.Error as error:
        raise InvalidInput("content", "a broken CSV", f"a readable one ({error})") from error


def _pdf(content: bytes) -> Iterator[Block]:
    # Every process declares the knowledge code; hardly any reads a PDF.
    from pypdf import PdfReader, apply_configuration

    until = time.monotonic() + MAX_PDF_SECONDS
    limits: dict[str, Any] = dict.fromkeys(_UNPACKED, MAX_UNPACKED_BYTES)
    try:
        with apply_configuration(**limits):
            reader = PdfReader(io.BytesIO(content))
            if reader.is_encrypted and not reader.decrypt(""):
                raise InvalidInput("content", "an encrypted PDF", "one without a password")
            pages = len(reader.pages)
        if pages > MAX_PAGES:
            raise InvalidInput("content", f"{pages} pages", f"at most {MAX_PAGES}")
        for number in range(1, pages + 1):
            if time.monotonic() > until:
                raise InvalidInput("content", f"{MAX_PDF_SECONDS:.0f} s of reading", "smaller PDFs")
            with apply_configuration(**limits):
                text = reader.pages[number - 1].extract_text()
            yield Block(text.replace("\x00", ""), page=number)
    except InvalidInput:
        raise
    except Exception as error:  # a broken file meets any error of the library, asserts included
        raise InvalidInput("content", "a broken PDF", f"a readable one ({error})") from error


def _title(path: list[str]) -> str:
    return " › ".join(path)[:300]
