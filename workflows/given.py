"""What a run is given: its inputs against the workflow's schema, and the files among them."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from django.conf import settings

from config import schemas
from config.errors import InvalidInput, NotFound
from workflows import artifacts
from workflows.domain.definition import Plan
from workflows.domain.documents import json_text


def with_defaults(plan: Plan, inputs: Any) -> Any:
    """``inputs`` with the schema's defaults for what was not given at the top level."""
    if not isinstance(inputs, dict):
        return inputs
    properties = plan.inputs_schema.get("properties") or {}
    defaults = {k: v["default"] for k, v in properties.items() if "default" in v}
    return {**defaults, **inputs}


def check_inputs(plan: Plan, inputs: Any, *, client_id: UUID) -> None:
    """Raise InvalidInput for inputs that the workflow's JSON Schema refuses, or no row can hold."""
    json_text(inputs, field="inputs")
    if (error := schemas.first_error(plan.inputs_schema, inputs, formats=True)) is not None:
        where = ".".join(["inputs", *(str(part) for part in error.absolute_path)])
        raise InvalidInput(where, error.instance if error.absolute_path else "", error.message)
    for name, given in given_artifacts(plan, inputs).items():
        try:
            artifacts.find(given, client_id=client_id)
        except NotFound:
            raise artifacts.no_artifact(name, given) from None


def require_short(inputs: Any) -> None:
    """Raise InvalidInput for inputs that are kept to be given again and again, and are no settings.

    A run's own go to files where they are large; these stay in a row that many look at.
    """
    size, limit = len(json_text(inputs, field="inputs")), settings.MAX_INLINE_BYTES
    if size > limit:
        wanted = f"at most {limit} here; upload a file and give its id"
        raise InvalidInput("inputs", f"{size} characters", wanted)


def given_artifacts(plan: Plan, inputs: Any) -> dict[str, Any]:
    """The inputs that name artifacts, as the workflow's schema says."""
    properties = plan.inputs_schema.get("properties") or {}
    return {
        name: inputs[name]
        for name, part in properties.items()
        if part.get("format") == "artifact" and inputs.get(name) is not None
    }


def digest_of(workflow: str, inputs: Any) -> str:
    text = json.dumps([workflow, inputs], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
