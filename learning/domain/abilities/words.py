"""The words by which an ability is named: verbs, what they are about, and what names nothing."""

from __future__ import annotations

import re


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Canonical verb → the words for it, as they stand after "can't" or "to".
VERBS: dict[str, str] = {
    "look_up": r"look up|look(?= (?:\w+ ){1,4}up\b)|look into|check|find out|find|search for|"
    r"search|fetch|get hold of|get|retrieve|query|verify|validate|access|pull up|pull|see|"
    r"tell|show|consult|browse|determine|know",
    "export": r"export|download|save|print out|print|output|extract|copy",
    "convert": r"convert|transform|turn",
    "read": r"open|read|view|parse|import|load|process|scan|handle|accept|upload|attach|"
    r"recogni[sz]e|take|deal with|work with|cope with|ocr",
    "send": r"send|e-?mail|mail|forward|deliver|text",
    "create": r"create|make|generate|draw|plot|produce|build",
    "connect": r"connect|integrate|sync|synchroni[sz]e|link|hook up|talk",
    "schedule": r"schedule|book(?= .*(?:meeting|call|appointment|slot|visit|room))|plan|arrange|"
    r"set up",
    "notify": r"notify|alert|warn|remind",
    "calculate": r"calculate|compute|work out",
    "submit": r"submit|file|lodge",
    "pay": r"pay|transfer|wire",
    "post": r"post|book|record",
    "update": r"update|change|edit|modify|amend",
    "delete": r"delete|cancel|remove",
    "sign": r"sign",
    "call": r"call|phone|ring",
}
# Verbs that say the same of what only behaves badly, so they need what only a tool reaches.
SOFT = re.compile(r"(?:check|find out|find|get|see|tell|show|access|know|determine|pull)$")
# Present tense without "can" ("it doesn't export to Excel") tells of an ability for these alone.
HABITUAL = re.compile(r"(?:export|download|print|import|sync\w*|connect|integrate|open|upload)$")

# What is out there and changes, or stands in a system: only a tool reaches it.
DATA = _set(
    "rate price number id iban bic code register registry registration status balance address "
    "deadline weather forecast calendar statement contract record stock quote index postcode zip "
    "company customer supplier order invoice payment transaction account database list "
    "inbox mailbox mail email web website internet system crm erp ledger journal directory "
    "file filing document detail availability appointment schedule timetable traffic news "
    "holiday phone contact shipment parcel tracking inventory licence permit certificate sanction "
    "archive drive folder sharepoint intranet wiki time date yield"
)
# Data that moves: without "know" being a matter of training.
LIVE = _set(
    "rate price weather forecast balance status stock quote index news deadline calendar date time "
    "traffic availability timetable number address yield holiday"
)
NOW = re.compile(r"\b(?:today'?s?|current|latest|live|actual|present|up-to-date|real-time|now)\b")
FILES = _set(
    "attachment file pdf document scan image picture photo spreadsheet excel word invoice receipt "
    "xml zip csv upload docx xlsx screenshot letter contract statement sheet workbook email table "
    "powerpoint presentation page form html json archive audio video msg eml"
)
ARTEFACTS = _set(
    "chart graph diagram plot entry event ticket code barcode pdf excel spreadsheet file image "
    "picture presentation slide powerpoint invoice task reminder form folder calendar word "
    "document csv xlsx appointment timeline dashboard invite video certificate"
)
RECORDS = _set(
    "address date invoice record entry booking order data detail status price contract profile "
    "setting appointment meeting payment customer supplier client account list event number "
    "subscription document file name ticket deadline rate"
)
FILINGS = _set("return report account declaration form claim application filing statement")
POSTINGS = _set("entry payment posting invoice transaction journal voucher receipt expense")
MEETINGS = _set("reminder meeting call appointment slot visit room interview session")
SIGNED = _set("letter document contract report return agreement form pdf account opinion")
COSTS = _set("attention")

# Words that name nothing that a tool could be about.
VAGUE = _set(
    "answer question point difference sense mistake error anything everything something nothing "
    "word me us it them this that these those one instruction screen button chat decision job task "
    "thing way sentence context conversation mind reason explanation summary tone text "
    "simple total result figure claim topic language what where how why which who whether if yes "
    "right correctly properly app page link login style format itself himself doing idea clue need "
    "here there problem issue case paragraph lot bit much more less i you we they he she help more"
)
# Which are no part of what a thing is called.
SKIPPED = _set(
    "a an the my our your its their his her any some this that these those all every each no own "
    "today today's current latest live actual present new other single whole simple certain such "
    "monthly daily weekly yearly scanned attached handwritten big large long small recent last "
    "present-day up-to-date real-time correct right exact me us him them more proper automatic "
    "even also just"
)
# How a format is called → its name, and the family of the tool that writes it.
FORMATS: dict[str, str] = {
    "excel": "xlsx", "xlsx": "xlsx", "xls": "xlsx", "spreadsheet": "xlsx", "sheet": "xlsx",
    "workbook": "xlsx", "csv": "csv", "pdf": "pdf", "word": "docx", "docx": "docx", "doc": "docx",
    "powerpoint": "pptx", "pptx": "pptx", "slide": "pptx", "presentation": "pptx", "xml": "xml",
    "json": "json", "zip": "zip", "html": "html", "image": "image", "picture": "image",
    "photo": "image", "scan": "image", "scanned": "image", "handwritten": "image",
    "receipt": "image", "screenshot": "image", "jpg": "image", "png": "image", "print": "print",
    "printout": "print", "printer": "print", "markdown": "md",
}  # fmt: skip
FAMILY = {
    "xlsx": "spreadsheet", "csv": "spreadsheet", "pdf": "pdf", "docx": "document",
    "pptx": "presentation", "print": "print", "image": "image",
}  # fmt: skip
CHANNELS: dict[str, str] = {
    "email": "email", "e-mail": "email", "mail": "email", "outlook": "email", "sms": "sms",
    "whatsapp": "chat", "slack": "chat", "teams": "chat", "fax": "fax", "post": "post",
}  # fmt: skip
# Of these, which name no system.
WAYS = _set("email mail post fax sms")
# Different words for one thing.
SAME: dict[str, str] = {
    "vat id": "vat number", "vat no": "vat number", "vat registration number": "vat number",
    "commercial register": "company register", "trade register": "company register",
    "companies house": "company register", "business register": "company register",
    "currency rate": "exchange rate", "fx rate": "exchange rate",
    "conversion rate": "exchange rate",
    "stock price": "share price", "bank detail": "bank account", "graph": "chart", "plot": "chart",
    "pie chart": "chart", "bar chart": "chart", "diagram": "chart", "dollar": "currency",
    "euro": "currency", "pound": "currency", "calendar event": "calendar entry",
    "appointment": "meeting", "zip code": "postcode", "postal code": "postcode",
}  # fmt: skip
# Failures of one moment: what can't be done for want of a connection is not for want of a tool.
MOMENT = re.compile(
    r"\b(?:errors?|exceptions?|time[ds]?[ -]?outs?|crash\w*|server|5\d\d|4\d\d|try again|"
    r"maintenance|temporar\w*|connection (?:lost|failed)|broken|corrupt\w*|fail(?:ed|s)?)\b"
)
# How well, not whether.
QUALITY = re.compile(
    r"\b(?:properly|correctly|accurately|consistently|reliably|fast enough|quickly|in time|"
    r"right|twice|better|faster|well enough|without (?:a |any )?(?:mistakes?|errors?|fault))\b"
)
