"""The declaration of a missing tool: name, description and a JSON Schema of its parameters.

What people ask for decides the parameters: the formats, channels and systems that they name, and
what they know the thing by. Words of theirs are taken up where two or more people used them, so
that the declaration repeats nobody's own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from learning.domain.abilities.reading import Ability

# People who must use a word before it stands in a declaration; where one alone asks, that one.
SAID_BY = 2
_DATE = {"type": "string", "format": "date", "description": "Day that is meant; today if left out."}
_FILE = {"type": "string", "description": "Reference of the file, as it was attached or stored."}
_TEXT = {"type": "string"}
_CURRENCY = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code."}
_COUNTRY = {"type": "string", "pattern": "^[A-Z]{2}$", "description": "ISO 3166 code."}

_CAPITALS = frozenset(
    "vat iban bic qr hmrc sap datev csv pdf crm erp id xml json zip sms ocr api uk eu us".split()
)
# Of a declaration that somebody else wrote.
MOST_PROPERTIES, MOST_SCHEMA, MOST_DESCRIPTION, MOST_DEPTH = 20, 8_000, 500, 20
_NAME = re.compile(r"^[a-z][a-z0-9_]{2,63}$")
# As JSON writes what PostgreSQL refuses: the sign 0, and halves of a pair.
_UNKEPT = re.compile(r"\\u(?:0000|d[89a-f])")
Parameters = dict[str, dict[str, Any]]
# Things whose look-up takes more than their name says: what is required, and what may be given.
_KNOWN: dict[str, tuple[Parameters, Parameters]] = {
    "exchange rate": ({"from_currency": _CURRENCY, "to_currency": _CURRENCY}, {"on_date": _DATE}),
    "vat number": ({"vat_number": {**_TEXT, "description": "With its country prefix."}}, {}),
    "vat rate": ({"country": _COUNTRY}, {"on_date": _DATE}),
    "share price": ({"symbol": {**_TEXT, "description": "Ticker or ISIN."}}, {"on_date": _DATE}),
    "company register": (
        {"company_name": _TEXT}, {"register_number": _TEXT, "country": _COUNTRY},
    ),
    "bank account": ({"name": {**_TEXT, "description": "Whose account is meant."}}, {}),
    "weather": ({"place": _TEXT}, {"on_date": _DATE}),
    "interest rate": ({"institution": _TEXT}, {"on_date": _DATE}),
    "bank balance": ({"account": {**_TEXT, "description": "IBAN or account number."}},
                     {"on_date": _DATE}),
    "sanction list": ({"name": _TEXT}, {"country": _COUNTRY}),
    "calendar": ({"from_date": _DATE, "to_date": _DATE}, {}),
}  # fmt: skip
# Things that are known by themselves: who asks for one has it, and wants what it stands for.
_NUMBERS = frozenset({"number", "id", "iban", "bic", "code", "postcode", "index"})
_SAYS = {
    "export": "{Export} and give its reference.",
    "convert": "Convert {a thing}.",
    "read": "Read a file and give what it holds.",
    "look_up": "Look up {the thing}.",
    "send": "Send a message{channel}.",
    "create": "Create {a thing} and give its reference.",
    "connect": "Look for data in {the thing}.",
    "schedule": "Schedule {a thing}.",
    "notify": "Notify people when something is due.",
    "calculate": "Calculate {the thing}.",
    "submit": "Submit {a thing}{to place}.",
    "pay": "Pay {a thing}.",
    "post": "Post {a thing}{place}.",
    "update": "Change {a thing}{place}.",
    "delete": "Delete {a thing}{place}.",
    "sign": "Sign {a thing}.",
    "call": "Call {a thing}.",
}
_EXPORTS = {
    "spreadsheet": "Write rows to a spreadsheet file",
    "print": "Write a text to a file for the printer",
    "pdf": "Write a text to a PDF file",
    "document": "Write a text to a Word file",
    "presentation": "Write a text to a file of slides",
}
# Verbs whose tools change something outside.
ACTING = frozenset(
    {"send", "schedule", "notify", "submit", "pay", "post", "update", "delete", "sign", "call"}
)


def declared(named: Sequence[tuple[str, Ability]]) -> dict[str, Any]:
    """The tool that would do what is ``named``, all of one key: who asked, and for what."""
    first = named[0][1]
    required, optional = _parameters(first, named)
    return {
        "name": first.key,
        "description": _description(first, named),
        "parameters": {
            "type": "object",
            "properties": {**required, **optional},
            "required": sorted(required),
            "additionalProperties": False,
        },
    }


def shared(values: Iterable[tuple[str, str]], of: int) -> list[str]:
    """Values that two or more people name (the one, where ``of`` is one), commonest first."""
    people = Counter(value for _, value in dict.fromkeys(values) if value)
    return [value for value, number in people.most_common() if number >= min(SAID_BY, of)]


def _parameters(
    first: Ability, named: Sequence[tuple[str, Ability]]
) -> tuple[Parameters, Parameters]:
    number, abilities = len({who for who, _ in named}), [ability for _, ability in named]
    formats = sorted({one for ability in abilities for one in ability.formats} - {"print"})
    channels = sorted({one for ability in abilities for one in ability.channels})
    by = shared(((who, one) for who, ability in named for one in ability.by), number)
    places = shared(((who, ability.place) for who, ability in named), number)
    known = {name_of(one): {**_TEXT, "description": f"Which {one} is meant."} for one in by}
    form: Parameters = {"format": {**_TEXT, "enum": formats}} if formats else {}
    where: Parameters = {}
    if places:
        where = {"destination": {**_TEXT, "enum": places}}
    if first.verb == "export":
        content = _content(first.thing)
        return {**content, **form}, {"file_name": _TEXT, **where}
    if first.verb == "read":
        return {"file": _FILE}, {"pages": {**_TEXT, "description": "Such as 1-3; all if left out."},
                                 **form}  # fmt: skip
    if first.verb == "look_up":
        return _look_up(first, known, is_dated=any(one.is_dated for one in abilities))
    if first.verb == "send":
        channel: Parameters = {"channel": {**_TEXT, "enum": channels}} if len(channels) > 1 else {}
        return (
            {
                "recipient": {**_TEXT, "description": "Address of who gets it."},
                "text": _TEXT,
                **channel,
            },
            {"subject": _TEXT, "attachments": {"type": "array", "items": _FILE}},
        )
    return _acting(first, known, form, where)


def _content(thing: str) -> Parameters:
    if thing == "spreadsheet":
        row = {"type": "object", "description": "Column to value."}
        return {"rows": {"type": "array", "items": row, "description": "One object a row."}}
    return {"text": {**_TEXT, "description": "What the file holds, as Markdown."}}


def _look_up(first: Ability, known: Parameters, *, is_dated: bool) -> tuple[Parameters, Parameters]:
    required, optional = _KNOWN.get(first.thing, ({}, {}))
    if not required:
        thing = name_of(first.thing)
        is_number = first.thing.split()[-1] in _NUMBERS
        if known:
            required = known
            optional = {thing: _TEXT} if is_number else {}
        else:
            name = thing if is_number else "query"
            required = {name: {**_TEXT, "description": f"The {first.thing} asked for."}}
    if is_dated and "on_date" not in optional:
        optional = {**optional, "on_date": _DATE}
    return dict(required), {k: v for k, v in {**optional, **known}.items() if k not in required}


def _acting(
    first: Ability, known: Parameters, form: Parameters, where: Parameters
) -> tuple[Parameters, Parameters]:
    thing = name_of(first.thing)
    which = {**_TEXT, "description": f"Which {first.thing} is meant."}
    amount = {"type": "string", "description": "A decimal number, with its currency."}
    data = {"type": "array", "items": {"type": "object"}, "description": "What it shows."}
    when = {"type": "string", "format": "date-time"}
    values = {"type": "object", "description": "Field to value."}
    made: dict[str, tuple[Parameters, Parameters]] = {
        "convert": ({"value": amount, "to": {**_TEXT, "description": "Unit or currency."}},
                    {"on_date": _DATE}),
        "create": ({"title": _TEXT, "data": data}, form),
        "connect": ({"query": {**_TEXT, "description": "What is asked or looked for there."}},
                    known),
        "schedule": ({"title": _TEXT, "starts_at": when,
                      "people": {"type": "array", "items": _TEXT}}, {"ends_at": when}),
        "notify": ({"people": {"type": "array", "items": _TEXT}, "text": _TEXT}, {"at": when}),
        "calculate": ({"figures": {**values, "description": "Name to number, as they are known."}},
                      {**known, "on_date": _DATE}),
        "pay": ({"recipient": {**_TEXT, "description": "Account that is paid."}, "amount": amount},
                {"reference": _TEXT}),
        "call": ({"phone_number": _TEXT, "text": _TEXT}, {}),
        "sign": ({"file": _FILE}, {"signed_by": _TEXT}),
        "delete": ({thing: which}, {**known, **where}),
        "update": ({thing: which, "values": values}, {**known, **where}),
        "submit": ({thing: {**_TEXT, "description": f"Reference of the {first.thing}."}},
                   {**known, **where}),
        "post": ({"values": values}, {**known, **where}),
    }  # fmt: skip
    return made[first.verb]


def name_of(words: str) -> str:
    """Words as the name of a parameter."""
    return "_".join("".join(c if c.isalnum() else " " for c in words).split())[:40] or "value"


def _description(first: Ability, named: Sequence[tuple[str, Ability]]) -> str:
    number = len({who for who, _ in named})
    places = shared(((who, ability.place) for who, ability in named), number)
    channels = {one for _, ability in named for one in ability.channels}
    article = "an" if first.thing[:1] in "aeiou" else "a"
    says = (
        _SAYS[first.verb]
        .replace("{a thing}", f"{article} {first.thing}")
        .replace("{the thing}", f"the {first.thing}")
        .replace("{Export}", _EXPORTS.get(first.thing, f"Write the {first.thing} to a file"))
        .replace("{channel}", f" by {' or '.join(sorted(channels))}" if channels else "")
        .replace("{place}", f" in {places[0]}" if places else "")
        .replace("{to place}", f" to {places[0]}" if places else "")
    )
    return " ".join(word.upper() if word.strip(".") in _CAPITALS else word for word in says.split())


def in_order(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration as people read it: name and description first, wherever it was kept."""
    first = ("name", "description", "type", "enum", "format", "properties")
    names = [*(n for n in first if n in declaration), *(n for n in declaration if n not in first)]
    return {
        name: in_order(declaration[name]) if isinstance(declaration[name], Mapping)
        else declaration[name]
        for name in names
    }  # fmt: skip


def fault_in(declaration: Mapping[str, Any]) -> str:
    """Why a declaration can't be used; empty if it can."""
    parameters = declaration.get("parameters")
    if not _NAME.match(str(declaration.get("name", ""))):
        return "its name is none"
    if not 10 <= len(str(declaration.get("description", ""))) <= MOST_DESCRIPTION:
        return "its description is too short or too long"
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
        return "its parameters are no schema of an object"
    named = parameters.get("properties")
    if not isinstance(named, dict) or not 0 < len(named) <= MOST_PROPERTIES:
        return f"it has no parameters, or more than {MOST_PROPERTIES}"
    if _is_deep(parameters):
        return "its schema is nested too deeply"
    text = json.dumps([declaration["name"], declaration["description"], parameters])
    if len(text) > MOST_SCHEMA:
        return "its schema is too long"
    if _UNKEPT.search(text):
        return "it holds signs that can't be kept"
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        return f"its schema is wrong: {error.message}"[:200]
    # Only a schema that is right holds a list of names there.
    if set(parameters.get("required", ())) - set(named):
        return "it requires what it does not declare"
    return ""


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()
