"""Tables of agents: the registry, endpoints, budgets, the record of calls, conversations."""

from agents.models.asynchronous import AsyncCall
from agents.models.batches import Batch, BatchItem
from agents.models.budgets import Budget, Hold
from agents.models.conversations import Conversation, Turn
from agents.models.effects import CachedAnswer, CachedQuestion, EffectAnswer, IdempotentToolResult
from agents.models.endpoints import Endpoint, PriceList
from agents.models.knowledge import Document, Passage, PassageMark
from agents.models.records import Invocation, ModelCall, ToolCall
from agents.models.registry import Agent, AgentVersion, Label, TrafficSplit
from agents.models.reviews import Review
from agents.models.sources import ToolSource

__all__ = [
    "Agent",
    "AgentVersion",
    "AsyncCall",
    "Batch",
    "BatchItem",
    "Budget",
    "CachedAnswer",
    "CachedQuestion",
    "Conversation",
    "Document",
    "EffectAnswer",
    "Endpoint",
    "Hold",
    "IdempotentToolResult",
    "Invocation",
    "Label",
    "ModelCall",
    "Passage",
    "PassageMark",
    "PriceList",
    "Review",
    "ToolCall",
    "ToolSource",
    "TrafficSplit",
    "Turn",
]
