"""A version that does what a proposal says, so that it can be replayed and tried."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from agents import evidence, versions
from agents import services as agents
from agents.versions import Content
from config import logs
from config.errors import AppError
from learning import examples, improvements
from learning.domain.variations import variations
from learning.models import Improvement

logger = logging.getLogger(__name__)
FEW_SHOTS = 3
MOST_QUESTION = 4_000


def attach(row: Improvement, failure: str = "") -> UUID | None:
    """Publish the version that ``row`` proposes and name it there; None if there is none.

    A change of model, parameters or tools, another wording, worked examples: the rest needs a
    person.
    A version that was rolled back before closes the proposal instead.
    """
    base = evidence.production(row.agent_slug)
    content = content_for(row.agent_slug, versions.content_of(base), row.proposal, failure)
    if content is None:
        return None
    try:
        version, _ = agents.publish(
            agent=evidence.agent(row.agent_slug), content=content, note=row.title,
            created_by=row.proposed_by,
        )  # fmt: skip
        improvements.check_not_barred(row.agent_slug, version.pk)
    except improvements.Barred as barred:
        improvements.close(row.pk, reason=str(barred))
        return None
    except AppError as error:
        logs.event(logger, "learning.candidate.refused", improvement=str(row.pk), code=error.code)
        return None
    named = Improvement.objects.filter(
        pk=row.pk, state=Improvement.State.PROPOSED, candidate_version_id=None
    ).update(candidate_version_id=version.pk, base_version_id=base.pk)
    return version.pk if named else None


def twin_of(
    agent: str, kind: str, change: Mapping[str, Any], failure: str = ""
) -> Improvement | None:
    """An open proposal for another reason whose candidate would be this very version."""
    base = versions.content_of(evidence.production(agent))
    content = content_for(agent, base, change, failure)
    if content is None:
        return None
    version = versions.published(agent, content)
    if version is None:
        return None
    mine = improvements.digest_of(agent, kind, {**change}, None)
    rows = Improvement.objects.filter(
        agent_slug=agent, state__in=improvements.OPEN, candidate_version_id=version.pk
    ).exclude(digest=mine)  # fmt: skip
    return rows.order_by("-priority", "id").first()


def content_for(
    agent: str, base: Content, change: Mapping[str, Any], failure: str = ""
) -> Content | None:
    """``base`` with the change that a rule states; None for what no version can say."""
    made = base
    if isinstance(change.get("model"), Mapping):
        made = replace(made, model={**made.model, **change["model"]})
    given = [name for name in change.get("tools", ()) if name not in made.tools]
    if given:
        made = replace(made, tools=[*made.tools, *given])
    for kind in change.get("variations", ()):
        if kind == "few_shot":
            about = base.prompt[:MOST_QUESTION]
            made = replace(made, examples=[*examples.few_shot(agent, about, most=FEW_SHOTS)])
            continue
        worded = variations(made.prompt, tools=made.tools, failures=[failure] if failure else [])
        prompt = next((one.prompt for one in worded if one.kind == kind), None)
        if prompt is not None:
            made = replace(made, prompt=prompt)
    return None if made == base else made
