"""Onboarding: published Jaro-Winkler values, screening decisions, chains of ownership."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.corporate.onboarding import jaro_winkler, similarity
from agents.tools.registry import get
from config.errors import InvalidInput

NAMES = st.text(alphabet="abcde ", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("martha", "marhta", 0.9611),
        ("dixon", "dicksonx", 0.8133),
        ("dwayne", "duane", 0.84),
        ("abc", "xyz", 0.0),
    ],
)
def test_similarity_has_the_published_values_of_winkler(one, other, score):
    assert jaro_winkler(one, other) == pytest.approx(score, abs=0.0001)


@given(one=NAMES, other=NAMES)
def test_similarity_is_symmetric_and_between_nothing_and_one(one, other):
    score = jaro_winkler(one, other)
    assert 0 <= score <= 1
    assert score == pytest.approx(jaro_winkler(other, one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José Muñoz", "Munoz, Jose"),
        ("ACME Trading Ltd", "Acme Trading GmbH"),
        ("anna  BERG", "Anna Berg"),
    ],
)
def test_accents_legal_forms_order_and_case_do_not_matter(one, other):
    assert similarity(one, other) == 1.0


def screen(person, listed, **arguments):
    result = get("corporate.screen_names").call(
        {"screened_names": [person], "watch_list": [listed], **arguments}
    )
    return result["screened"][0]["screening"], result["screening_verdict"]


LISTED = {"name": "Viktor Sorensen", "born_on": "1970-05-01", "country": "NO"}


@pytest.mark.parametrize(
    ("person", "decision"),
    [
        ({"name": "Viktor Sorensen", "born_on": "1970-05-01"}, "likely true match"),
        ({"name": "Viktor Sørensen"}, "likely true match"),
        ({"name": "Viktor Sorensen", "born_on": "1991-01-09"}, "possible match"),
        ({"name": "Viktor Sorensen", "born_on": "1991-01-09", "country": "AU"}, "no match"),
        ({"name": "Grace Achterberg"}, "no match"),
    ],
)
def test_a_birth_date_and_a_country_decide_between_equal_names(person, decision):
    assert screen(person, LISTED)[0] == decision


def test_a_likely_match_stops_onboarding():
    assert screen({"name": "Viktor Sorensen"}, LISTED)[1] == "stop onboarding and escalate"
    assert screen({"name": "Grace Achterberg"}, LISTED)[1] == "clear, no matches"


def test_a_higher_threshold_needs_a_closer_name():
    person = {"name": "Victor Sorenson"}
    assert screen(person, LISTED, match_threshold="0.85")[0] != "no match"
    assert screen(person, LISTED, match_threshold="0.99")[0] == "no match"


def owners(rows, people):
    holdings = [dict(zip(("holder", "held", "share"), row, strict=True)) for row in rows]
    return get("corporate.beneficial_owners").call(
        {"client_company": "C", "holdings": holdings, "natural_persons": people}
    )


def test_shares_multiply_along_a_chain_and_add_over_chains():
    result = owners(
        [("H", "C", "0.6"), ("ann", "H", "0.5"), ("ann", "C", "0.1"), ("bob", "C", "0.3")],
        ["ann", "bob"],
    )
    assert result["effective_shares"] == [
        {"person": "ann", "share_percent": 40.0},
        {"person": "bob", "share_percent": 30.0},
    ]
    assert result["untraced_percent"] == 30.0


@pytest.mark.parametrize(("share", "found"), [("0.25", []), ("0.2501", ["ann"])])
def test_a_beneficial_owner_holds_more_than_a_quarter(share, found):
    assert owners([("ann", "C", share)], ["ann"])["beneficial_owners"] == found


def test_a_circle_of_holdings_goes_round_and_shrinks():
    result = owners([("A", "C", "0.5"), ("C", "A", "0.5"), ("ann", "C", "0.4")], ["ann"])
    assert result["traced_percent"] == 53.3333  # 0.4 / (1 - 0.5 x 0.5)


def test_many_crossing_chains_are_followed_in_no_time():
    layers = [[f"{level}-{place}" for place in range(8)] for level in range(14)]
    rows = [(layer, "C", "0.125") for layer in layers[0]]
    for below, above in pairwise(layers):
        rows += [(holder, held, "0.125") for held in below for holder in above]
    rows += [("ann", held, "1") for held in layers[-1]]
    assert owners(rows, ["ann"])["traced_percent"] == 100.0  # 8 ** 14 paths


def test_more_than_all_shares_is_refused():
    with pytest.raises(InvalidInput, match="holdings"):
        owners([("ann", "C", "0.6"), ("bob", "C", "0.6")], ["ann", "bob"])
