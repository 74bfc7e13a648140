"""Models behind OpenAI-compatible addresses: which one to ask, and asking it."""

from agents.endpoints.asking import ask
from agents.endpoints.directory import Served, candidates, dearest, directory, price_at
from agents.endpoints.values import Failure, Reply, Request, Try

__all__ = [
    "Failure",
    "Reply",
    "Request",
    "Served",
    "Try",
    "ask",
    "candidates",
    "dearest",
    "directory",
    "price_at",
]
