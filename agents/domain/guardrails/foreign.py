# ruff: noqa: E501 (patterns read better whole)
"""Signals that count only in documents and in what tools give back.

A user may order tools and forms of answers; a page or a mail has no business to. They read the
plain reading without accents, like ``signals``.
"""

from __future__ import annotations

from agents.domain.guardrails.signals import Signal, _s

GROUP = "order in foreign text"
_ANSWERS = r"(?:responses?|answers?|repl(?:y|ies)|outputs?|summar(?:y|ies)|messages?)"
_YOURS = r"your (?:\w+ )?(?:response|reply|answer|output|message|summary)"
_RISKY = (
    r"(?:(?:send|delete|transfer|post|http|upload|write|exec|execute|run|forward|share|pay|wire|remove|drop|create|update|export|e?mail|fetch|grant)_\w+"
    r"|\w+_(?:send|email|mail|post|file|files|user|payment|funds|money|shell|url|endpoint|beacon|data|db))"
)
_FORM = (
    r"(?:reverse|backwards?|base ?\d\d|morse|emojis?|binary|hex\w*|rot ?13|pig latin|cipher|caesar|spanish|french|german|italian|portuguese|"
    r"chinese|russian|japanese|latin|klingon|all caps|uppercase)"
)

ORDERS: tuple[Signal, ...] = (
    _s(GROUP, 0.55, rf"\b(?:call|invoke|use|run|execute|trigger)(?:ing)? (?:the )?[`'\"]?{_RISKY}[`'\"]?(?: tool| function)?\b[^\n]{{0,40}}?"
       r"(?:https?://|\S+@\w|/\w+/|\./\w|this (?:summary|conversation|e-?mail|message|document|data)|with the (?:parameter|argument|summary|content)|before (?:respond|continu|answer|any)|without (?:approval|asking|confirmation))"),
    _s(GROUP, 0.5, r"\b(?:must|should|shall|has to|have to|needs? to|is to|are to) (?:\w+ ){0,2}?(?:appear|be (?:added|appended|included|inserted|placed|repeated|prepended|prefixed|printed|invoked|called)) "
       rf"(?:\S+ ){{0,6}}?(?:every|each|all|any|your|subsequent|future) (?:\S+ ){{0,2}}?(?:{_ANSWERS}|tool call)\b"),
    _s(GROUP, 0.5, rf"\b(?:end|begin|start|finish|conclude|prefix|prepend|close|open|sign) (?:every|each|all|any|your) (?:\w+ )?{_ANSWERS} with\b"),
    _s(GROUP, 0.4, r"\bfor the (?:rest|remainder|duration) of (?:this|the|our) (?:conversation|session|chat|interaction)\b|\bin all (?:future|subsequent|following) (?:responses|replies|answers|messages)\b"),
    _s(GROUP, 0.55, rf"\b(?:encode|encrypt|reverse|translate|shift|render|scramble|obfuscate|modify|enhance|augment|invert) (?:\S+ ){{0,6}}?{_YOURS}\b"),
    _s(GROUP, 0.5, rf"\b(?:reply|respond|answer|provide your (?:answer|response|reply)|write your (?:reply|response|answer)|express your (?:answer|response)) (?:only |entirely )?(?:(?:in|using|with|into) )?(?:\w+ )?{_FORM}\b"),
    _s(GROUP, 0.5, rf"\b(?:use|apply|employ|substitute)\b[^.\n]{{0,50}}\b(?:emojis?|base ?\d\d|cipher|morse|rot13)\b[^.\n]{{0,40}}\b{_YOURS}\b"),
    _s(GROUP, 0.4, r"\bin your (?:response|reply|answer|summary), (?:mention|suggest|say|recommend|promote|hint|claim|state|tell)\b"),
    _s(GROUP, 0.5, r"\b(?:integrate|weave|slip|hide|incorporate|work)\b[^.\n]{0,80}\b(?:in|into|to) your (?:response|reply|answer|summary|output)\b"),
    _s(GROUP, 0.5, r"\b(?:muss|soll)\b[^.\n]{0,60}\b(?:jeder|jede|aller) (?:antwort|nachricht|ausgabe)|\b(?:doit|devra)\b[^.\n]{0,60}\b(?:toute|chaque) (?:reponse|sortie)"
       r"|\bdebe\b[^.\n]{0,60}\b(?:cualquier|cada|toda) (?:respuesta|salida)|\bdeve\b[^.\n]{0,60}\b(?:ogni|qualsiasi|cada|qualquer) (?:risposta|resposta)"),
    _s(GROUP, 0.6, r"\b(?:envo(?:ie|yez|yer)|transmet\w*|sende|schick\w*|leite\w*|envia\w*|invia\w*|manda\w*|wyslij|przeslij|stuur|verstuur)\b[^.\n]{0,60}"
       r"\b(?:donnees|daten|datos|dati|dados|dane|gegevens|kunden\w*|clients?|clientes|clienti|mots? de passe|passw\w+|contrasen\w*|senhas?|conversa\w*|gesprach\w*|historique|verlauf)\b[^\n]{0,60}(?:\S@[\w-]+\.|https?://)"),
    _s(GROUP, 0.6, r"\b(?:rassembl|sammle|recopil|raccogli|zbierz|verzamel)\w*\b[^\n]{0,120}\S@[\w-]+\."),
)  # fmt: skip
