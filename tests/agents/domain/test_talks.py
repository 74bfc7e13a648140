from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain.condensing import compress, lean_description, lean_schema, summarise, tight
from agents.domain.context import estimate_tokens
from agents.domain.messages import text_of
from agents.domain.questions import normal
from agents.domain.talks import Said, quality, remember

LONG = [
    Said(("user", "assistant")[n % 2], f"Turn {n}: the invoice {n} is {n * 100} euros. " * 4)
    for n in range(40)
]


def test_a_short_history_is_read_as_it_is() -> None:
    memory = remember(LONG[:4], 10_000)
    assert [text_of(m) for m in memory.messages] == [turn.text for turn in LONG[:4]]
    assert memory.summary == ""


@pytest.mark.parametrize("budget", [160, 400, 900])
def test_a_long_history_fits_its_budget_and_keeps_the_latest_whole(budget: int) -> None:
    memory = remember(LONG, budget, about="invoice 3")
    assert sum(estimate_tokens(text_of(m)) + 4 for m in memory.messages) <= budget
    assert text_of(memory.messages[-1]) == LONG[-1].text
    assert memory.messages[0]["content"].startswith("Earlier in this conversation: ")
    kept = [text_of(m) for m in memory.messages[1:]]
    assert kept == [turn.text for turn in LONG[-len(kept) :]]
    assert memory.messages[1]["role"] == "user"


def test_a_summary_is_made_of_the_texts_own_sentences_in_order() -> None:
    texts = ["We met on Monday. The fee is 4,200 euros.", "Lunch was good. The fee is due in May."]
    said = summarise(texts, 16, about="When is the fee due?")
    assert said == "The fee is 4,200 euros. The fee is due in May."
    assert summarise(texts, 1000) == " ".join(texts)


def test_compressing_takes_out_only_what_says_nothing() -> None:
    footer = "This message is confidential and meant for its addressee alone."
    text = f"Total   12.50\n{footer}\n--------\n\n\n\nNet  10.00\n{footer}\n"
    assert compress(text) == f"Total 12.50\n{footer}\n\nNet 10.00"
    assert compress("  code\n    indented") == "code\n    indented"


@pytest.mark.parametrize("figure", ["1", "٣", "½", "Ⅳ", "三"])
def test_a_line_with_a_figure_is_never_left_out(figure: str) -> None:
    line = f"Posting of the bank, paid to the landlord for office space {figure}"
    assert compress(f"{line}\n{line}\n{line}") == f"{line}\n{line}\n{line}"


def test_tight_json_keeps_every_number_and_member_as_it_was_written() -> None:
    given = 'See\n\n{ "a": 1.10,\n  "b": [1, 2e3], "c": "é" }\n\nand {not json}  please'
    assert tight(given) == 'See {"a":1.10,"b":[1,2e3],"c":"é"} and {not json} please'


