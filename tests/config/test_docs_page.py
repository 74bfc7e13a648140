"""The documentation as pages: only our own files, and no HTML from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client as Browser

from config import docs_page
from config.access.models import Client, Membership, User
from config.errors import NotFound

ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))


@pytest.fixture
def browser(db: None) -> Browser:
    client = Client.objects.create(slug="acme", name="Acme")
    user = User.objects.create_user("pat", password="x")
    Membership.objects.create(user=user, client=client, role="professional")
    signed_in = Browser()
    signed_in.force_login(user)
    return signed_in


@pytest.fixture
def elsewhere(tmp_path: Path, settings: object) -> Path:
    """A repository of its own with one page."""
    settings.BASE_DIR = tmp_path  # type: ignore[attr-defined]
    (tmp_path / "docs").mkdir()
    (tmp_path / "secret.md").write_text("# not for you")
    docs_page.read_page.cache_clear()
    return tmp_path


def read(folder: Path, text: str) -> docs_page.Page:
    (folder / "docs/page.md").write_text(text)
    return docs_page.read_page("docs/page.md", hash(text))


def test_the_documentation_needs_a_session(db: None) -> None:
    answer = Browser().get("/docs")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login")


def test_the_index_leads_to_pages_and_pages_to_each_other(browser: Browser) -> None:
    start = browser.get("/docs")
    assert start.status_code == 200
    assert 'href="/docs/guides/api"' in start.content.decode()
    assert 'href="/docs/guides/access"' in browser.get("/docs/guides/agents").content.decode()
    assert "make run" in browser.get("/docs/README").content.decode()


def test_every_file_of_the_documentation_is_a_page_with_a_title() -> None:
    for file in FILES:
        url = docs_page.url_of(str(file))
        assert url is not None, file
        found = docs_page.file_of(url.removeprefix("/docs").removeprefix("/"))
        assert found == str(file)
        page = docs_page.read_page(found, 0)
        assert page.title not in ("", found), file
        assert "<table" in page.html or "<p>" in page.html, file


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "../secret",
        "guides/../../secret",
        "/etc/passwd",
        "..%2fsecret",
        "\x00",
        "a" * 300,
    ],
)
def test_what_is_no_page_of_ours_is_not_found(elsewhere: Path, name: str) -> None:
    with pytest.raises(NotFound):
        docs_page.file_of(name)


def test_a_link_that_leads_out_of_the_folder_is_no_page(elsewhere: Path) -> None:
    (elsewhere / "docs/out.md").symlink_to(elsewhere / "secret.md")
    with pytest.raises(NotFound):
        docs_page.file_of("out")


def test_html_in_a_file_is_only_text(elsewhere: Path) -> None:
    page = read(elsewhere, "# A <b>title</b>\n\n<script>alert(1)</script> <img src=x onerror=y>\n")
    assert "<script" not in page.html
    assert "<img" not in page.html
    assert "<b>" not in page.html
    assert "&lt;script&gt;" in page.html


@pytest.mark.parametrize(
    ("written", "href"),
    [
        ("[a](https://example.org/x)", 'href="https://example.org/x"'),
        ("[a](#there)", 'href="#there"'),
        ("[a](page.md#there)", 'href="/docs/page#there"'),
        ("[a](javascript:alert(1))", None),
        ("[a](../secret.md)", None),
        ("![a](//evil.example/x.png)", None),
    ],
)
def test_links_lead_to_our_pages_or_to_the_web(
    elsewhere: Path, written: str, href: str | None
) -> None:
    html = read(elsewhere, f"# t\n\n{written}\n").html
    if href is None:
        assert "href=" not in html and "src=" not in html
    else:
        assert href in html


def test_an_image_of_the_documentation_is_shown_and_no_other_file(
    browser: Browser, elsewhere: Path
) -> None:
    (elsewhere / "docs/a.png").write_bytes(b"\x89PNG")
    (elsewhere / "b.png").write_bytes(b"\x89PNG")
    shown = browser.get("/docs/a.png")
    assert shown["Content-Type"] == "image/png"
    assert b"".join(shown.streaming_content) == b"\x89PNG"
    assert browser.get("/docs/c.png").status_code == 404
    assert browser.get("/docs/../b.png").status_code == 404


def test_an_edited_file_is_read_anew(elsewhere: Path) -> None:
    assert read(elsewhere, "# one").title == "one"
    assert read(elsewhere, "# two & three").title == "two & three"
