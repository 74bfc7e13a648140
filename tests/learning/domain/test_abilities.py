"""Abilities read from comments, measured on our own sentences; the tools that they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from learning.domain.abilities import ability_of, wishes_in
from learning.domain.abilities.declaring import fault_in
from learning.domain.abilities.matching import Declared, matches

SENTENCES = yaml.safe_load((Path(__file__).parent / "data/abilities.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("part", "found", "wrongly"), [("read", 36, 0), ("unread", 35, 0), ("harder", 17, 0)]
)
def test_a_missing_ability_is_told_from_other_complaints_as_often_as_published(
    part, found, wrongly
):
    named = SENTENCES[part]["named"]
    right = [verb for verb, text in named if (one := ability_of(text)) and one.verb == verb]
    assert len(right) == found
    assert sum(ability_of(text) is not None for text in SENTENCES[part]["none"]) == wrongly


def test_the_same_ability_in_other_words_is_one_wish_with_all_that_was_named():
    said = [
        "it can't export to Excel", "There is no CSV export.", "too slow",
        "Please let it save the list as a spreadsheet", "I cannot download this as xlsx",
    ]  # fmt: skip
    (wish,) = wishes_in(said)
    assert (wish.key, wish.members) == ("export_spreadsheet", (0, 1, 3, 4))
    parameters = wish.tool["parameters"]
    assert parameters["properties"]["format"]["enum"] == ["csv", "xlsx"]
    assert parameters["required"] == ["format", "rows"]
    assert wish.tool["description"] == "Write rows to a spreadsheet file and give its reference."


def test_a_look_up_asks_for_what_people_know_the_thing_by():
    (rate,) = wishes_in(["it doesn't know today's exchange rate"] * 3)
    assert set(rate.tool["parameters"]["properties"]) == {
        "from_currency", "to_currency", "on_date",
    }  # fmt: skip
    assert rate.tool["parameters"]["required"] == ["from_currency", "to_currency"]
    (number,) = wishes_in(["it could not look up the VAT number", "can't verify a VAT ID"])
    assert number.tool["parameters"]["required"] == ["vat_number"]
    (policy,) = wishes_in(
        ["It can't look up the policy of an insurer", "unable to retrieve the insurer's policy"]
    )
    assert policy.tool["parameters"]["required"] == ["insurer"]


def test_what_only_one_person_names_does_not_stand_in_the_declaration():
    said = ["It can't send the letter by e-mail to Ms Ostrowski", "It can't e-mail the letter"]
    (wish,) = wishes_in(said)
    assert "ostrowski" not in str(wish.tool).lower()


def test_every_declaration_is_one_that_a_model_can_be_given():
    said = [text for part in SENTENCES.values() for _, text in part["named"]]
    wishes = wishes_in(said)
    assert len(wishes) > 30
    for wish in wishes:
        assert fault_in(wish.tool) == "", wish.tool
        Draft202012Validator.check_schema(wish.tool["parameters"])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"name": "Look Up"}, "its name is none"),
        ({"description": "x"}, "its description is too short or too long"),
        ({"parameters": "text"}, "its parameters are no schema of an object"),
        ({"parameters": {"type": "object", "properties": {}}},
         "it has no parameters, or more than 20"),
        ({"parameters": {"type": "object", "properties": {"a": {}}, "required": ["b"]}},
         "it requires what it does not declare"),
        ({"parameters": {"type": "object", "properties": {"a": {"type": "word"}}}},
         "its schema is wrong"),
    ],
)  # fmt: skip
def test_a_declaration_of_others_is_checked_before_it_is_shown(changes, fault):
    schema = {"type": "object", "properties": {"day": {"type": "string"}}}
    good = {"name": "look_up_rate", "description": "Look up a rate of a day.", "parameters": schema}
    found = fault_in({**good, **changes})
    assert found.startswith(fault) and bool(found) == bool(fault)


TOOLS = [
    Declared("accounting.depreciate", "Depreciate an asset to the reporting date."),
    Declared("accounting.reconcile_bank", "Reconcile the cash book to the bank statement and "
             "adjust both balances."),
    Declared("accounting.ifrs15_cost_to_cost", "Measure progress of an over-time contract."),
    Declared("tax.rate_tables", "VAT and corporate tax of several countries on a date."),
    Declared("tax.eu_vat_supplies", "Place of supply, reverse charge and one-stop-shop VAT."),
    Declared("mcp.office.write_xlsx", "Write rows to an Excel workbook."),
    Declared("mcp.ecb.exchange_rates", "Exchange rates of the ECB on a date."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "tool"),
    [
        ("It cannot calculate the depreciation of an asset.", "accounting.depreciate"),
        ("can't look up the VAT rate", "tax.rate_tables"),
        ("it can't export to Excel", "mcp.office.write_xlsx"),
        ("it doesn't know today's exchange rate", "mcp.ecb.exchange_rates"),
        ("It has no access to current bank balances", None),
        ("it was not able to pull up the contract", None),
        ("it could not look up the VAT number", None),
        ("it can't open PDFs", None),
    ],
)
def test_a_registered_tool_is_offered_only_where_it_does_that_very_thing(said, tool):
    (wish,) = wishes_in([said])
    found = matches(wish.verb, wish.thing, TOOLS)
    assert (found[0].name if found else None) == tool
