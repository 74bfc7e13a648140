"""The command, in process: no database is opened."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from learning.analysis import analyse
from tests.learning.domain.analysis.test_documents import document


def test_the_command_prints_the_document_of_the_analysis(tmp_path):
    path, out = tmp_path / "stats.json", StringIO()
    path.write_text(json.dumps(document()))
    call_command("analyse_experiment", str(path), stdout=out)
    assert json.loads(out.getvalue()) == analyse(document())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON: line 1"),
        ("{}", "experiment.metrics"),
        ('{"arms": NaN}', "metrics"),
        pytest.param("[" * 100_000, "no statistics document", id="nested too deeply"),
        pytest.param(f"[{'1' * 5_000}]", "no statistics document", id="a number too long"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=words):
        call_command("analyse_experiment", str(path))
    with pytest.raises(CommandError, match="No such file"):
        call_command("analyse_experiment", str(tmp_path / "none.json"))


def test_a_number_that_no_double_holds_is_refused_with_its_field(tmp_path):
    given = document()
    metric = given["arms"][0]["metrics"]["accuracy"]
    metric["n"] = 10**400
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(given))
    with pytest.raises(CommandError, match=r"arms\[0\]\.metrics\.accuracy\.n"):
        call_command("analyse_experiment", str(path))


def test_the_command_prints_its_input_schema():
    out = StringIO()
    call_command("analyse_experiment", "--schema", stdout=out)
    assert "experiment" in json.loads(out.getvalue())["required"]
