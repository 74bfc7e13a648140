"""Every agent of the catalogue passes its own cases through the real offline server, and an agent
with another's tools does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agents
from agents.domain.catalogue import load_catalogue
from agents.domain.grading import grade
from agents.tools import registry
from tests.agents.catalogue.dry_run import Chat, Message, entries_of, run_case
from tests.agents.offline_model.process import Server, serve

DIRECTORY = Path(agents.__file__).parent / "catalogue"
FILES = sorted(DIRECTORY.glob("*.yaml"))
ENTRIES = [
    (file.stem, place, entry) for file in FILES for place, entry in enumerate(entries_of(file))
]
ANSWERS: dict[str, str] = {}
BY_SLUG = [pytest.param(domain, entry, id=entry["slug"]) for domain, _place, entry in ENTRIES]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real server, as ``make run`` starts it."""
    with serve(tmp_path_factory.mktemp("offline-model")) as running:
        yield running


@pytest.fixture(scope="module")
def chat(server: Server) -> Iterator[Chat]:
    """A chat completion by the official client over the socket."""
    with server.client() as client:

        def complete(request: dict[str, Any]) -> Message:
            reply = client.chat.completions.create(**request).choices[0].message
            if reply.tool_calls:
                return reply.model_dump(include={"role", "content", "tool_calls"})
            return {"role": "assistant", "content": reply.content}

        yield complete


def foreign_tools(domain: str, entry: dict[str, Any]) -> list[str]:
    """Tools of the agent at the same place in the next domain."""
    domains = [file.stem for file in FILES]
    other = domains[(domains.index(domain) + 1) % len(domains)]
    theirs = [one for name, _place, one in ENTRIES if name == other]
    mine = [one["slug"] for name, _place, one in ENTRIES if name == domain]
    return list(theirs[mine.index(entry["slug"]) % len(theirs)]["tools"])


def test_the_catalogue_holds_together():
    """Schema, slugs, tools, variables and facts of every file are in order."""
    catalogue = load_catalogue(DIRECTORY, registry.names())
    assert [len(domain.entries) for domain in catalogue.domains] == [
        len(entries_of(file)) for file in FILES
    ]


@pytest.mark.parametrize(("domain", "entry"), BY_SLUG)
def test_an_agent_passes_its_five_cases_with_its_own_tools(domain, entry, chat):
    failed = {}
    for case in entry["cases"]:
        text = answer_of(entry, case["input"], chat)
        result = grade(text, case["facts"])
        if not result.passed:
            failed[case["name"]] = (result.missing, text)
    assert not failed


@pytest.mark.parametrize(("domain", "entry"), BY_SLUG)
def test_an_agent_fails_each_case_with_the_tools_of_another_domain(domain, entry, chat):
    tools = foreign_tools(domain, entry)
    passed = [
        case["name"]
        for case in entry["cases"]
        if grade(run_case(entry, case["input"], chat, tools=tools), case["facts"]).passed
    ]
    assert not passed


@pytest.mark.parametrize(("domain", "entry"), BY_SLUG)
def test_another_input_gives_another_answer(domain, entry, chat):
    inputs = [case["input"] for case in entry["cases"]]
    own = [answer_of(entry, one, chat) for one in inputs]
    assert len(set(own)) == len(own)
    swaps = [
        (answer, {**mine, key: theirs[key]})
        for answer, mine in zip(own, inputs, strict=True)
        for theirs in inputs
        for key in mine
        if key in theirs and mine[key] != theirs[key]
    ]
    assert not swaps or any(run_case(entry, one, chat) != before for before, one in swaps)


def answer_of(entry: dict[str, Any], inputs: dict[str, Any], chat: Chat) -> str:
    """The agent's own answer, asked for once in this module."""
    key = f"{entry['slug']} {inputs}"
    if key not in ANSWERS:
        ANSWERS[key] = run_case(entry, inputs, chat)
    return ANSWERS[key]
