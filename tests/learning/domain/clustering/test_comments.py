import pytest

from learning.domain.clustering.comments import MOST_COMMENTS, group_comments

VAT = [
    "The VAT rate for Germany is wrong, it should be 19%",
    "wrong VAT rate was used for Germany",
    "German VAT rate is wrong again",
]
SLOW = [
    "The answer took far too long",
    "much too slow, I waited too long for the answer",
    "answer took too long, slow slow slow",
]
TONE = ["Impolite tone towards our client", "the tone of the letter was impolite"]


def test_comments_are_grouped_by_what_they_talk_about():
    topics = group_comments([*VAT, *SLOW, *TONE])
    assert [set(t.members) for t in topics] == [{0, 1, 2}, {3, 4, 5}, {6, 7}]
    assert "vat" in topics[0].words
    assert topics[2].example in {6, 7}


def test_complaints_that_share_no_word_are_grouped_by_what_they_mean():
    slow = ["laggy, please speed it up", "I waited five minutes for the result", "Way too slow"]
    cut = ["answer is cut off", "it stops in the middle of a sentence", "output was truncated"]
    crash = ["The app crashes when I open it", "it closes by itself after start"]
    topics = group_comments([*slow, *cut, *crash])
    assert [set(t.members) for t in topics] == [{0, 1, 2}, {3, 4, 5}, {6, 7}]


def test_a_comment_like_no_other_stays_alone():
    topics = group_comments([*VAT, "please add a dark mode"])
    assert sorted(len(t.members) for t in topics) == [1, 3]


@pytest.mark.parametrize("comments", [[], [""], ["", "..."], ["the of and"], ["fine"]])
def test_empty_and_wordless_comments_do_no_harm(comments):
    assert sorted(i for t in group_comments(comments) for i in t.members) == list(
        range(len(comments))
    )


def test_too_many_comments_are_refused():
    with pytest.raises(ValueError, match="at most"):
        group_comments(["x"] * (MOST_COMMENTS + 1))
