from __future__ import annotations

import subprocess
from datetime import UTC, datetime

import pytest
import yaml

from learning.domain.patching import EntryMissing, as_mail, changed_entry

FILE = """\
domain: audit
# A comment that stays.
agents:
  - slug: aud-one-001
    name: One
    model: {tier: standard, temperature: 0.0, max_output_tokens: 1000}
    prompt: |
      You plan audits{% if client %} for {{ client }}{% endif %}.

      Never guess.
    tools: [a.b]
  - slug: aud-two-002
    model: {tier: strong, temperature: 0.0, max_output_tokens: 900}
    prompt: |
      You sample.
    tools: []
"""
MODEL = {"tier": "standard", "temperature": 0, "max_output_tokens": 1000}


def test_only_the_entrys_prompt_changes():
    after = changed_entry(FILE, "aud-one-001", prompt="You plan.\n\nState figures.", model=MODEL)
    read = {a["slug"]: a for a in yaml.safe_load(after)["agents"]}
    assert read["aud-one-001"]["prompt"] == "You plan.\n\nState figures.\n"
    assert read["aud-two-002"] == yaml.safe_load(FILE)["agents"][1]
    assert "# A comment that stays." in after
    assert "temperature: 0.0" in after  # the same number keeps its spelling


def test_the_model_changes_in_its_line():
    after = changed_entry(
        FILE, "aud-two-002", prompt="You sample.", model={**MODEL, "tier": "light"}
    )
    changed = set(after.splitlines()) - set(FILE.splitlines())
    assert changed == {"    model: {tier: light, temperature: 0, max_output_tokens: 1000}"}


@pytest.mark.parametrize("slug", ["aud-none-009", "aud-one"])
def test_an_entry_that_is_not_there_is_refused(slug):
    with pytest.raises(EntryMissing):
        changed_entry(FILE, slug, prompt="x", model={})


def mail(after, **changes):
    given = {"path": "agents/catalogue/audit.yaml", "before": FILE, "after": after,
             "subject": "agents: Plan in steps (aud-one-001).", "author": "Ratchet",
             "address": "ratchet@localhost", "at": datetime(2026, 11, 20, tzinfo=UTC),
             "body": "Pourquoi: déjà vu.\n---\nFrom here on: 5 cases.",
             "name": "0001.patch"}  # fmt: skip
    return as_mail(**{**given, **changes})


def test_git_am_takes_the_patch_with_its_message(tmp_path):
    def git(*arguments, given=None):
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *arguments],
            cwd=tmp_path, input=given, text=True, capture_output=True, check=True,
        ).stdout  # fmt: skip

    git("init", "-q")
    folder = tmp_path / "agents" / "catalogue"
    folder.mkdir(parents=True)
    (folder / "audit.yaml").write_text(FILE)
    git("add", ".")
    git("commit", "-qm", "start")
    after = changed_entry(FILE, "aud-one-001", prompt="You plan in steps – always.", model=MODEL)
    git("am", "-q", given=mail(after).text)
    assert (folder / "audit.yaml").read_text() == after
    message = git("log", "-1", "--format=%s%n%b%an")
    assert message.startswith("agents: Plan in steps (aud-one-001).")
    assert "déjà vu" in message
    assert "5 cases" in message
    assert "Ratchet" in message


def test_a_patch_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match="would not change"):
        mail(FILE)


@pytest.mark.parametrize(
    ("slug", "tools"), [("aud-one-001", ["a.b", "c.d"]), ("aud-two-002", ["c.d"])]
)
def test_a_tool_is_added_to_the_list_as_it_is_written(slug, tools):
    for text in (FILE, FILE.replace("    tools: [a.b]\n", "    tools:\n      - a.b\n")):
        entry = next(a for a in yaml.safe_load(text)["agents"] if a["slug"] == slug)
        after = changed_entry(text, slug, prompt=entry["prompt"], model=entry["model"], tools=tools)
        read = {a["slug"]: a for a in yaml.safe_load(after)["agents"]}
        assert read[slug] == {**entry, "tools": tools}
        assert len(set(after.splitlines()) ^ set(text.splitlines())) <= 2


def test_a_list_of_tools_that_is_not_there_is_said():
    text = FILE.replace("    tools: [a.b]\n", "")
    with pytest.raises(EntryMissing, match="no list of tools"):
        changed_entry(text, "aud-one-001", prompt="You plan.", model=MODEL, tools=["c.d"])


def test_comments_between_tools_and_behind_them_stay():
    listed = (
        "    tools:  # what it may call\n      # of the ledger\n      - a.b  # reads\n\n"
        "      # of the firm\n      - 'c.d'\n"
    )
    text = FILE.replace("    tools: [a.b]\n", listed)
    given = {"prompt": yaml.safe_load(text)["agents"][0]["prompt"], "model": MODEL}
    after = changed_entry(text, "aud-one-001", tools=["a.b", "c.d", "e.f"], **given)
    assert after == text.replace("'c.d'\n", "'c.d'\n      - e.f\n")
    after = changed_entry(text, "aud-one-001", tools=["c.d", "e.f"], **given)
    assert after == text.replace("      - a.b  # reads\n", "").replace(
        "'c.d'\n", "'c.d'\n      - e.f\n"
    )
    none = changed_entry(text, "aud-one-001", tools=[], **given)
    assert yaml.safe_load(none)["agents"][0]["tools"] == []
    short = FILE.replace("[a.b]\n", "[a.b]  # it reads\n")
    after = changed_entry(short, "aud-one-001", tools=["a.b", "e.f"], **given)
    assert after == short.replace("[a.b]", "[a.b, e.f]")
