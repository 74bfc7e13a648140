"""JSON Schema of the statistics document, served and shipped: what ``reading.read`` accepts.

GrowthBook's names for the same sums are accepted beside these (see ``fields``).
"""

from __future__ import annotations

from typing import Any

NUMBER = {"type": "number"}
COUNT = {"type": "integer", "minimum": 0}
NAME = {"type": "string", "minLength": 1}
SCALE = {"enum": ["relative", "absolute"]}
STATISTICS: dict[str, Any] = {
    "type": "object",
    "description": (
        "Sufficient statistics of one metric in one arm. proportion: n, successes. mean, count: "
        "n, sum, sum_squares. ratio: n, numerator_sum, numerator_sum_squares, denominator_sum, "
        "denominator_sum_squares, numerator_denominator_sum_product. quantile: n, value, lower, "
        "upper (95 % interval), n_star. With a covariate from before the experiment (CUPED): "
        "covariate_sum, covariate_sum_squares, covariate_sum_product. Clustered quantile: also "
        "n_clusters, below_sum, below_sum_squares, events_sum, events_sum_squares, sum_products."
    ),
    "properties": {
        "n": {**COUNT, "description": "Assigned units; for a quantile, values."},
        "successes": {**NUMBER, "minimum": 0},
        "sum": NUMBER,
        "sum_squares": {**NUMBER, "minimum": 0},
        "numerator_sum": NUMBER,
        "numerator_sum_squares": {**NUMBER, "minimum": 0},
        "denominator_sum": NUMBER,
        "denominator_sum_squares": {**NUMBER, "minimum": 0},
        "numerator_denominator_sum_product": NUMBER,
        "covariate_sum": NUMBER,
        "covariate_sum_squares": {**NUMBER, "minimum": 0},
        "covariate_sum_product": NUMBER,
        "value": NUMBER,
        "lower": NUMBER,
        "upper": NUMBER,
        "n_star": COUNT,
        "n_clusters": COUNT,
    },
}
ARM: dict[str, Any] = {
    "type": "object",
    "required": ["key"],
    "properties": {
        "key": NAME,
        "weight": {**NUMBER, "minimum": 0, "description": "Share that was meant."},
        "units": {**COUNT, "description": "Units assigned; default: the largest n."},
        "metrics": {"type": "object", "additionalProperties": {"$ref": "#/$defs/statistics"}},
    },
}
ARMS: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/arm"}}
METRIC: dict[str, Any] = {
    "type": "object",
    "required": ["key", "type"],
    "properties": {
        "key": NAME,
        "type": {"enum": ["proportion", "mean", "count", "ratio", "quantile"]},
        "role": {
            "enum": ["primary", "secondary", "guardrail"],
            "description": "Exactly one is primary; the first if none says so.",
        },
        "direction": {"enum": ["increase", "decrease"], "default": "increase"},
        "margin": {
            **NUMBER,
            "minimum": 0,
            "description": "How much worse a guardrail metric may get; without it, it only stops.",
        },
        "margin_type": {**SCALE, "default": "relative"},
        "quantile": {**NUMBER, "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "numerator_type": {"enum": ["mean", "proportion"], "default": "mean"},
        "denominator_type": {"enum": ["mean", "proportion"], "default": "mean"},
        "covariate_type": {"enum": ["mean", "proportion"], "default": "mean"},
        "minimum_measured": {
            **NUMBER,
            "minimum": 0,
            "default": 0,
            "description": "Of a ratio: units of an arm (Kish's effective size of its "
            "denominators) under which nothing is read of it.",
        },
    },
}
TEST: dict[str, Any] = {
    "type": ["object", "string"],
    "properties": {
        "kind": {
            "enum": ["sequential", "fixed", "group_sequential", "bayesian", "bandit"],
            "default": "sequential",
        },
        "alpha": {**NUMBER, "exclusiveMinimum": 0, "exclusiveMaximum": 1, "default": 0.05},
        "difference_type": {**SCALE, "default": "relative"},
        "alternative": {"enum": ["two_sided", "greater", "less"], "default": "two_sided"},
        "tuning": {
            **NUMBER,
            "exclusiveMinimum": 0,
            "default": 5000,
            "description": "Total units at which a sequential interval is narrowest; fixed before "
            "the start.",
        },
        "spending": {"enum": ["obrien_fleming", "pocock"], "default": "obrien_fleming"},
        "looks": {
            "type": "integer",
            "minimum": 1,
            "description": "As a plan gives it; changes nothing.",
        },
        "look_fractions": {
            "type": "array",
            "items": NUMBER,
            "description": "Information at each look of a group-sequential test up to now; "
            "default: units after each day against planned_units.",
        },
        "prior": {
            "type": "object",
            "properties": {
                "mean": NUMBER,
                "stddev": NUMBER,
                "variance": NUMBER,
                "proper": {"type": "boolean", "default": True},
                "type": {**SCALE, "default": "relative"},
            },
        },
        "chance_to_win": {**NUMBER, "default": 0.95},
        "normal": {"type": "boolean", "description": "The normal law instead of Student's t."},
    },
}
EXPERIMENT: dict[str, Any] = {
    "type": "object",
    "required": ["metrics"],
    "properties": {
        "name": NAME,
        "control": {**NAME, "description": "Default: control, baseline, 0, A, or the first arm."},
        "metrics": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/metric"}},
        "test": {"$ref": "#/$defs/test"},
        "weights": {
            "type": ["object", "array"],
            "description": "Shares that were meant, by arm or in the arms' order; default equal.",
        },
        "correction": {"enum": ["holm", "benjamini_hochberg", "none"], "default": "holm"},
        "minimum_units": {**COUNT, "default": 100, "description": "Per arm."},
        "minimum_days": {**NUMBER, "default": 14},
        "planned_units": {**COUNT, "description": "Per arm."},
        "planned_days": NUMBER,
        "days": {**NUMBER, "description": "Days so far; default: counted where days are given."},
        "aa": {
            "type": "boolean",
            "description": "All arms are one version: any difference is a fault of the set-up.",
        },
        "complete": {"type": "boolean", "description": "The declared end of the test has come."},
        "watched": {
            "type": "boolean",
            "description": "Looked at all the time: chi-square, which is for one look, calls no "
            "mismatch.",
        },
        "open_date": {
            "type": "string",
            "description": "The date that is not over: no look yet of a group-sequential test "
            "that is watched.",
        },
        "stopped_arms": {
            "type": "array",
            "items": NAME,
            "description": "Treatments that were taken out for harm: shown, and decide nothing.",
        },
    },
}
STAGE: dict[str, Any] = {
    "type": "object",
    "description": "A time in which shares did not change: arms, or days with arms.",
    "properties": {
        "name": {"type": ["string", "number"]},
        "weights": {"type": ["object", "array"]},
        "arms": ARMS,
        "days": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["arms"],
                "properties": {"date": {"type": "string"}, "arms": ARMS},
            },
        },
    },
}
INPUT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Experiment statistics",
    "description": "Settings of an experiment, and its statistics as arms or as stages.",
    "type": "object",
    "required": ["experiment"],
    "properties": {
        "experiment": {"$ref": "#/$defs/experiment"},
        "arms": ARMS,
        "stages": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/stage"}},
    },
    "oneOf": [{"required": ["arms"]}, {"required": ["stages"]}],
    "$defs": {
        "experiment": EXPERIMENT,
        "metric": METRIC,
        "test": TEST,
        "arm": ARM,
        "stage": STAGE,
        "statistics": STATISTICS,
    },
}
