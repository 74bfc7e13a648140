"""The documentation is true: what it names exists, what it shows compiles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from agents import tool_calls
from agents.domain.catalogue import load_catalogue
from agents.tools import registry
from agents.tools.registry import ToolContext
from config.access.roles import ROLES, SCOPES
from workflows.domain.documents import parse
from workflows.domain.validation import Known, compile_definition, schema

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What tells people what to type.
PEOPLE = [page for page in PAGES if "decisions" not in page.parts]
# The offline model is a server of its own, with addresses of its own.
DOORS = [page for page in PEOPLE if page.name != "offline-model.md"]
WORKFLOWS = ROOT / "docs/guides/workflows.md"
OF_THE_GUIDE = "ops-latefees-101"  # the agent that the guide adds
SOME_ID = "01a1f8e9-3cd7-7228-a23e-da0b0a20834c"

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_FILE = re.compile(
    r"(?:agents|config|deploy|docs|learning|monitoring|scaling|templates|tests|workflows|\.ci)"
    r"/[\w./-]+"
)
_ENDPOINT = re.compile(r"\b((?:GET|POST|PUT|PATCH|DELETE)(?:,(?:GET|POST))*) (/[^\s`]*)")
_CURL = re.compile(r"curl [^\n]*?\$URL(/[^\s\"]+)")
_COMMAND = re.compile(r"manage\.py ([a-z_]+)")
_MAKE = re.compile(r"\bmake ([a-z]+)\b")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, language: str) -> Iterator[str]:
    for found, body in _FENCE.findall(text_of(page)):
        if found == language:
            yield body


def code_in(page: Path) -> str:
    """Everything that is set as code, fenced or not."""
    text = text_of(page)
    fenced = "\n".join(body for _, body in _FENCE.findall(text))
    return fenced + "\n" + "\n".join(_CODE.findall(_FENCE.sub("", text)))


def anchors_of(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", _FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", h.lower()).strip()) for h in heads}


# ---------------------------------------------------------------- what pages name exists


def test_every_link_between_pages_leads_somewhere() -> None:
    wrong = []
    for page in PAGES:
        for link in _LINK.findall(_FENCE.sub("", text_of(page))):
            if link.startswith(("https://", "http://", "mailto:")):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.is_file() or (anchor and anchor not in anchors_of(target)):
                wrong.append(f"{name_of(page)}: {link}")
    assert wrong == []


def test_every_file_that_a_page_names_is_there() -> None:
    missing = []
    for page in PAGES:
        named = {found.rstrip("./") for found in _FILE.findall(code_in(page))}
        missing += [
            f"{name_of(page)}: {p}"
            for p in sorted(named)
            if "." in Path(p).name and not (ROOT / p).exists()
        ]
    assert missing == []


def test_every_page_can_be_reached_from_the_index() -> None:
    """A new page? Name it in docs/index.md, or on a page that the index leads to."""
    seen: set[Path] = set()
    waiting = [ROOT / "docs/index.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in _LINK.findall(text_of(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.is_file():
                waiting.append(target)
    lost = {name_of(page) for page in (ROOT / "docs").rglob("*.md")} - {name_of(p) for p in seen}
    assert lost == set()


def test_every_command_and_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    for page in PEOPLE:
        code = code_in(page)
        assert set(_MAKE.findall(code)) - targets == set(), name_of(page)
        assert set(_COMMAND.findall(code)) - set(get_commands()) == set(), name_of(page)


def test_every_module_that_the_makefile_runs_is_there() -> None:
    named = re.findall(r"-m (tests[\w.]*)", text_of(ROOT / "Makefile"))
    assert named
    assert [one for one in named if find_spec(one) is None] == []


def test_every_endpoint_that_a_page_names_answers_that_method() -> None:
    for page in DOORS:
        code = code_in(page).replace("\\|", "|")
        named = [(m, path) for many, path in _ENDPOINT.findall(code) for m in many.split(",")]
        named += [("", path) for path in _CURL.findall(code)]
        wrong = [f"{m} {p}" for m, p in named if not all(_answers(m, one) for one in _each(p))]
        assert wrong == [], name_of(page)


def _each(path: str) -> Iterator[str]:
    """``/a/{id}/x|y?z`` as the two paths a client would send."""
    plain = path.partition("?")[0].rstrip(".,;:")
    plain = re.sub(r"\{(slug|name)\}", "some", plain)
    plain = re.sub(r"\{[a-z_]+\}|\bRUN\b|\bAPPROVAL\b", SOME_ID, plain)
    head, _, last = plain.rpartition("/")
    for choice in last.split("|"):
        yield f"{head}/{choice}"


def _answers(method: str, path: str) -> bool:
    try:
        view = resolve(path).func
    except Resolver404:
        return False
    handler = getattr(view, "view_class", getattr(view, "cls", None))
    return not method or handler is None or hasattr(handler, method.lower())


# ---------------------------------------------------------------- what pages show compiles


@cache
def known() -> Known:
    library = [parse(path.read_text("utf-8")).value
               for path in (ROOT / "workflows/library").glob("*.yaml")]  # fmt: skip
    catalogue = load_catalogue(ROOT / "agents/catalogue", registry.names())
    return Known(
        tools={tool.name: tool.parameters for tool in registry.all_tools()},
        agents=frozenset(entry.slug for entry in catalogue),
        workflows=frozenset(str(one["name"]) for one in library),
        roles=frozenset(ROLES),
    )


@pytest.fixture
def guide_tools() -> Iterator[None]:
    """The tools that a guide declares, for as long as a test needs them."""
    registry.discover()
    before = dict(registry._tools)
    for body in blocks(ROOT / "docs/guides/tools.md", "python"):
        exec(compile(body, "docs/guides/tools.md", "exec"), {"__name__": "guide"})  # noqa: S102
    yield
    registry._tools.clear()
    registry._tools.update(before)


def _definitions() -> Iterator[Any]:
    for page in PAGES:
        for number, body in enumerate(blocks(page, "yaml")):
            if re.search(r"^steps:", body, re.MULTILINE):
                yield pytest.param(body, id=f"{name_of(page)}-{number}")


@pytest.mark.parametrize("definition", list(_definitions()))
def test_every_workflow_that_a_page_shows_compiles(definition: str, guide_tools: None) -> None:
    names = known()
    tools = {tool.name: tool.parameters for tool in registry.all_tools()}
    assert compile_definition(definition, Known(tools, names.agents, names.workflows, names.roles))


def test_the_guide_shows_every_key_of_a_definition() -> None:
    shown: set[str] = set()
    for body in blocks(WORKFLOWS, "yaml"):
        shown |= _keys(yaml.safe_load(body))
    form = schema()
    step = form["$defs"]["step"]["properties"]
    wanted = set(form["properties"]) | set(step)
    for part in (step["wait"], step["retry"], step["repeat"], form["$defs"]["approval"],
                 form["$defs"]["compensate"], form["properties"]["access"],
                 form["properties"]["concurrency"]):  # fmt: skip
        wanted |= set(part["properties"])
    assert wanted - shown == set()


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        # YAML 1.1 reads a bare ``on`` as true; definitions are read with the word.
        found = {"on" if key is True else str(key) for key in value}
        return found.union(*(_keys(part) for part in value.values()))
    if isinstance(value, list):
        return set().union(*(_keys(part) for part in value))
    return set()


def test_the_tool_of_the_guide_computes_what_its_agent_is_graded_by(guide_tools: None) -> None:
    [entry] = yaml.safe_load(next(blocks(ROOT / "docs/guides/agents.md", "yaml")))["agents"]
    for case in entry["cases"]:
        result = registry.get(entry["tools"][0]).call(case["input"])
        for fact in case["facts"]:
            assert fact.get("number", result["late_fee"]) == result["late_fee"]
            assert fact.get("text", result["conclusion"]) == result["conclusion"]


def test_the_fallback_of_the_guide_answers_and_says_for_whom(guide_tools: None) -> None:
    ran = tool_calls.run(registry.get("firm.rate_of_today"), {"currency": "USD"}, ToolContext())
    assert (ran.result or {})["conclusion"] == "the rate of last month's end"
    assert (ran.name, ran.fallback_of) == ("firm.rate_of_month", "firm.rate_of_today")


def test_the_agent_of_the_guide_loads(guide_tools: None, tmp_path: Path) -> None:
    body = next(blocks(ROOT / "docs/guides/agents.md", "yaml"))
    (tmp_path / "operations.yaml").write_text(body)
    [entry] = load_catalogue(tmp_path, registry.names())
    assert entry.slug == OF_THE_GUIDE


def test_every_json_that_a_page_shows_is_json() -> None:
    for page in PAGES:
        for body in blocks(page, "json"):
            try:
                json.loads(body)
            except ValueError as error:
                pytest.fail(f"{name_of(page)}: {error}: {body}")


def test_every_python_that_a_page_shows_compiles() -> None:
    for page in PAGES:
        for body in blocks(page, "python"):
            compile(body, name_of(page), "exec")


def test_the_guide_to_access_names_every_role_and_no_scope_that_is_none() -> None:
    text = text_of(ROOT / "docs/guides/access.md")
    assert {role for role in ROLES if f"`{role}`" not in text} == set()
    areas = "|".join(sorted({scope.partition(":")[0] for scope in SCOPES}))
    for page in PEOPLE:
        named = set(re.findall(rf"\b(?:{areas}):[a-z]+\b", code_in(page)))
        assert named - set(SCOPES) == set(), name_of(page)


def test_every_agent_that_a_page_names_is_in_the_catalogue() -> None:
    there = {*(known().agents or ()), OF_THE_GUIDE}
    for page in PAGES:
        named = set(re.findall(r"\b(?:acct|acc|aud|tax|corp|ops)-[a-z0-9]+-\d{3}\b", text_of(page)))
        assert named - there == set(), name_of(page)


def test_the_counts_that_pages_state_are_right() -> None:
    names = known()
    readme = text_of(ROOT / "README.md")
    assert f"**{len(names.agents or ())} agents**" in readme
    assert f"{len(names.workflows or ())} are shipped" in readme
    ledger = ROOT / "agents/tools/ledger/sample/gla_payments_2011_2013.csv"
    lines = ledger.read_text("utf-8").count("\n") - 1
    assert f"{lines:,} real payments" in readme
