"""``/docs``: the Markdown files of ``docs/`` and README as pages. Nothing else of the disk."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from config.errors import NotFound
from config.pages import problem

FOLDER = "docs"
START = "docs/index.md"
README = "README.md"
IMAGES = {".png": "image/png", ".svg": "image/svg+xml"}
_PARTS = ("fenced_code", "tables", "toc", "sane_lists")
# No name of ours has more in it; some that have make the file system raise.
_NAME = re.compile(r"[\w./-]{1,200}", re.ASCII)
_SCHEMES = frozenset({"http", "https", "mailto"})


@dataclass(frozen=True, slots=True)
class Page:
    """A file as HTML, with its title and the second-level headings as (anchor, words)."""

    file: str
    title: str
    html: SafeString
    headings: tuple[tuple[str, str], ...]


@require_safe
def docs(request: HttpRequest, name: str = "") -> HttpResponseBase:
    """``/docs/{name}``: ``guides/api`` is ``docs/guides/api.md``; without a name, the index."""
    try:
        if Path(name).suffix in IMAGES:
            return _image(name)
        file = file_of(name)
        page = read_page(file, (settings.BASE_DIR / file).stat().st_mtime_ns)
    except NotFound as error:
        return problem(request, error.http_status, str(error), error.code)
    return _shown(request, page)


def file_of(name: str) -> str:
    """The file behind a name, relative to the repository; raises NotFound."""
    if not name:
        return START
    if name == "README":
        return README
    for file in (f"{FOLDER}/{name}.md", f"{FOLDER}/{name}/README.md"):
        if _is_ours(file):
            return file
    raise NotFound("page of the documentation", name)


def url_of(file: str) -> str | None:
    """Where a file of the repository is shown; None if it is not shown."""
    if file in (START, README):
        return "/docs" if file == START else "/docs/README"
    if not _is_ours(file):
        return None
    within = file.removeprefix(f"{FOLDER}/")
    return f"/docs/{within.removesuffix('.md').removesuffix('/README')}"


def _is_ours(file: str) -> bool:
    """Whether ``file`` is a page or an image under ``docs/``, also after following links."""
    if not _NAME.fullmatch(file):
        return False
    root = (settings.BASE_DIR / FOLDER).resolve()
    path = (settings.BASE_DIR / file).resolve()
    return path.is_relative_to(root) and path.suffix in {".md", *IMAGES} and path.is_file()


@lru_cache(maxsize=128)
def read_page(file: str, changed_ns: int) -> Page:
    """A file as a page. ``changed_ns`` is its time of change, so that an edit is seen."""
    parser = Markdown(extensions=[*_PARTS, _Ours(file)], output_format="html")
    html = parser.convert((settings.BASE_DIR / file).read_text("utf-8"))
    heads = list(_flat(getattr(parser, "toc_tokens", [])))
    title = next((words for level, _, words in heads if level == 1), file)
    headings = tuple((anchor, words) for level, anchor, words in heads if level == 2)
    # Made from our own files, in which HTML is only text (see _Ours).
    return Page(file, title, mark_safe(html), headings)  # noqa: S308


def _shown(request: HttpRequest, page: Page) -> HttpResponse:
    return render(request, "docs.html", {"page": page, "is_start": page.file == START})


def _image(name: str) -> FileResponse:
    file = f"{FOLDER}/{name}"
    if not _is_ours(file):
        raise NotFound("image of the documentation", name)
    content = (settings.BASE_DIR / file).open("rb")
    return FileResponse(content, content_type=IMAGES[Path(name).suffix])


def _flat(tokens: list[dict[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """Level, anchor and words of every heading, in reading order."""
    for token in tokens:
        yield token["level"], token["id"], unescape(token["name"])
        yield from _flat(token["children"])


class _Ours(Extension):
    """HTML in a file is text; links between files lead to pages, others only to the web."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = file

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  the library's name
        md.preprocessors.deregister("html_block")
        md.inlinePatterns.deregister("html")
        md.treeprocessors.register(_Links(md, self.file), "ratchet-links", 5)


class _Links(Treeprocessor):
    def __init__(self, md: Markdown, file: str) -> None:
        super().__init__(md)
        self.folder = posixpath.dirname(file)

    def run(self, root: Element) -> None:
        for element in root.iter():
            for attribute in ("href", "src"):
                if (target := element.get(attribute)) is not None:
                    self._set(element, attribute, target)
            if element.tag == "img":
                element.set("loading", "lazy")

    def _set(self, element: Element, attribute: str, target: str) -> None:
        led = self._lead(target)
        if led is None:
            del element.attrib[attribute]
        else:
            element.set(attribute, led)

    def _lead(self, target: str) -> str | None:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            return target if parts.scheme in _SCHEMES else None
        if not parts.path:
            return target  # an anchor of the same page
        url = url_of(posixpath.normpath(posixpath.join(self.folder, parts.path)))
        return f"{url}#{parts.fragment}" if url and parts.fragment else url
