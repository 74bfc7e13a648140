"""The tables of workflows: runs and what they wait for, what starts them, whom they tell."""

from workflows.models.definitions import (
    Workflow,
    WorkflowLabel,
    WorkflowSplit,
    WorkflowVersion,
)
from workflows.models.needs import Approval, Artifact, ArtifactUse, Signal
from workflows.models.notices import ApprovalNotice, ApprovalWebhook
from workflows.models.runs import Lane, Run, RunEvent, StepRun
from workflows.models.seals import HistoryMark, HistorySeal
from workflows.models.triggers import Schedule, ScheduleTick, Suggestion, Watch

__all__ = [
    "Approval",
    "ApprovalNotice",
    "ApprovalWebhook",
    "Artifact",
    "ArtifactUse",
    "HistoryMark",
    "HistorySeal",
    "Lane",
    "Run",
    "RunEvent",
    "Schedule",
    "ScheduleTick",
    "Signal",
    "StepRun",
    "Suggestion",
    "Watch",
    "Workflow",
    "WorkflowLabel",
    "WorkflowSplit",
    "WorkflowVersion",
]
