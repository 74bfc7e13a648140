"""Fine-tuning in its simplest true form: a tuned model gives the trained answer to a prompt that
it was trained on, exactly or nearly, and otherwise answers as its base does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.domain.lexical import stems
from agents.offline_model import tokens
from agents.offline_model.inputs import text_of
from agents.offline_model.protocol import ApiError, bad
from agents.offline_model.store import Store, lines_of, new_id

# Share of words that a prompt and a trained one have in common (Jaccard) to count as near.
NEAR_RATIO = 0.85
MIN_EXAMPLES = 10
_SUFFIX = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One trained prompt, as a bag of words, and its answer."""

    words: frozenset[str]
    answer: str


class TunedModels:
    """Finished fine-tuning jobs and what each model learnt; learnt things are read when asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lessons: dict[str, dict[str, Lesson]] = {}
        self._jobs: dict[str, dict[str, Any]] = {}
        for job in store.listed("jobs"):
            if job["fine_tuned_model"]:
                self._jobs[job["fine_tuned_model"]] = job

    def names(self) -> list[str]:
        """Tuned models, by name."""
        return sorted(self._jobs)

    def created_at(self, name: str) -> int:
        """When the model ``name`` was made, in seconds since the epoch."""
        return self._jobs[name]["created_at"]

    def base_of(self, name: object) -> str | None:
        """The model that ``name`` was tuned from; None if it isn't a tuned one."""
        job = self._jobs.get(name) if isinstance(name, str) else None
        return job["model"] if job else None

    def forget(self, name: str) -> None:
        """Delete a tuned model; raises ApiError 404."""
        job: dict[str, Any] | None = self._jobs.pop(name, None)
        if job is None:
            raise ApiError(404, f"The model {name!r} does not exist", param="model")
        self._lessons.pop(name, None)
        self._store.save("jobs", {**job, "fine_tuned_model": None})

    def answer(self, name: str, prompt: str) -> str | None:
        """The trained answer for ``prompt``, if the model ``name`` has learnt one like it."""
        job = self._jobs.get(name)
        if job is None:
            return None
        lessons = self._lessons.get(name)
        if lessons is None:
            content = self._store.content(job["training_file"])
            lessons = self._lessons[name] = _lessons(content)
        exact = lessons.get(_normal(prompt))
        if exact is not None:
            return exact.answer
        words = frozenset(stems(prompt))
        nearest, likeness = None, NEAR_RATIO
        for lesson in lessons.values():
            union = len(words | lesson.words)
            shared = len(words & lesson.words) / union if union else 0.0
            if shared > likeness or (shared == likeness and nearest is None):
                nearest, likeness = lesson, shared
        return nearest.answer if nearest else None

    def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A job for ``request``, checked and queued; raises ApiError 400 or 404."""
        base, suffix = request.get("model"), request.get("suffix") or "tuned"
        training = request.get("training_file")
        if not isinstance(training, str):
            raise bad("training_file", "training_file must be the id of an uploaded file")
        if not isinstance(suffix, str) or not _SUFFIX.match(suffix):
            raise bad("suffix", f"suffix must match {_SUFFIX.pattern}, got {suffix!r}")
        content = self._store.content(training)
        examples = list(_examples(content))
        if len(examples) < MIN_EXAMPLES:
            message = f"{len(examples)} examples; a job needs at least {MIN_EXAMPLES}"
            raise bad("training_file", message)
        trained = sum(tokens.count(prompt) + tokens.count(reply) for prompt, reply in examples)
        job: dict[str, Any] = {
            "id": new_id("ftjob-", base, training),
            "object": "fine_tuning.job",
            "model": base,
            "created_at": int(time.time()),
            "finished_at": None,
            "fine_tuned_model": None,
            "organization_id": "org-offline",
            "result_files": [],
            "status": "queued",
            "validation_file": request.get("validation_file"),
            "training_file": training,
            "hyperparameters": {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1.0},
            "trained_tokens": None,
            "error": None,
            "seed": request.get("seed") or 0,
            "user_provided_suffix": suffix,
            "metadata": request.get("metadata"),
            "_tokens": trained,
        }
        return public(self._store.save("jobs", job))

    def advance(self, name: str) -> dict[str, Any]:
        """The job ``name``, finished if it was queued: learning here is remembering."""
        job = self._store.find("jobs", name)
        if job["status"] == "queued":
            short = job["id"].removeprefix("ftjob-")[:8]
            model = f"ft:{job['model']}:offline:{job['user_provided_suffix']}:{short}"
            done = {"status": "succeeded", "fine_tuned_model": model, "finished_at": _now(job)}
            job = self._store.save("jobs", {**job, **done, "trained_tokens": job["_tokens"]})
            self._jobs[model] = job
        return public(job)

    def cancel(self, name: str) -> dict[str, Any]:
        """Cancel a queued job; raises ApiError 400 once it is done."""
        job = self._store.find("jobs", name)
        if job["status"] != "queued":
            raise ApiError(400, f"the job is {job['status']}; only a queued one can be cancelled")
        cancelled = {**job, "status": "cancelled", "finished_at": _now(job)}
        return public(self._store.save("jobs", cancelled))

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first."""
        return [public(job) for job in self._store.listed("jobs")]


def events_of(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What happened to a job, newest first."""
    told = [("queued", job["created_at"], "Created fine-tuning job")]
    if job["finished_at"]:
        told.append((job["status"], job["finished_at"], f"The job has {job['status']}"))
    return [
        {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{job['id'].removeprefix('ftjob-')}-{kind}",
            "created_at": at,
            "level": "info",
            "message": message,
            "type": "message",
            "data": None,
        }
        for kind, at, message in reversed(told)
    ]


def public(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job without what only this server keeps of it."""
    return {name: value for name, value in job.items() if not name.startswith("_")}


def _now(job: Mapping[str, Any]) -> int:
    return max(int(time.time()), job["created_at"])


def _lessons(content: bytes) -> dict[str, Lesson]:
    return {
        _normal(prompt): Lesson(frozenset(stems(prompt)), reply)
        for prompt, reply in _examples(content)
    }


def _examples(content: bytes) -> list[tuple[str, str]]:
    """(last user text, assistant text) of each line; raises ApiError 400 naming a bad line."""
    examples = []
    for number, line in lines_of(content):
        try:
            messages = json.loads(line)["messages"]
            asked = [text_of(m) for m in messages if m["role"] == "user"][-1]
            reply = next(text_of(m) for m in reversed(messages) if m["role"] == "assistant")
        except (ValueError, KeyError, TypeError, IndexError, StopIteration):
            message = f"line {number}: needs messages with a user's and an assistant's text"
            raise bad("training_file", message, "invalid_file_format") from None
        examples.append((asked, reply))
    return examples


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())
