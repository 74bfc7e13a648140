from __future__ import annotations

from learning.domain import corrections
from learning.domain.corrections import Change

PASSAGE = "Hotels cost at most 160 euros. In capitals it is 210 euros a night. Breakfast is in it."


def changed(wrong, right, question=""):
    return corrections.changed_sentence(PASSAGE, wrong=wrong, right=right, question=question)


def test_one_figure_that_was_corrected_changes_the_one_sentence_that_held_it():
    found = changed("The limit is 210 euros.", "It is 240 euros.")
    assert found == Change("In capitals it is 210 euros a night.",
                           "In capitals it is 240 euros a night.")  # fmt: skip


def test_what_is_not_plain_is_left_to_a_person():
    assert changed("210 euros", "The policy does not say.") is None  # brings no figure in
    assert changed("210 or 160", "240 euros or 180") is None  # two of them
    assert changed("300 euros", "240 euros") is None  # not from this passage
    assert changed("210 euros", "240 euros", question="Is it 240?") is None  # from the question


def test_a_change_is_made_once_and_can_be_taken_back():
    change = Change("In capitals it is 210 euros a night.", "In capitals it is 240 euros a night.")
    made = corrections.applied(PASSAGE, change)
    assert made is not None and "240" in made and "210" not in made
    assert corrections.applied(made, change) is None
    assert corrections.reverted(made, change) == PASSAGE + "\n"
    assert corrections.applied(f"{PASSAGE} {PASSAGE}", change) is None
    added = corrections.note("Which limit?", "240 euros", "it rose in May")
    longer = corrections.applied(PASSAGE, added)
    assert longer is not None and "Why: it rose in May" in longer
    assert corrections.applied(longer, added) is None
    assert corrections.reverted(longer, added) == PASSAGE + "\n"


def test_headings_come_back_as_they_nest():
    blocks = [("A", "One."), ("A › B", "Two."), ("A › B", "Three."), ("C › D", "Four.")]
    text = corrections.as_markdown(blocks)
    assert text == "# A\n\nOne.\n\n## B\n\nTwo.\nThree.\n\n# C\n\n\n## D\n\nFour.\n"
