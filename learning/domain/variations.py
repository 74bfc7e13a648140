"""Other wordings of a prompt, made by rule: each says what it changes and why it may help.

Templates stay templates: nothing here touches what stands in ``{{ }}`` or ``{% %}``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z{])")
_TEMPLATE = re.compile(r"(\{[{%].*?[}%]\})", re.DOTALL)
# Words that carry no instruction. What follows a negation or a number is never cut.
_FILLERS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), instead)
    for pattern, instead in (
        (r"\bplease\s+", ""),
        (r"\b(?:make sure|be sure|take care) (?:that you |to )", ""),
        (r"\bin order to\b", "to"),
        (r"\bdue to the fact that\b", "because"),
        (r"\b(?:it is|it's) (?:important|essential|crucial) (?:that you |to )", ""),
        (r"\byou (?:should|must|need to) (?=always |never )", ""),
        (r"\b(?:very|really|quite|simply|basically|carefully|always) (?=[a-z])", ""),
        (r"\bas well as\b", "and"),
        (r"\beach and every\b", "every"),
        (r"\ba (?:large )?number of\b", "several"),
        (r"\bwith regard to\b", "about"),
        (r"\bprior to\b", "before"),
        (r"\bin the event that\b", "if"),
    )
)
_SPACES = re.compile(r"[ \t]{2,}")

ERROR_HANDLING = (
    "If an input is missing or unreadable, name it and say what you need; do not guess it. "
    "If a tool reports an error, correct the argument that it names and call it once more; "
    "if it fails again, say which tool failed and which figures are therefore missing."
)
ANTI_HALLUCINATION = (
    "State only figures, dates and citations that the input or a tool result holds, exactly as "
    'they stand there. Where there is none, write "not available"; never estimate silently. '
    "Mark every assumption as one."
)
BRIEF = (
    "Answer in as few words as carry the result: every figure once with its label, the conclusion "
    "in one sentence, no preamble, no repetition of the question."
)
CONVERSATION_FLOW = (
    "In a conversation: say in one sentence what you have understood before you act on it. Ask for "
    "all that is missing in one message, and never for what was said before. If the same question "
    "comes again, the first answer did not help: answer it another way, or offer to hand over to "
    "a person. Close with what happens next."
)
# Kinds of facts that an answer can lack, and the step that guards against it. The facts themselves
# stay out of the prompt: they belong to one case.
_CHECKS = {
    "number": "Check that every figure of the tools' results stands in the answer, not rounded.",
    "text": "Check that each tool's conclusion stands in the answer in its own words.",
    "regex": "Check that dates, references and codes stand in the answer as they were given.",
    "absent": "Check that nothing is in the answer that neither input nor tool has said.",
}


@dataclass(frozen=True, slots=True)
class Variation:
    """One other prompt. ``expects`` says in words what it should do, and at what price."""

    kind: str
    prompt: str
    why: str
    expects: str


def variations(
    prompt: str,
    *,
    tools: Sequence[str] = (),
    missed: Sequence[str] = (),
    failures: Sequence[str] = (),
) -> list[Variation]:
    """The wordings that differ from ``prompt``: explicit, short, error handling, constraints.

    ``missed`` are facts that answers lacked, ``failures`` templates of errors that came up.
    """
    found = [
        Variation("explicit", explicit(prompt, tools, missed),
                  "the method is spelt out as steps, with what answers left out",
                  "fewer facts left out, for a longer prompt"),
        Variation("compressed", compressed(prompt),
                  "fillers and repeated sentences are cut",
                  "fewer input tokens at the same accuracy"),
        Variation("brief", _with_section(prompt, BRIEF),
                  "it asks for the result in as few words as carry it",
                  "fewer output tokens; accuracy has to be measured"),
        Variation("error_handling", error_handling(prompt, failures),
                  "it says what to do about missing inputs and failing tools",
                  "fewer failed calls and guessed values"),
        Variation("anti_hallucination", constrained(prompt),
                  "figures must come from the input or a tool",
                  "fewer unsupported figures; some answers say less"),
        Variation("conversation_flow", _with_section(prompt, CONVERSATION_FLOW),
                  "it says how to lead a conversation: ask once, confirm, hand over in time",
                  "fewer repeated questions and hand-overs"),
    ]  # fmt: skip
    return [one for one in found if one.prompt.split() != prompt.split()]


def explicit(prompt: str, tools: Sequence[str] = (), missed: Sequence[str] = ()) -> str:
    """The prompt with its method as numbered steps at the end."""
    steps = ["Read the whole input and list what is asked for."]
    if tools:
        named = ", ".join(tools)
        steps.append(f"Call the tools that apply ({named}) before you state any figure.")
    steps.append("State every result with its label, unit and period, one line each.")
    steps += [
        check for kind, check in _CHECKS.items() if any(f"({kind} " in f"({one}" for one in missed)
    ]
    steps.append("Read the answer against the question once more; add what is missing.")
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))
    return _with_section(prompt, f"Work in these steps:\n{numbered}")


def error_handling(prompt: str, failures: Sequence[str] = ()) -> str:
    """The prompt with what to do when something is missing or fails."""
    text = ERROR_HANDLING
    if failures:
        text += " Known trouble: " + "; ".join(_plain(f) for f in failures[:3]) + "."
    return _with_section(prompt, text)


def constrained(prompt: str) -> str:
    """The prompt with its sources of figures limited to input and tools."""
    return _with_section(prompt, ANTI_HALLUCINATION)


def compressed(prompt: str) -> str:
    """The prompt without fillers and repeated sentences; its templates stay as they are."""
    pieces = _TEMPLATE.split(prompt)
    pieces[::2] = [_without_fillers(piece) for piece in pieces[::2]]
    seen: set[str] = set()
    lines = []
    for line in "".join(pieces).splitlines():
        kept = []
        for sentence in _SENTENCE.split(line.strip()):
            key = " ".join(sentence.lower().split())
            if key in seen and "{" not in sentence:
                continue
            seen.add(key)
            kept.append(sentence)
        text = " ".join(kept).strip()
        if text:
            lines.append(text[0].upper() + text[1:] if text[0].islower() else text)
    return "\n".join(lines)


def _without_fillers(text: str) -> str:
    for pattern, instead in _FILLERS:
        text = pattern.sub(instead, text)
    return _SPACES.sub(" ", text)


def _with_section(prompt: str, section: str) -> str:
    return prompt if section in prompt else f"{prompt.rstrip()}\n\n{section}\n"


def _plain(text: str) -> str:
    """A text that no template engine and no reader takes for anything but words."""
    return " ".join(text.replace("{", "(").replace("}", ")").split())[:160]
