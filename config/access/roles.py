"""Roles and the scopes they carry. A scope is ``area:verb``; ``*`` stands for all of them."""

from __future__ import annotations

SCOPES: dict[str, str] = {
    "runs:read": "see runs, steps and artifacts",
    "runs:start": "start runs and schedules, upload artifacts",
    "runs:control": "cancel, pause, resume, retry and fork runs",
    "approvals:decide": "answer approvals",
    "workflows:read": "see workflow definitions",
    "workflows:write": "publish workflow definitions",
    "agents:read": "see agents, versions, tools and invocations",
    "agents:invoke": "talk to agents",
    "agents:write": "publish versions, move labels and traffic",
    "budgets:write": "set budgets",
    "knowledge:write": "add and remove knowledge",
    "feedback:write": "give feedback and scores",
    "learning:read": "see patterns, improvements, experiments and rollouts",
    "learning:decide": "approve improvements, run experiments and rollouts",
    "monitoring:read": "see metrics, alerts, incidents and costs",
    "monitoring:write": "set alert rules and silences, acknowledge incidents",
    "telemetry:write": "send traces of agents that run elsewhere",
    "audit:read": "read the audit log and security events",
    "scaling:read": "see queues and scaling decisions",
    "scaling:write": "change scaling policies",
    "privacy:write": "export and erase a person's data",
    "guardrails:scan": "scan text",
    "access:write": "manage users, keys and clients",
}

_READ = frozenset({"runs:read", "workflows:read", "agents:read", "learning:read"})
_WORK = _READ | {"runs:start", "agents:invoke", "feedback:write", "guardrails:scan"}

ROLES: dict[str, frozenset[str]] = {
    "administrator": frozenset(SCOPES),
    "platform_engineer": frozenset(SCOPES) - {"privacy:write", "access:write", "approvals:decide"},
    "partner": _WORK
    | {"runs:control", "approvals:decide", "monitoring:read", "knowledge:write", "audit:read"},
    "manager": _WORK | {"runs:control", "approvals:decide", "monitoring:read", "knowledge:write"},
    "professional": _WORK,
    "reviewer": _READ | {"learning:decide", "feedback:write", "monitoring:read"},
    "operator": _READ
    | {"runs:control", "monitoring:read", "monitoring:write", "scaling:read", "scaling:write"},
    "auditor": _READ | {"audit:read", "monitoring:read"},
    "external": frozenset({"runs:read", "agents:invoke", "feedback:write"}),
}

# Who may stand in for whom: a partner may do what a manager may, and so on upwards.
_ABOVE: dict[str, frozenset[str]] = {
    "professional": frozenset({"manager", "partner", "administrator"}),
    "manager": frozenset({"partner", "administrator"}),
    "partner": frozenset(),
    "reviewer": frozenset({"administrator"}),
    "operator": frozenset({"administrator", "platform_engineer"}),
}


def scopes_of(roles: frozenset[str]) -> frozenset[str]:
    """All scopes that any of ``roles`` carries; unknown roles carry none."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


def may_act_as(roles: frozenset[str], wanted: str) -> bool:
    """Whether a holder of ``roles`` may act where ``wanted`` is asked for."""
    return wanted in roles or bool(roles & _ABOVE.get(wanted, frozenset({"administrator"})))
