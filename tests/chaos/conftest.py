"""Long drills run when they are asked for (``-m chaos``, ``-m slow``), not in ``make test``."""

from __future__ import annotations

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = str(config.option.markexpr)
    if "chaos" in asked or "slow" in asked:
        return
    left_out = [
        item
        for item in items
        if _HERE in item.path.parents and item.get_closest_marker("slow") is not None
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
