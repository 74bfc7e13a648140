from __future__ import annotations

import pytest

from learning.domain.topics import named_topics

VAT = ["The VAT rate was wrong again", "wrong VAT rate for books", "VAT rate is not right"]
SLOW = ["It took minutes to answer, too slow", "far too slow to answer", "slow, slow answer"]


def test_a_topic_keeps_its_id_while_its_words_change():
    first = named_topics([*VAT, *SLOW], {})
    assert len(first) == 2
    assert all(topic.is_new for topic in first)
    known = {t.key: [*VAT, *SLOW][t.example] for t in first}
    later = named_topics(["answer came too slow", "the VAT rate looks wrong", "too slow"], known)
    assert {t.key for t in later} <= set(known)
    assert not any(topic.is_new for topic in later)


def test_a_known_topic_that_nobody_speaks_of_is_not_listed():
    assert [t.key for t in named_topics(VAT, {"0" * 16: "It is far too slow to answer"})] != [
        "0" * 16
    ]


def test_members_count_new_comments_only():
    (found,) = named_topics(VAT, {"k": VAT[0]})
    assert found.key == "k"
    assert sorted(found.members) == [0, 1, 2]


def test_too_many_are_refused():
    with pytest.raises(ValueError, match="at most"):
        named_topics(["a"] * 2001, {})
