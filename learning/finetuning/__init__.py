"""Fine-tuning jobs: an exported set handed to a provider, its model brought back for review."""

from learning.finetuning.asking import MIN_LESSONS, cancel, document, find, start, visible
from learning.finetuning.working import MOST_TRIES, sweep, work

__all__ = [
    "MIN_LESSONS", "MOST_TRIES", "cancel", "document", "find", "start", "sweep", "visible", "work",
]  # fmt: skip
