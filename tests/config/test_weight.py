"""What a process loads before it has done anything: memory and start-up time of every worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NUMERIC = {"pandas", "scipy", "sklearn", "statsmodels", "pyarrow", "plotly", "spacy"}
LOADED = """
import sys, django
django.setup()
from config.celery import app
app.loader.import_default_modules()
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def _loaded(process: str) -> set[str]:
    env = {**os.environ, "RATCHET_PROCESS": process, "CELERY_SKIP_CHECKS": "1",
           "DJANGO_SETTINGS_MODULE": "config.settings"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, env=env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_an_io_worker_loads_no_numeric_library_but_numpy() -> None:
    assert _loaded("ratchet-io1") & NUMERIC == set()


def test_beat_loads_neither_tasks_nor_the_model_client() -> None:
    assert _loaded("ratchet-beat") & (NUMERIC | {"openai", "mcp"}) == set()
