"""Who stands behind an address."""

from __future__ import annotations

import pytest

from agents.domain.providers import provider_of


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai.com"),
        ("https://ours-east.openai.azure.com:443/v1", "azure.com"),
        ("https://models.example.co.uk/v1", "example.co.uk"),
        ("https://models.example.or.jp/v1", "example.or.jp"),
        ("https://API.Example.ORG./v1", "example.org"),
        ("https://models.intern.lan/v1", "intern.lan"),
        ("http://127.0.0.1:8001/v1", "127.0.0.1"),
        ("http://[::1]:8001/v1", "::1"),
        ("http://vllm:8000/v1", "vllm"),
        ("", ""),
    ],
)
def test_an_address_names_its_owner(url: str, provider: str) -> None:
    assert provider_of(url) == provider
