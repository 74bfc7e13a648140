"""How often the context holds the answer, at equal context length, by ranking and passage size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agents.domain.chunking import chunks
from agents.domain.retrieval import pack
from agents.knowledge import index, search
from agents.knowledge.index import Given
from agents.models import Passage
from config.access.models import Client
from tests.agents.knowledge.labelled import NOTES, QUESTIONS

pytestmark = pytest.mark.django_db
# Tokens of context that every way of finding may fill.
CONTEXT_TOKENS = 60


def fill(firm: Client, monkeypatch: pytest.MonkeyPatch, max_tokens: int) -> None:
    monkeypatch.setattr(index, "chunks", lambda blocks: chunks(blocks, max_tokens))
    for title, text in NOTES.items():
        index.add(Given(title, text.encode(), "text/markdown"), client_id=firm.pk)


def share(find: Callable[[str], list[str]]) -> float:
    """Share of questions whose answer stands in the first CONTEXT_TOKENS of what is found."""
    right = 0
    for question, words in QUESTIONS:
        texts = find(question)
        right += any(words in text for text in texts[: pack(texts, CONTEXT_TOKENS, 20)])
    return right / len(QUESTIONS)


def ways(firm: Client) -> dict[str, Callable[[str], list[str]]]:
    def ranked(place: int) -> Callable[[str], list[str]]:
        def find(question: str) -> list[str]:
            model = search.embedding.current_model()
            asked: dict[str, Any] = {
                "query": question, "depth": 50, "everyone": True, "clients": [],
                "rights": [], "any_title": True, "titles": [], "model": model, "cut": "",
                "vector": str(search.embedding.embed_query(question, model)),
            }  # fmt: skip
            ids = search._ranked(asked)[place]
            texts = dict(Passage.objects.filter(pk__in=ids).values_list("pk", "text"))
            return [texts[key] for key in ids]

        return find

    def fused(question: str) -> list[str]:
        found = search.search(question, client_ids={firm.pk}, limit=20, max_tokens=10_000)
        return [one.text for one in found]

    return {"words": ranked(0), "vectors": ranked(1), "fused": fused}


def test_the_fused_ranking_finds_answers_that_either_ranking_alone_misses(
    firm: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(firm, monkeypatch, 120)
    found = {name: share(find) for name, find in ways(firm).items()}
    print("ways", found)
    assert found["fused"] >= 0.85
    assert found["fused"] >= max(found["words"], found["vectors"])


@pytest.mark.parametrize("max_tokens", [40, 80, 120, 240])
def test_no_passage_size_loses_many_answers_at_the_same_context(
    firm: Client, monkeypatch: pytest.MonkeyPatch, max_tokens: int
) -> None:
    fill(firm, monkeypatch, max_tokens)
    found = share(ways(firm)["fused"])
    print(max_tokens, found)
    assert found >= 0.6
