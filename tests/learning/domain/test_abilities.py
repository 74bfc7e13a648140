"""Abilities read from comments, measured on our own sentences; the tools that they ask for."""

from __future__ import annotations

import gc
from pathlib import Path
from time import process_time
from types import FrameType
from uuid import uuid4

import pytest
import yaml
from jsonschema import Draft202012Validator

from learning.domain.abilities import ability_of, private, wishes_in
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


def test_what_one_person_says_often_does_not_stand_in_the_declaration_either():
    named, plain = "It can't post an invoice in Projekt Falke", "It can't post an invoice"
    (wish,) = wishes_in([named, named, plain], ["anna", "anna", "ben"])
    assert "falke" not in str(wish.tool).lower()
    (wish,) = wishes_in([named, named, plain], ["anna", "carl", "ben"])
    assert "falke" in str(wish.tool).lower()


def test_one_person_alone_wishes_nothing_however_often():
    said = ["It cannot calculate the Meyer divorce settlement"] * 3
    assert wishes_in(said, ["anna"] * 3, least=3, least_people=2) == []
    assert len(wishes_in(said, ["anna", "anna", "ben"], least=3, least_people=2)) == 1


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("Calculate a settlement in a divorce.", True),
        ("Work for Meyers alone.", True),
        ("Look up what the meyerFile holds.", True),
        ("Ask Mueller.", True),
        ("Give the year 1987.", True),
        ("Save the workbook and return a link to it.", False),
        ("Calculate the settlement.", False),
    ],
)
def test_a_declaration_of_a_model_repeats_what_one_person_said_or_does_not(text, does):
    told = [
        ("anna", "It can't calculate the Meyer divorce settlement of 1987, please save it"),
        ("ben", "it cannot calculate a settlement, ask Müller"),
    ]
    draft = {"name": "calculate_settlement", "description": "Calculate the settlement."}
    made = {**draft, "parameters": {"properties": {"x": {"enum": [text]}}}}
    assert private.tells(private.texts_of(made), draft, private.said_by_one(told)) is does


@pytest.mark.parametrize(
    "text",
    [
        "i " * 620 + "cannot " * 108,
        "we " * 300 + "cannot " * 150,
        "can it please " * 140,
        "i cannot export " * 120,
        "cannot get a of " + "b of " * 390,
        "no " * 660,
        "will not " * 220,
        "exporting " * 190,
        "integration with " * 110,
    ],
)
def test_a_comment_made_to_be_slow_is_read_in_the_time_of_any_other(text):
    before = process_time()
    ability_of(text)
    assert process_time() - before < 0.2  # seconds; those of before took up to 1.4, these 0.01


def test_nothing_that_anybody_said_is_kept_in_memory():
    said = f"It can't export to Excel, says {uuid4()}"
    assert ability_of(said)
    gc.collect()
    assert not hasattr(ability_of, "cache_info")
    holders = [one for one in gc.get_referrers(said) if type(one) is not FrameType]
    assert [one for one in holders if one is not globals()] == []


def test_every_declaration_is_one_that_a_model_can_be_given():
    said = [text for part in SENTENCES.values() for _, text in part["named"]]
    wishes = wishes_in(said)
    assert len(wishes) > 30
    for wish in wishes:
        assert fault_in(wish.tool) == "", wish.tool
        Draft202012Validator.check_schema(wish.tool["parameters"])


def nested(depth):
    made = {"type": "object"}
    for _ in range(depth):
        made = {"type": "object", "properties": {"a": made}}
    return made


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
        *(({"parameters": {"type": "object", "properties": {"a": {}}, "required": odd}},
           "its schema is wrong") for odd in (5, "a", [{}], [["a"]])),
        ({"parameters": {"type": "object", "properties": {"a": {"default": nested(400)}}}},
         "its schema is nested too deeply"),
        ({"parameters": {"type": "object", "properties": {"a": nested(400)}}},
         "its schema is nested too deeply"),
        ({"description": "Look up a \x00 rate."}, "it holds signs that can't be kept"),
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
    Declared("corporate.event_filings", "Give form and deadline for each notifiable event."),
    Declared("tax.filings", "Filings that are due, and when."),
    Declared("operations.filing_deadlines", "Due date and penalty so far of each filing."),
    Declared("corporate.price_bridge", "Bridge from enterprise value to the equity price."),
    Declared("tax.deferred_tax", "Deferred tax assets and liabilities."),
    Declared("ledger.load", "Read and check a ledger, keep it for the other tools."),
    Declared("mcp.shop.list_orders", "List orders and those that were cancelled, by date."),
    Declared("mcp.shop.cancel_order", "Cancel an order."),
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
        ("It cannot submit a filing", None),
        ("it cannot calculate tax", None),
        ("it cannot calculate the price", None),
        ("it cannot access the ledger", None),
        ("it cannot cancel an order", "mcp.shop.cancel_order"),
    ],
)
def test_a_registered_tool_is_offered_only_where_it_does_that_very_thing(said, tool):
    (wish,) = wishes_in([said])
    found = matches(wish.verb, wish.thing, TOOLS)
    assert (found[0].name if found else None) == tool
