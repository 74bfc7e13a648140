"""Fine-tuning: files and jobs handed to an endpoint that offers it, and asked after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import openai

from agents.endpoints.clients import client_for
from agents.endpoints.directory import Served
from config.errors import AppError, Unavailable

# How many of the provider's newest jobs are searched for one that a dead worker handed in.
RECENT = 50
MARK = "ratchet_tuning"
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class TrainingRefused(AppError):
    """The provider does not take this job; another try would end the same."""

    code, http_status = "training_refused", 502

    def __init__(self, endpoint: str, why: str) -> None:
        super().__init__(endpoint, why)
        self.endpoint, self.why = endpoint, why

    def __str__(self) -> str:
        return f"endpoint {self.endpoint!r} refused the fine-tuning job: {self.why}"


@dataclass(frozen=True, slots=True)
class Told:
    """How a job stands. ``model`` is the tuned one's name once the job has succeeded."""

    state: str
    model: str = ""
    trained_tokens: int | None = None
    why: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED


def submit(
    served: Served, *, model: str, training: bytes, validation: bytes, mark: str, suffix: str
) -> str:
    """Hand in a job; returns the provider's id. Raises Unavailable or TrainingRefused.

    A job that bears ``mark`` already is taken instead: it was handed in by a worker that died
    before it could say so.
    """
    found = marked(served, mark)
    if found:
        return found
    client = client_for(served)
    try:
        files = [
            client.files.create(file=(f"{name}.jsonl", content), purpose="fine-tune").id
            for name, content in (("training", training), ("validation", validation))
            if content
        ]
        more: dict[str, Any] = {"validation_file": files[1]} if len(files) > 1 else {}
        made = client.fine_tuning.jobs.create(
            training_file=files[0], model=model, suffix=suffix, metadata={MARK: mark}, **more
        )
    except openai.OpenAIError as error:
        raise _fault(served, error) from error
    return made.id


def marked(served: Served, mark: str) -> str:
    """The id of the provider's job with this mark; empty if there is none."""
    try:
        for job in client_for(served).fine_tuning.jobs.list(limit=RECENT).data:
            if (job.metadata or {}).get(MARK) == mark:
                return job.id
    except openai.OpenAIError as error:
        raise _fault(served, error) from error
    return ""


def look(served: Served, external_id: str) -> Told:
    """How a job stands now; raises Unavailable or TrainingRefused (it is gone)."""
    try:
        job = client_for(served).fine_tuning.jobs.retrieve(external_id)
    except openai.OpenAIError as error:
        raise _fault(served, error) from error
    why = job.error.message if job.error and job.error.message else ""
    return Told(job.status, job.fine_tuned_model or "", job.trained_tokens, why)


def cancel(served: Served, external_id: str) -> None:
    """Ask the provider to stop; one that is over already stays so. Raises Unavailable."""
    try:
        client_for(served).fine_tuning.jobs.cancel(external_id)
    except openai.APIStatusError as error:
        if error.status_code >= 500 or error.status_code == 429:
            raise _fault(served, error) from error
    except openai.OpenAIError as error:
        raise _fault(served, error) from error


def forget(served: Served, model: str) -> None:
    """Delete a tuned model that nobody wants; one that is gone already is no fault."""
    try:
        client_for(served).models.delete(model)
    except openai.APIStatusError:
        return
    except openai.OpenAIError as error:
        raise _fault(served, error) from error


def _fault(served: Served, error: openai.OpenAIError) -> AppError:
    """Refused for good if it is about the request, else away for now."""
    if isinstance(error, openai.APIStatusError) and error.status_code < 500:
        if error.status_code not in (408, 409, 429):
            return TrainingRefused(served.endpoint, str(error.message)[:300])
    return Unavailable(f"fine-tuning at endpoint {served.endpoint}", type(error).__name__, 30)
