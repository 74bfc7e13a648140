"""Answers of issue trackers."""

from __future__ import annotations

import pytest

from learning.domain.trackers import reference


@pytest.mark.parametrize(
    ("answer", "location", "expected"),
    [
        ({"id": 91, "number": 7, "html_url": "https://t.example/7"}, "", ("7", "https://t.example/7")),
        ({"id": 91, "iid": 3, "web_url": "https://t.example/3"}, "", ("3", "https://t.example/3")),
        ({"id": "10001", "key": "AUD-4", "self": "https://t.example/r/10001"}, "",
         ("AUD-4", "https://t.example/r/10001")),
        ({"data": {"identifier": "ENG-1", "url": "http://t.example/1"}}, "",
         ("ENG-1", "http://t.example/1")),
        ({"id": True, "url": "javascript:alert(1)"}, "", ("", "")),
        (None, "https://t.example/9", ("", "https://t.example/9")),
        ([1], "", ("", "")),
    ],
)  # fmt: skip
def test_an_answer_names_the_item_and_where_it_is(answer, location, expected):
    found = reference(answer, location)
    assert (found["id"], found["url"]) == expected
