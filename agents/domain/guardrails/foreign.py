# ruff: noqa: E501 (patterns read better whole)
"""Signals that count only in documents and in what tools give back.

A user may order tools and forms of answers; a page or a mail has no business to. But letters of
authorities and clients ask for answers, numbers in them and data, too, and manuals name tools: what
they say as well has the weight ``_WEAK``, which flags only beside another signal or where the model
leans to an attack itself. They read the plain reading without accents, like ``signals``.
"""

from __future__ import annotations

from agents.domain.guardrails.signals import Signal, _s

GROUP = "order in foreign text"
TOOLS, ANSWERS, FORM, DATA = (
    f"{GROUP} ({about})" for about in ("tools", "every answer", "form of answers", "data")
)
_WEAK = 0.15
# What a model gives; people write replies, messages and reports as well.
_OUTPUTS = r"(?:responses?|answers?|outputs?|summar(?:y|ies))"
_ANSWERS = r"(?:responses?|answers?|repl(?:y|ies)|outputs?|summar(?:y|ies)|messages?)"
_YOURS = r"your (?:\w+ )?(?:response|reply|answer|output|message|summary)"
_RISKY = (
    r"(?:(?:send|delete|transfer|post|http|upload|write|exec|execute|run|forward|share|pay|wire|remove|drop|create|update|export|e?mail|fetch|grant)_\w+"
    r"|\w+_(?:send|email|mail|post|file|files|user|payment|funds|money|shell|url|endpoint|beacon|data|db))"
)
_CALL = rf"\b(?:call|invoke|use|run|execute|trigger)(?:ing)? (?:the )?[`'\"]?{_RISKY}[`'\"]?(?: tool| function)?\b[^\n]{{0,60}}?"
_FORM = (
    r"(?:reverse|backwards?|base ?\d\d|morse|binary|hex\w*|rot ?13|pig latin|cipher|caesar|klingon)"
)
_MUST = r"\b(?:must|should|shall|has to|have to|needs? to|is to|are to) (?:\w+ ){0,2}?"

ORDERS: tuple[Signal, ...] = (
    _s(TOOLS, 0.55, rf"{_CALL}(?:this (?:summary|conversation|e-?mail|chat)\b|before (?:respond|continu|answer|reply)ing\b(?! (?:the|to|any|all) )|without (?:approval|asking|confirmation))"),
    _s(TOOLS, _WEAK, rf"{_CALL}(?:https?://|\S+@\w|/\w+/|\./\w|this (?:message|document|data)|with the (?:parameter|argument|summary|content)|before any)"),
    _s(ANSWERS, 0.5, rf"{_MUST}be (?:appended|prepended|prefixed|invoked|called) (?:\S+ ){{0,6}}?(?:every|each|all|any|your|subsequent|future) (?:\S+ ){{0,2}}?(?:responses?|answers?|outputs?|tool call)\b(?! (?:sheet|form|book|script))"),
    _s(ANSWERS, _WEAK, rf"{_MUST}(?:appear|be (?:added|included|inserted|placed|printed|repeated)) (?:\S+ ){{0,6}}?(?:every|each|all|any|your|subsequent|future) (?:\S+ ){{0,2}}?(?:{_ANSWERS}|tool call)\b"),
    _s(ANSWERS, 0.5, r"\b(?:muss|soll)\b[^.\n]{0,40}\bam (?:ende|anfang) (?:jeder|aller) (?:antwort|ausgabe)|\b(?:doit|devra)\b[^.\n]{0,40}\b(?:a la fin|au debut) de (?:toute|chaque) (?:reponse|sortie)"
       r"|\bdebe\b[^.\n]{0,40}\bal (?:final|principio) de (?:cualquier|cada|toda) (?:respuesta|salida)|\bdeve\b[^.\n]{0,40}\b(?:alla fine|all'inizio|no final|no inicio) d[ie] (?:ogni|qualsiasi|cada|qualquer) (?:risposta|resposta)"),
    _s(ANSWERS, _WEAK, rf"\b(?:end|begin|start|finish|conclude|prefix|prepend|close|open|sign) (?:every|each|all|any|your) (?:\w+ )?{_OUTPUTS} with\b"),
    _s(f"{GROUP} (from now on)", _WEAK, r"\bfor the (?:rest|remainder|duration) of (?:this|the|our) (?:conversation|session|chat|interaction)\b|\bin all (?:your (?:future|subsequent|following)|future) (?:responses|replies|answers|messages)\b"),
    _s(FORM, 0.55, rf"\b(?:encode|encrypt|reverse|scramble|obfuscate|invert) (?:\S+ ){{0,6}}?{_YOURS}\b"),
    _s(FORM, 0.5, rf"\b(?:reply|respond|answer|provide your (?:answer|response|reply)|write your (?:reply|response|answer)|express your (?:answer|response)) (?:only |entirely )?(?:(?:in|using|with|into) )?(?:\w+ )?{_FORM}\b"),
    _s(FORM, 0.5, rf"\b(?:use|apply|employ|substitute)\b[^.\n]{{0,50}}\b(?:emojis?|base ?\d\d|cipher|morse|rot13)\b[^.\n]{{0,40}}\b{_YOURS}\b"),
    _s(FORM, 0.4, r"\bin your (?:response|reply|answer|summary), (?:promote|advertise|hint)\b"),
    _s(FORM, 0.5, r"\b(?:weave|slip|hide|smuggle)\b[^.\n]{0,80}\b(?:in|into|to) your (?:response|reply|answer|summary|output)\b"),
    _s(DATA, 0.6, r"\b(?:envo(?:ie|yez|yer)|transmet\w*|sende|schick\w*|leite\w*|envia\w*|invia\w*|manda\w*|wyslij|przeslij|stuur|verstuur)\b[^.\n]{0,60}"
       r"\b(?:mots? de passe|passw\w+|contrasen\w*|senhas?|hasla|wachtwoord\w*|(?:esta|toda a|a|la|cette) conversa(?:cion|tion|zione)?|(?:gesprachs|chat)verlauf|historique de (?:la|cette) conversation)\b[^\n]{0,60}(?:\S@[\w-]+\.|https?://)"),
    _s(DATA, _WEAK, r"\b(?:send|forward|e-?mail|post|upload|transmit|share|submit)\b[^.\n]{0,60}\b(?:customer|user|client|contact|employee|member|subscriber)s? (?:list|database|details)\b[^.\n]{0,60} to \S{0,20}(?:https?://|[\w.+-]+@[\w-]+\.)"),
)  # fmt: skip
