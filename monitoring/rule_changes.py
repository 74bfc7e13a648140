"""Changing alert rules: what an operator sets stays, whatever the set-up ships."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.forms.models import model_to_dict

from config.errors import Conflict, NotFound
from monitoring import history
from monitoring.audit import audit
from monitoring.models import AlertRule


def find(slug: str) -> AlertRule:
    """Raises NotFound."""
    rule = AlertRule.objects.filter(slug=slug).first()
    if rule is None:
        raise NotFound("alert rule", slug)
    return rule


@transaction.atomic
def change(slug: str, values: dict[str, Any], *, actor: str) -> AlertRule:
    """Set what differs; it is judged so from the next pass on. Raises NotFound."""
    rule = AlertRule.objects.select_for_update().filter(pk=find(slug).pk).get()
    changed = {name: value for name, value in values.items() if getattr(rule, name) != value}
    if not changed:
        return rule
    before = {name: getattr(rule, name) for name in changed}
    for name, value in changed.items():
        setattr(rule, name, value)
    rule.tuned = sorted({*rule.tuned, *changed} - {"is_active"})
    rule.save(update_fields=[*changed, "tuned"])
    audit(actor=actor, action="monitoring.rule.changed", target=f"rule:{slug}",
          before=before, after=changed)  # fmt: skip
    transaction.on_commit(history.forget)
    return rule


@transaction.atomic
def delete(slug: str, *, actor: str) -> None:
    """Delete a rule of one's own. Raises NotFound, and Conflict for one that is shipped."""
    rule = find(slug)
    if rule.is_shipped:
        raise Conflict("alert rule", "shipped", "one of your own; turn this off with is_active")
    audit(actor=actor, action="monitoring.rule.deleted", target=f"rule:{slug}",
          before=model_to_dict(rule, exclude=["id"]))  # fmt: skip
    rule.delete()
