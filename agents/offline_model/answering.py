"""What the offline model answers: a pure function of the request, its behaviour and the seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.offline_model.inputs import unambiguous
from agents.offline_model.passages import passages_in, passages_of, quote
from agents.offline_model.planning import (
    Conversation,
    Offer,
    Result,
    ToolCall,
    fill,
    make_call,
    next_calls,
    offers_in,
    partly_filled,
)
from agents.offline_model.quality import distort, draw
from agents.offline_model.structured import SchemaFiller
from agents.offline_model.writing import Verbosity, label, memo, tool_title, verdict

WITHOUT_TOOLS = (
    "This is the offline model, which stands in where no model endpoint is configured. It has no "
    "general knowledge: it answers by calling the tools it is offered, or from passages given "
    "with the question, and neither fits here."
)
# What ends an agent's prompt; another in every installation.
_MARK = re.compile(r"\[rk-[0-9a-f]{16}\]")
# What ends an agent's prompt; another in every installation.
_MARK = re.compile(r"\[rk-[0-9a-f]{16}\]")
NOT_IN_PASSAGES = "The passages given do not answer this."


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How well and at what length to answer one request."""

    accuracy_ratio: float = 1.0
    verbosity: Verbosity = "normal"
    completion_tokens_ratio: float = 1.0
    endless_tools: bool = False
    broken_arguments: bool = False
    wrong_schema: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Text or tool calls, never both."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


def answer(
    request: Mapping[str, Any],
    behaviour: Behaviour,
    *,
    seed: int,
    trained: str | None = None,
    key: str | None = None,
) -> Reply:
    """The reply to a chat-completions ``request``.

    ``trained`` is what fine-tuning taught for this prompt, if anything. ``key`` names the request
    in the ids of its tool calls; without it, its content does. Same request, behaviour and seed
    give the same reply in any process and order.
    """
    talk = Conversation(request["messages"])
    offers = offers_in(request.get("tools"))
    key = key or digest_of(seed, request)
    calls = [] if trained is not None else _calls(request, offers, talk, behaviour, key)
    if calls:
        if behaviour.broken_arguments:
            calls = [ToolCall(c.id, c.name, _broken(c.arguments)) for c in calls]
        return Reply(tool_calls=tuple(calls))
    decided_by = (seed, unmarked(talk.system), talk.said.text)
    wrong = draw("accuracy", *decided_by) >= behaviour.accuracy_ratio
    slip_key = digest_of(seed, decided_by) if wrong else None
    text = trained if trained is not None else _prose(talk, offers, behaviour, slip_key)
    schema = _schema(request)
    if schema is not None and not _is_object(trained):  # training taught the form too
        text = _structured(schema, talk, text, behaviour, slip_key)
    return Reply(text=text)


def _is_object(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or ""), dict)
    except ValueError:
        return False


def unmarked(prompt: str) -> str:
    """The prompt without the mark that finds leaks: luck must not hang on an installation's key."""
    return _MARK.sub("", prompt)