def test_a_lean_schema_keeps_names_types_and_limits() -> None:
    schema = {
        "title": "args", "type": "object", "required": ["title"],
        "properties": {"title": {"type": "string", "title": "Title"},
                       "n": {"anyOf": [{"minimum": 0}], "default": None, "title": "N"}},
    }  # fmt: skip
    assert lean_schema(schema) == {
        "type": "object", "required": ["title"],
        "properties": {"title": {"type": "string"}, "n": {"anyOf": [{"minimum": 0}]}},
    }  # fmt: skip
    assert lean_description("Adds.\n\nTwice.\n\nSource: IAS 2.9.") == "Adds. Twice."
    assert lean_description("Source: only.") == "Source: only."


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ('Please check this: {"a": 1.50, "b": 2}', 'check this {"b":2,"a":1.5}', True),
        ("Could you check this?", "CHECK THIS, thanks!", True),
        ("The rate is 19.5 %", "The rate is 195 %", False),
        ("Add 5 to 7", "Add 7 to 5", False),
        ("Is -5 a loss?", "Is 5 a loss?", False),
        ('{"a": "1.50"}', '{"a": 1.5}', False),
        ('{"a": 10}', '{"a": 1}', False),
        ("not due", "due", False),
        ("Dear team,\nplease check\nthis. Kind regards", "check this", True),
        ("What is 120 + 30?", "What is 120 - 30?", False),
        ("Is it > 5?", "Is it < 5?", False),
        ("Book (1,200)", "Book 1,200", False),
        ("It costs ¥100", "It costs ₹100", False),
        ("A/B", "A B", False),
        ("What is 5!", "What is 5", False),
        ("1\n2", "1 2", False),
        ("Does it hold for US?", "Does it hold for us?", False),
        ("Translate: thanks", "Translate: cheers", False),
        ("How do I say hello, please?", "How do I say hi, please?", False),
        ("Thanks!", "Hello!", False),
        ("?", "!", False),
        ('{"a": ["number 1"]}', '{"a": [1]}', False),
        ('{"a": "x > 5"}', '{"a": "x < 5"}', False),
        ("die Maße", "die Masse", False),
        ("Convert 5 MW to W", "Convert 5 mW to W", False),
        ("Is 3 Mbar much?", "Is 3 mbar much?", False),
        ("What is N+1?", "What is n+1?", False),
        ("Compute n!", "Compute n", False),
        ("Is X the same as x?", "Is X the same as X?", False),
        ("How many W is a MW?", "How many W is a mW?", False),
        ("MW in W", "mW in W", False),
        ("I have 5 kVAr", "I have 5 kvar", False),
        ("Is CO toxic?", "Is Co toxic?", False),
        ("What does ls -LA do?", "What does ls -la do?", False),
        ("Where is order AbCdE5?", "Where is order abcde5?", False),
        ("N + 1 = ?", "n + 1 = ?", False),
        ("Hello,\nCan you check the IFRS note?", "check the ifrs note", True),
        ("In 2024 The year was good. Is it?", "in 2024 The year was good. is it", True),
        ("Is 5 Gb enough?", "is 5 Gb enough", True),
        ("A bank pays. Do I book it?", "a bank pays. do i book it", True),
        ("ADD 5 TO 7, THANK YOU", "add 5 to 7", True),
    ],
)
def test_questions_are_the_same_when_only_their_manner_differs(
    first: str, second: str, same: bool
) -> None:
    assert (normal(first) == normal(second)) is same


# What a question is made of: words, figures, and every sign there is but braces (JSON).
SIGNS = sorted(
    {chr(n) for n in range(33, 127) if not chr(n).isalnum() and chr(n) not in "{}"}
    | {chr(n) for n in range(0xA1, 0x2BFF) if unicodedata.category(chr(n)) in ("Sc", "Sm", "Pd")}
    | set("²³½⅓‰°µ¬§«»‹›„“”‘’")
)
PIECES = st.sampled_from(["profit", "vat", "12", "1,200", "0.5", "x", " ", " ", "\n", *SIGNS])


def told(text: str) -> list[str]:
    """Words, figures and signs of ``text``, without what ends its last sentence."""
    plain = re.sub(r"(?:[\s.,;:?…]|(?<![\d)\]!])!)+\Z", "", text).lstrip(" \n,;:")
    return re.findall(r"\w+|[^\w\s]", plain)


@given(st.lists(PIECES, min_size=1, max_size=9), st.lists(PIECES, min_size=1, max_size=9))
def test_texts_of_other_words_figures_or_signs_never_share_a_form(
    one: list[str], other: list[str]
) -> None:
    first, second = "".join(one), "".join(other)
    if told(first) != told(second):
        assert normal(first) != normal(second)


@given(
    st.lists(PIECES, max_size=5), st.sampled_from(SIGNS), st.lists(PIECES, max_size=5),
    st.sampled_from(SIGNS),
)  # fmt: skip
def test_another_sign_before_a_figure_is_another_question(
    before: list[str], sign: str, after: list[str], other: str
) -> None:
    start, end = f"is {''.join(before)}", f"7{''.join(after)} due"
    if sign != other:
        assert normal(start + sign + end) != normal(start + other + end)
        assert normal(start + sign + end) != normal(start + end)


def test_quality_falls_with_repeats_complaints_failures_and_hand_overs() -> None:
    good = [Said("user", "What is the VAT rate?"), Said("assistant", "19 percent.")]
    assert quality([]) is None
    assert quality(good) == 0.9375
    assert quality([*good, Said("user", "Thanks!"), Said("assistant", "Welcome.")]) == 1.0
    again = [*good, Said("user", "What VAT rate is it?"), Said("assistant", "19 percent.")]
    wrong = [*good, Said("user", "That is wrong."), Said("assistant", "Sorry.")]
    failed = [good[0], Said("assistant", "Later.", "fallback")]
    for worse in (again, wrong, failed):
        assert (quality(worse) or 0) < 0.9
    assert quality(good, handed_over=True) == 0.75
