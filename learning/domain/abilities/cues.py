"""How comments say that something is missing: patterns over plain, lower-case sentences."""

from __future__ import annotations

import re

from learning.domain.abilities import words as w

SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
CLAUSE = re.compile(r",? (?:but|because|so that) ")
SHORT = (
    (re.compile(r"[’`´]"), "'"),
    (re.compile(r"⟦[^⟧]*⟧"), " "),
    (re.compile(r"\bcan(?:'?t| not)\b"), "cannot"),
    (re.compile(r"\bwon'?t\b"), "will not"),
    (re.compile(r"\b(could|does|did|is|was|do|are|has|had|would|have|were)nt\b"), r"\1 not"),
    (re.compile(r"(\w)n't\b"), r"\1 not"),
    (re.compile(r"\b(?:it|there|that)'s\b"), "it is"),
    (re.compile(r"\be-mail"), "email"),
    (re.compile(r"(?:(?<=\s)|^)\.(?=\w)"), ""),
    (re.compile(r"\b(\d+|[a-z])\.(?=\w)"), r"\1"),
)  # fmt: skip
IT = r"(?:it|you|they|he|she|one|(?:the|this|that|your|our|my) (?:\w+ )?\w+)"
THING = r"(?:option|button|function|feature|way|possibility|ability|tool|command|means|chance)"
LACK = r"(?:no|any|add|needs?|want|lacks?|missing|without|a|an|the|another|like|love)"
AFTER = (
    r"(?:(?:also|even|just|simply|directly|please|automatically|actually|still|really|ever|yet|"
    r"be able to|at least|not|then) )*"
)
# Each ends where the verb begins.
CUES = tuple(re.compile(cue) for cue in (
    rf"\b(?:cannot|could not|can not|can never|could never)(?: {IT}(?= \w))??(?P<by>) ",
    rf"\b(?:can|could) {IT} (?:not|also|please) ",
    r"\b(?:unable|not able|not possible|impossible|incapable|unfit) (?:to|of) ",
    rf"\b{LACK} (?:\w+ )?{THING} (?:to|of|for) ",
    r"\b(?:should|needs? to|has to|must|want it to|like it to|would) be able to ",
    rf"\b(?:like|love|want|wish|need) {IT} to ",
    rf"\b(?:wish|wished|nice|great|good|helpful|useful|perfect|handy|help|better|love it) "
    rf"(?:if |that |when )?{IT} (?:could|can|would|were able to) ",
    r"\b(?:let|have|make) (?:it|the (?:agent|assistant|bot|system)) ",
    r"\b(?:useful|nice|great|good|helpful|handy|like|love|want|need) to be able to ",
    r"\b(?:make it|be|were|is it|was it) possible to ",
    r"\bplease (?=connect|integrate|sync|link)",
    r"\b(?:does not|do not|did not) (?:let|allow|enable) (?:me|us|you|one|people|users?) (?:to )?",
))  # fmt: skip
AUXILIARY = re.compile(r" (?:have|had|has|do|does|am|are|is|was|were)$")
# Of these, which tell who can't.
OWN = frozenset({0, 2})
HABIT = re.compile(r"(?<!please )(?<!please, )\b(?:does not|will not|would not|refuses to|never) ")
SUPPORT = re.compile(
    r"(?<!please )\b(?:(?:does|do|did|can|could|will)(?: not|not)|cannot) "
    r"(?:support|offer|accept|handle) "
)
GERUND = re.compile(
    r"^(?P<act>[a-z]+ing .+?) (?:is|was|are) (?:not (?:possible|supported|available|offered)|"
    r"impossible|missing|unavailable)\b"
)
ACCESS = re.compile(
    r"\b(?:no|not have(?: any)?|lacks?|without|lacking|missing) access to (?P<what>.+)"
)
NO_ACCESS = re.compile(r"\bno (?P<what>(?:\w+ ){1,3})access\b")
LINK = re.compile(
    r"\b(?:no|not have (?:an?|any)|lacks? (?:an?|any)|missing(?: an?)?|add an?|needs? an?|"
    r"without an?)"
    r" (?:\w+ )?(?:connection|interface|integration|link) (?:to|with|for) (?P<what>.+)"
)
LINK_GONE = re.compile(
    r"\b(?:integration|connection|interface) (?:with|to) (?P<what>.+?) "
    r"(?:is |are )?(?:missing|not (?:supported|available|possible))"
)
NOTHING_LIVE = re.compile(r"\bno (?P<what>(?:[\w-]+ ){1,4}?)(?:is |are )?(?:available|at hand)\b")
KNOW = re.compile(r"\b(?:(?:does|do|did|could) not|cannot) know (?P<what>.+)")
NOUN_CUE = r"(?:no|add|missing|needs?|lacks?|want|love|like|offer|there is no|provide|have|include)"
NOUN = re.compile(
    rf"\b{NOUN_CUE} (?:an? |the |any |some )?(?P<before>(?:[\w-]+ ){{0,2}}?)"
    r"(?P<act>export|import|download|upload|lookup|look-up|printout|print button|"
    r"export button|download button)s?(?P<after>\b.*)"
)
NOUN_LATER = re.compile(
    r"\b(?P<before>(?:[\w-]+ ){0,2}?)"
    r"(?P<act>export|import|download|upload|lookup|look-up|printout)s?"
    r"(?P<after> .*?)?(?: is| are| would)? (?:missing|not supported|not available|not possible|"
    r"unavailable|help\b|be (?:nice|great|good|useful|helpful))"
)
ACTS = {"import": "read", "upload": "read", "lookup": "look_up", "look-up": "look_up"}
VERB = re.compile(
    r"^(?:" + "|".join(f"(?P<{name}>{given})" for name, given in w.VERBS.items()) + r")\b"
)
PEOPLE = re.compile(
    r"\b(?:i|we|nobody|people|users?|clients?|customers?|suppliers?|colleagues?|compan(?:y|ies)|"
    r"they|team|manager|partner|banks?|who|(?:i|we) [\w' ]{1,60} and)$"
)
# Who can't, where the verb is one that people and companies in an answer can't do either.
AGENT = re.compile(
    r"(?:^|\b(?:it|you|agent|assistant|chat ?bot|bot|system|tool|model|ai|program|software|ratchet|"
    r"sadly|unfortunately|still|also|that|and|but|why|which|there is|is|was|am))$"
)
DONE_BY_ANYBODY = frozenset(
    "look_up pay sign submit post update delete call notify send schedule".split()
)
# Of what people do themselves, only this needs the agent.
PEOPLES = frozenset({"export", "convert"})
STOP = re.compile(
    r"\s*(?:[,.;:!?()\"]|\b(?:to|as|into|in|from|with|by|for|of|on|at|via|through|and|or|when|"
    r"while|if|before|after|without|that|which|who|where|only|directly|straight|myself|itself|"
    r"out|because|so|over|under|near|about|is|are|was|were|yet|than|until|since|up|i|we|"
    r"electronically|anywhere|either|too|please|would|would've|not)\b)"
)
TO = re.compile(r"\b(?:to|into|in|with|from|via|on) (?:an? |the )?(.+)")
# "as a Word document"; and what stands in front of everybody, which is read and not looked up.
AS_FORM = re.compile(r"\b(?:as|into) (?:an? )?([\w-]+)")
AT_HAND = re.compile(
    r"\bin (?:the|its|my|this|that|our|your) (?:\w+ )?(?:list|text|answer|report|letter|table|"
    r"document|attachment|file|contract|summary|question|message|prompt)\b"
)
OF = re.compile(r"^ of (.+)")
TOKEN = re.compile(r"[\w'-]+")
