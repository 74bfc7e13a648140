"""A scenario as the loop may know it: sizes, looks and settings, never the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from config.errors import InvalidDocument

SCHEMA_FILE = Path(__file__).parent / "scenario.schema.json"
EXPERIMENT: Mapping[str, Any] = {
    "coverage_ratio": 0.4, "baseline": 0.7, "effect": 0.15, "minimum_units": 50,
    "minimum_days": 3, "most_size_ratio": 2.0, "cost_margin": 0.2,
}  # fmt: skip
# A tenth, a quarter, a half, everybody: a day each and as many units as a look needs.
STAGES = (
    {"share": 0.10, "minimum_hours": 24, "minimum_units": 20},
    {"share": 0.25, "minimum_hours": 24, "minimum_units": 40},
    {"share": 0.50, "minimum_hours": 24, "minimum_units": 50},
    {"share": 1.00, "minimum_hours": 24, "minimum_units": 10},
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated; see the reference on the learning loop for every field."""

    name: str
    seed: int
    candidates: int
    days: int = 60
    units_per_day: int = 100
    look_every_days: int = 1
    experiment: Mapping[str, Any] = field(default_factory=lambda: EXPERIMENT)
    rollout: Mapping[str, Any] = field(
        default_factory=lambda: {"strategy": "custom", "stages": STAGES}
    )
    alpha: float = 0.05
    epsilon: float = 0.1

    @property
    def names(self) -> list[str]:
        """Candidates as their prompts name them."""
        return [f"c{number:03d}" for number in range(1, self.candidates + 1)]


def read_scenario(
    path: Path, *, seed: int | None = None, candidates: int | None = None
) -> Scenario:
    """The scenario in a YAML file; raises InvalidDocument naming every fault, with its place."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDocument(path.name, [{"path": str(path), "message": str(error)}]) from error
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidDocument(path.name, [{"path": "YAML", "message": str(error)}]) from error
    return parse_scenario(value, path.stem, what=path.name, seed=seed, candidates=candidates)


def parse_scenario(
    value: Any, name: str = "scenario", *, what: str = "scenario", seed: int | None = None,
    candidates: int | None = None,
) -> Scenario:  # fmt: skip
    """The scenario that ``value`` describes; ``seed`` and ``candidates`` win over its own."""
    schema = json.loads(SCHEMA_FILE.read_text("utf-8"))
    errors = sorted(
        Draft202012Validator(schema).iter_errors(value),
        key=lambda error: list(map(str, error.absolute_path)),
    )
    if errors:
        faults = [
            {"path": "/".join(map(str, e.absolute_path)) or "scenario", "message": e.message[:300]}
            for e in errors
        ]
        raise InvalidDocument(what, faults)
    given = {key: value[key] for key in value if key != "truth"}
    peers = given.pop("peers", {})
    given["experiment"] = {**EXPERIMENT, **given.get("experiment", {})}
    rollout = given.get("rollout", {})
    strategy = rollout.get("strategy", "custom")
    stages = rollout.get("stages", STAGES if strategy == "custom" else ())
    given["rollout"] = {"strategy": strategy, "stages": [dict(stage) for stage in stages]}
    given |= {
        "name": given.get("name", name),
        "seed": given.get("seed", 0) if seed is None else seed,
    }
    if candidates is not None:
        given["candidates"] = candidates
    _check_size(given, what)
    return Scenario(**given, **peers)


def _check_size(given: Mapping[str, Any], what: str) -> None:
    experiment = given["experiment"]
    if experiment["baseline"] + experiment["effect"] >= 1:
        message = (
            f"baseline {experiment['baseline']:g} and effect {experiment['effect']:g} add up to "
            "1 or more"
        )
        raise InvalidDocument(what, [{"path": "experiment/effect", "message": message}])
