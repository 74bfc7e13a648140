"""The tables of workflows: runs and what they wait for, what starts them, whom they tell."""

from workflows.models.notices import ApprovalNotice, ApprovalWebhook
from workflows.models.runs import (
    Approval,
    Artifact,
    ArtifactUse,
    Run,
    RunEvent,
    Signal,
    StepRun,
    Workflow,
    WorkflowLabel,
    WorkflowSplit,
    WorkflowVersion,
)
from workflows.models.triggers import Schedule, ScheduleTick, Suggestion, Watch

__all__ = [
    "Approval",
    "ApprovalNotice",
    "ApprovalWebhook",
    "Artifact",
    "ArtifactUse",
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
