"""What the ledger tests share: a store in memory, and ledgers of a few lines."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from agents.tools import registry
from agents.tools.registry import ToolContext
from config.errors import NotFound
from tests.agents.tools.ledger.planting import SAMPLE

HEADER = "line_id,vendor_id,vendor,account_code,account,doc_no,amount_gbp,payment_date"


class MemoryStore:
    """Artifacts in a dictionary, named by their content."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def read(self, ref: str) -> bytes:
        if ref not in self.kept:
            raise NotFound("artifact", ref)
        return self.kept[ref]

    def save(self, name: str, content: bytes, content_type: str) -> str:
        ref = "artifact:" + hashlib.sha256(content).hexdigest()
        self.kept[ref] = content
        return ref


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def call(store):
    """Call a tool by name, as an agent or a step does."""

    def run(name, **arguments):
        return registry.get(name).call(arguments, ToolContext(artifacts=store))

    return run


@pytest.fixture(scope="session")
def sample_bytes() -> bytes:
    return Path(SAMPLE).read_bytes()


def ledger(*rows: str, header: str = HEADER) -> str:
    """CSV text of a header and rows."""
    return "\n".join((header, *rows)) + "\n"


def payments(amounts, *, vendor="V1", name="HARTLEY SUPPLIES", account="6100", start=1):
    """One row a month of 2024, on the second Tuesday."""
    days = (9, 13, 12, 9, 14, 11, 9, 13, 10, 8, 12, 10)
    return [
        f"{start + i},{vendor},{name},{account},Stationery,D{start + i},{amount},"
        f"2024-{i + 1:02d}-{days[i]:02d}"
        for i, amount in enumerate(amounts)
    ]
