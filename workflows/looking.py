"""What a watch sees: for which clients its condition holds now, and why in words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from config.access.models import Client
from monitoring import queries as monitoring
from workflows.database import execute
from workflows.domain.transitions import duration_seconds
from workflows.domain.watching import Found, breaches
from workflows.models import Run, Watch

# Findings of one pass; a watch that finds more is too wide to help anybody.
MOST_FOUND = 200


def look(watch: Watch, *, now: datetime) -> list[Found]:
    """Clients for which the condition holds; raises InvalidInput for an unknown metric or scope."""
    kind = watch.condition["kind"]
    see = {"measurement": _measured, "overdue": _overdue, "arrival": _arrived}[kind]
    return see(watch, now)[:MOST_FOUND]


def _measured(watch: Watch, now: datetime) -> list[Found]:
    asked = watch.condition
    since = now - timedelta(seconds=duration_seconds(asked["window"]))
    about = watch.client_id or Client.objects.values_list("id", flat=True).get(is_firm=True)
    scope = asked.get("scope", "client" if watch.client_id else "all")
    key = asked.get("key", str(watch.client_id) if scope == "client" else "")
    stat = monitoring.total(asked["metric"], scope=scope, key=key, since=since, until=now)
    name = asked.get("statistic", "total")
    if stat.count < int(asked.get("min_count", 1)):
        return []
    if name == "ratio":
        whole = monitoring.total(asked["denominator"], scope=scope, key=key, since=since, until=now)
        value = stat.total / whole.total if whole.total else None
    else:
        value = monitoring.statistic(stat, name)
    if value is None or not breaches(value, asked):
        return []
    side, limit = ("above", asked["above"]) if "above" in asked else ("below", asked["below"])
    of = f" of {key}" if key and scope != "client" else ""
    why = (
        f"{name} of {asked['metric']}{of} was {value:.3g} in {asked['window']}, "
        f"{side} {float(limit):g}"
    )
    evidence = {"metric": asked["metric"], "scope": scope, "key": key, "value": value,
                "limit": limit, "since": since.isoformat(), "until": now.isoformat()}  # fmt: skip
    return [Found(about, key, why, value, evidence)]


def _overdue(watch: Watch, now: datetime) -> list[Found]:
    name = watch.condition.get("workflow", watch.workflow_name)
    limit = timedelta(seconds=duration_seconds(watch.condition["after"]))
    runs = Run.objects.filter(workflow_name=name, state="succeeded")
    if watch.client_id:
        runs = runs.filter(client_id=watch.client_id)
    found = []
    for client, last in runs.values_list("client_id").annotate(last=Max("ended_at")):
        # One that is under way will do.
        busy = Run.objects.filter(client_id=client, workflow_name=name, ended_at=None).exists()
        if now - last > limit and not busy:
            days = (now - last).days
            found.append(
                Found(
                    client, name, f"{name} last succeeded {days} days ago", float(days),
                    {"last_ended_at": last.isoformat(), "workflow": name},
                )
            )  # fmt: skip
    return found


_ARRIVED = """
SELECT a.client_id, a.id, a.name, a.created_at FROM workflows_artifact a
WHERE a.created_at > %(since)s AND a.created_by_id IS NOT NULL AND a.name ILIKE %(name)s
  AND (%(client)s::uuid IS NULL OR a.client_id = %(client)s)
  AND NOT EXISTS (SELECT 1 FROM workflows_artifactuse u
                  WHERE u.artifact_id = a.id AND u.run_id IS NOT NULL)
  AND NOT EXISTS (SELECT 1 FROM workflows_run r WHERE r.client_id = a.client_id
                  AND r.created_at >= a.created_at AND strpos(r.inputs::text, a.id::text) > 0)
ORDER BY a.id DESC LIMIT %(most)s
"""


def _arrived(watch: Watch, now: datetime) -> list[Found]:
    within = timedelta(seconds=duration_seconds(watch.condition.get("within", "7d")))
    pattern = watch.condition["name"]
    for plain, escaped in (("\\", "\\\\"), ("%", r"\%"), ("_", r"\_"), ("*", "%"), ("?", "_")):
        pattern = pattern.replace(plain, escaped)
    asked: dict[str, Any] = {
        "since": now - within, "name": pattern, "client": watch.client_id, "most": MOST_FOUND,
    }  # fmt: skip
    return [
        Found(
            client, str(artifact), f"{name} came, and no run has used it", str(artifact),
            {"artifact": {"id": str(artifact), "name": name}, "came_at": at.isoformat()},
        )
        for client, artifact, name, at in execute(_ARRIVED, asked)
    ]  # fmt: skip