def digest_of(seed: int, value: Any) -> str:
    """A short digest of anything JSON-like, the same in every process."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(f"{seed}\x1f{text}".encode(), digest_size=12).hexdigest()


def _calls(
    request: Mapping[str, Any],
    offers: Sequence[Offer],
    talk: Conversation,
    behaviour: Behaviour,
    key: str,
) -> list[ToolCall]:
    choice = request.get("tool_choice", "auto")
    if not offers or choice == "none":
        return []
    if behaviour.endless_tools:
        arguments, _missing = fill(offers[0], talk)
        return [make_call(offers[0].name, arguments, f"{key}/{talk.rounds}/endless")]
    if isinstance(choice, Mapping):
        wanted = (choice.get("function") or {}).get("name")
        offers = [offer for offer in offers if offer.name == wanted]
    calls = next_calls(offers, talk, key)
    if not calls and talk.rounds == 0 and choice != "auto":
        calls = _forced(offers, talk, key)
    return calls[:1] if request.get("parallel_tool_calls") is False else calls


def _forced(offers: Sequence[Offer], talk: Conversation, key: str) -> list[ToolCall]:
    """The nearest tool called although values are missing: the caller insists on a call."""
    lacking = partly_filled(offers, talk)
    if not lacking:
        return [
            make_call(offer.name, fill(offer, talk)[0], f"{key}/forced") for offer in offers[:1]
        ]
    offer = lacking[0][0]
    known, _missing = fill(offer, talk)
    guessed = SchemaFiller(offer.parameters, [known], talk.said.prose.strip(), "").fill()
    return [make_call(offer.name, guessed, f"{key}/forced")]


def _prose(
    talk: Conversation, offers: Sequence[Offer], behaviour: Behaviour, slip_key: str | None
) -> str:
    results = _results(talk, slip_key)
    passages, question = passages_in(talk.said.text)
    passages += passages_in(talk.system)[0] + passages_of(talk.results)
    quoted = quote(question, passages, wrong=slip_key is not None) if passages else None
    if results:
        text = memo(results, verbosity=behaviour.verbosity)
        return "\n\n".join(part for part in (text, quoted, _not_run(talk, offers)) if part)
    if passages:
        return quoted or NOT_IN_PASSAGES
    if talk.earlier_results and not talk.said.objects and not talk.said.lines:
        earlier = _slipped(talk.earlier_results, slip_key)
        return memo(earlier, verbosity=behaviour.verbosity, question=talk.said.prose)
    if offers:
        return _ask(talk, offers)
    if talk.said.objects:
        given = _slipped([Result("input", talk.said.objects)], slip_key)
        return memo(given, verbosity=behaviour.verbosity, question=talk.said.prose)
    return WITHOUT_TOOLS


def _results(talk: Conversation, slip_key: str | None) -> list[Result]:
    """This turn's results, those that hold only passages left to quotation."""
    facts = [result for result in talk.results if not passages_of([result])]
    return _slipped(facts, slip_key)


def _slipped(results: Sequence[Result], slip_key: str | None) -> list[Result]:
    if slip_key is None:
        return list(results)
    return [Result(r.tool, distort(r.data, slip_key), distort(r.text, slip_key)) for r in results]


def _ask(talk: Conversation, offers: Sequence[Offer]) -> str:
    lacking = partly_filled(offers, talk)
    if not lacking:
        return WITHOUT_TOOLS
    offer, missing = lacking[0]
    names = ", ".join(missing)
    return (
        f"To do this I need values that the request does not give: {names}. "
        f'Please send them as JSON or as lines such as "{missing[0]}: …" '
        f"({tool_title(offer.name).lower()} needs {'it' if len(missing) == 1 else 'them'})."
    )


def _not_run(talk: Conversation, offers: Sequence[Offer]) -> str:
    """What could not be computed although part of its values was there."""
    notes = [
        f"{tool_title(offer.name)} (needs {', '.join(label(name) for name in missing)})"
        for offer, missing in partly_filled(offers, talk)
        if len(missing) < len(offer.required)
    ]
    return f"Not computed for want of inputs: {'; '.join(notes)}." if notes else ""


def _schema(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = request.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return wanted["json_schema"].get("schema") or {"type": "object"}
    return {"type": "object"} if wanted.get("type") == "json_object" else None


def _structured(
    schema: Mapping[str, Any],
    talk: Conversation,
    prose: str,
    behaviour: Behaviour,
    slip_key: str | None,
) -> str:
    results = _slipped(talk.results, slip_key)
    found: dict[str, Any] = {}
    for result in results:
        found.update(result.data)
    levels = [found, unambiguous(found), talk.said.objects, talk.said.lines, talk.said.nested]
    if not schema.get("properties") and "$ref" not in schema:
        value: Any = {**talk.said.lines, **found} or {**talk.said.objects} or {"answer": prose}
    else:
        value = SchemaFiller(schema, levels, prose, verdict(results)).fill()
    if behaviour.wrong_schema:
        value = {"unexpected": prose}
    return json.dumps(value, ensure_ascii=False)


def _broken(arguments: str) -> str:
    """Arguments cut inside, as a model does that loses its thread: never valid JSON."""
    return (arguments[: max(1, len(arguments) // 2)].rstrip() or "{") + ' "'
