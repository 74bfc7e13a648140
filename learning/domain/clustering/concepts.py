# ruff: noqa: E501 (word lists read better whole)
"""What a short complaint is about, by the words that people use for it: "laggy" and "took ages".

Two short texts on one topic often share no word. A concept found in both makes them alike; texts
without a concept are compared by their words alone. English, with the commonest German words.
"""

from __future__ import annotations

import re

_WORDS: dict[str, str] = {
    "slow": r"pending\b|on hold\b|still (?:waiting|processing)|how long\b|await\w*|(?:not|n[o'’`]?t|yet to) (?:yet )?(?:been )?(?:processed|cleared|gone through|go through|completed?)\b|days ago|slow\w*|lag+(?:y|s|ging|ged)?|sluggish|took (?:\w+ ){0,3}(?:long|ages|forever|minutes|hours)|takes? (?:\w+ ){0,3}(?:long|ages|forever|minutes|hours)|wait(?:ed|ing|s)?\b(?! list)|response times?|latency|loading|(?:so|too|very) late to (?:answer|reply)|speed|hangs?|hanging|freez\w+|stuck|time[ds]? ?out|spinning|performance|ages\b|langsam|dauert|ewig",
    "delivery": r"(?:not|n[o'’`]?t|never) (?:yet )?(?:receiv\w+|gotten|there yet|see it)|where is (?:my|the)\b|deliver\w*|ship(?:ped|ping|ment)\w*|parcels?|packages? (?:arriv|has|is|was|never|did|came)\w*|courier|arriv\w+|lieferung|paket",
    "late": r"\blate\b|delay\w*|overdue|days? late|behind schedule|verspät\w*|missed (?:the )?deadline",
    "refund": r"refund\w*|reimburs\w*|money back|pay me back|credit note|chargeback|erstattung",
    "price": r"extra (?:charge|fee|cost)\w*|pay (?:\w+ ){0,2}(?:extra|more)\b|what (?:\w+ )?charges? (?:is|are)|overcharg\w*|charged (?:\w+ ){0,3}(?:fee|extra|too much)|unauthori[sz]ed fee|charge (?:is )?for|expensive|pric(?:e|es|ey|ing)|overpriced|costs? (?:\w+ ){0,3}(?:high|too|much|more)|too costly|afford\w*|teuer|fees?\b|cheaper",
    "billing": r"invoices?|bill(?:ed|ing|s)?\b|charged|rechnung\w*|subscription",
    "twice": r"twice|two times|duplicat\w*|double[ds]?\b|doubly|doppelt|repeated(?:ly)? (?:list|entr|charg)\w*|same (?:\w+ )?(?:again|line|entry)",
    "tax": r"vat\b|\btax\w*|umsatzsteuer|mwst|withholding|duty|duties",
    "rate": r"\brates?\b|percent\w*|\d ?%",
    "tone": r"salutation|greeting|addressed|dear sir|first name of|inappropriate|rude\w*|impolite\w*|unfriendly|polite\w*|tone\b|wording|informal\w*|formal\w*|unprofessional|not professional|harsh|arrogant|condescending|cold\b|unhöflich|blunt|offensive|disrespect\w*",
    "source": r"sources?\b|cit(?:e|es|ed|ation|ations|ing)\b|references?\b|quot(?:e|es|ed|ing)\b|evidence|footnotes?|quelle\w*|paragraph (?:that|which) does not exist",
    "invented": r"invent(?:ed|s|ing)?\b|made[ -]up|make[s]? (?:\w+ )?up\b|made (?:\w+ ){1,2}up\b|fictitious|(?:is|are) (?:simply |just )?not (?:in )?there|halluc\w+|fabricat\w*|does ?n[o']t exist|do not exist|fictional|fake\b|bogus|erfunden",
    "layout": r"format(?:s|ted|ting)?\b(?! of the date)|layout\w*|tables?\b|columns?\b|misaligned|align\w*|indent\w*|shifted|spacing|export\w*|rendered|markdown|bullet\w*|unreadable|mess\b",
    "language": r"(?:english|german|french|spanish|italian|dutch|polish)\b(?! (?:vat|tax\w*|gaap|law|act|code|rates?|rules?|compan\w*|clients?|customers?|suppliers?|subsidiar\w*|entit\w*|invoices?|branch\w*|authorit\w*|commercial|income|corporate|payroll|social|trade)\b)|language|translat\w+|auf deutsch|sprache|englisch",
    "login": r"(?:no longer have|no|lost|lose|regain|without|have) access\b|access (?:to )?(?:the|my|our|an?) (?:app|account|system|portal)s?|(?:can ?not|can[’']?t|unable to|not able to|how (?:do|can) i) (?:use|access|open|get into) (?:the|my|any) (?:app|account|portal|system)s?|freeze (?:the|my) accounts?|log(?:ged)?[ -]?(?:in|on|out)\b|login\w*|sign[ -]?(?:in|on)|password|locked out|credentials|2fa|one-time code|authenticat\w*|anmeld\w*|my account (?:is|was) (?:locked|blocked)",
    "sum": r"totals?\b|sums?\b|add(?:s)? up|addition|adding|arithmetic|miscalculat\w*|calculat\w*|balance\w*|don'?t match|do not match|mismatch\w*|reconcil\w*|rounding|summe\w*|debits?|credits?\b",
    "cut": r"cut (?:off|short)|truncat\w*|stops? (?:\w+ )?(?:in the middle|abruptly|half ?way)|ends? (?:abruptly|in the middle|mid)|abrupt\w*|mid-?sentence|middle of (?:a|the) sentence|incomplete|half of (?:the|my|it)|unfinished|not finished|missing (?:the )?(?:end|rest)|abgeschnitten",
    "crash": r"crash\w*|clos(?:es|ed|ing) (?:by itself|on its own|itself|unexpectedly)|quits? (?:by itself|unexpectedly)|force close\w*|stürzt|shuts? down (?:by itself|unexpectedly)|blank (?:screen|page)|white screen",
    "error": r"declin(?:ed|es|ing)\b(?! to)|reject(?:ed|s|ing)\b|den(?:ied|ies)\b|unsuccessful\w*|(?:did ?n[o'’`]?t|do ?n[o'’`]?t|is ?n[o'’`]?t|won[’']?t|will not|would ?n[o'’`]?t|not) (?:go through|gone through|work\b|working\b|let me)|(?:can ?not|can[’']?t|could ?n[o'’`]?t|unable to) (?:get|use|transfer|send|open|top|download|submit)\b|errors?\b|exceptions?|fails?\b|failed|failure|broken|does ?n[o']t work|not working|stopped working|500\b|fehler\w*|bug\w*",
    "support": r"support\b|help ?desk|customer (?:service|care)|hotline|nobody|no one|phone|tickets?\b|agent (?:never|did not|does not)|callback|call(?:ed)? back",
    "unanswered": r"never (?:repl\w+|answer\w*|respond\w*|called|got back)|no (?:reply|answer|response|reaction)\b|nobody (?:answer|repl|respond|call)\w*|no one (?:at \w+ \w+ )?(?:answer|repl|respond)\w*|ignor(?:es|ed|ing) (?:my|our|me)|unanswered|keine antwort",
    "date": r"dates?\b|deadlines?|day and month|months?\b|calendar|american style|due date|datum|time ?zones?|year-?end|fiscal year|wrong year",
    "currency": r"currenc(?:y|ies)|dollars?|euros?\b|\beur\b|\busd\b|\bgbp\b|\bchf\b|pounds?\b|exchange rate\w*|conversion|währung",
    "privacy": r"third part(?:y|ies)|some(?:body|one) else|(?:other|another|different|a different|foreign)(?: company|'s)? (?:\w+ )?(?:clients?|customers?|person|people|user)'?s?|confidential\w*|personal data|data leak\w*|leak(?:ed|s)?\b|privacy|not mine|gdpr|private (?:data|information)|names? of (?:other|another)|datenschutz",
    "brief": r"too (?:short|brief|general|vague|superficial)|not enough detail\w*|more detail\w*|lacks? (?:\w+ )?(?:depth|detail\w*)|superficial\w*|vague\w*|general answer|shallow|generic|explain more|more explanation|oberflächlich|zu kurz",
    "wordy": r"(?:answer|text|reply|response|summary|it|this|letter|report|that|output)s?(?:'s| is| was| are| were)? (?:far |much |way |just |simply )?too long|too (?:wordy|verbose|many words|much text)|wordy|verbose|concis\w*|shorter|get to the point|to the point|endless|rambl\w*|long-?winded|wall of text|nobody reads|repetitive|zu lang",
    "file": r"upload\w*|attach\w*|pdfs?\b|files?\b|document (?:that )?(?:i|we) (?:attached|uploaded|sent|gave)|scans?\b|spreadsheets?|excel|xlsx?|download\w*|corrupt\w*|anhang|datei",
    "unread": r"(?:not|never|n't) (?:been )?read|ignored? (?:the|my|our) (?:document|file|attachment|pdf|instruction\w*|question)|did ?n[o']t (?:use|open|look at|consider)|overlooked|skipped",
    "missing": r"missing|omit\w*|left out|forgot\w*|lacks?\b|lacking|absent|not included|nowhere|fehlt\w*",
    "outdated": r"outdated|out of date|old(?:er)? (?:law|version|rule|data|standard|rate)s?|last year'?s|no longer (?:valid|applies|in force)|superseded|obsolete|thresholds? (?:have )?changed|changed last year|20[12]\d (?:law|rule|rate|threshold|version)s?|not up to date|stale|veraltet|years ago",
    "off_topic": r"off[- ]topic|not what i asked|did ?n[o']t (?:answer|understand) (?:my|the|me)|misunderst\w*|irrelevant|unrelated|something (?:else|different)|wrong question|beside the point|answered (?:a|another) (?:different )?question",
    "contradiction": r"contradict\w*|inconsisten\w*|differs? from|different (?:answer|result|number|figure)s?|changes? (?:its|the) (?:mind|answer)|says? one thing",
    "name": r"misspel\w*|spell(?:ed|ing|s)\b|typos?\b|(?:wrong|my|company|client|incorrect) names?\b|addressee|mr\.? instead|falsch geschrieben",
    "search": r"search\w*|find(?:s|ing)?\b|no results|results? (?:list|page)|not found|filter\w*|sort\w*",
    "interface": r"buttons?\b|menu\w*|screen\w*|font\w*|dark mode|colou?rs?\b|mobile|on my (?:phone|tablet)|tablet|small display|overlap\w*|too small|scroll\w*|click\w*|navigation|hard to (?:find|use|read)|confusing|intuitive",
    "notify": r"notif\w*|reminders?|spam\b|too many (?:e-?)?mails|newsletter|unsubscribe|alerts?\b",
    "cancel": r"cancel\w*|unsubscribe|terminate|close my account|delete my account|kündig\w*",
    "safety": r"refus\w*|declin\w+ to|would ?n[o']t answer|won'?t answer|says? it can(?:not|'t)|not allowed to answer|blocked my|over-?cautious|too cautious|overly (?:careful|cautious)|too careful|cannot answer|can't answer",
    "account": r"wrong accounts?|posted to|booked (?:to|on)|account code|cost cent\w+|ledger account|chart of accounts|gebucht|misposted|misclassif\w*|wrong (?:category|classification)",
    "legal": r"\blaws?\b|statute\w*|regulations?|legal\w*|act \d{4}|directive|court|clause\w*|jurisdiction|wrong country",
    "approval": r"approv\w*|sign(?:ed)?[- ]off|authori[sz]\w*|permission\w*|access denied|no access|not allowed to (?:see|open)",
    "payroll": r"pay ?(?:slips?|roll|checks?)|salar(?:y|ies)|wages?|overtime|bonus(?:es)?|gross pay|net pay|gehalt\w*|lohn\w*",
    "period": r"wrong period|belongs to|cut-?off|recogni[sz]ed (?:too )?\w+|accru\w+|prepaid|deferr\w+|next year|previous period|periode",
    "sample": r"sampl\w*|representative|selection\b|picked|stichprobe\w*",
    "memory": r"(?:repeat\w*|ask\w*) (?:\w+ ){0,5}(?:times|again)|los(?:es|t|ing) (?:\w+ )?context|forg(?:ets|ot|etting) (?:what|the|my|our|everything)|remember\w*|already told|told (?:it|you|them) (?:\w+ )?(?:before|already|twice)|lost (?:the )?context|ask(?:s|ed) (?:me )?(?:again|the same)|repeat myself",
}
_PATTERNS = tuple(
    (name, re.compile(rf"(?<![^\W_])(?:{words})", re.IGNORECASE)) for name, words in _WORDS.items()
)


def concepts(comment: str) -> list[str]:
    """Names of the concepts that ``comment`` mentions, in a fixed order."""
    return [name for name, pattern in _PATTERNS if pattern.search(comment)]
