# ruff: noqa: E501 (patterns and word lists read better whole)
"""Names of persons, by what stands around them: titles, salutations, labels, given names.

No name model is installed, so a rare given name without a title, label or verb of speech beside
it is missed; lower-case and all-capital names are found only after a title or a label.
"""

from __future__ import annotations

import re

from agents.domain.guardrails.findings import Span
from agents.domain.guardrails.pii.context import is_machine_line, line_around
from agents.domain.guardrails.pii.modelled import named
from agents.domain.guardrails.pii.names import GIVEN_NAMES

_UP = "[A-ZÀ-ÖØ-ÞĀĂĄĆĈĊČĎĐĒĖĘĚĜĞĠĢĤĦĨĪĮİĴĶĹĻĽŁŃŅŇŌŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽȘȚ]"
_LOW = "[a-zß-öø-ÿāăąćĉċčďđēėęěĝğġģĥħĩīįıĵķĺļľłńņňōőœŕŗřśŝşšţťŧũūŭůűųŵŷźżžșț]"
_CAP = rf"{_UP}(?:{_LOW}+(?:['’-]?{_UP}{_LOW}+){{0,2}}|['’]{_UP}{_LOW}+)"
_PARTICLE = r"(?:van der|van den|van de|van|von der|von|de la|de los|de|del|della|di|da|dos|do|du|le|la|el|al|bin|ibn|O['’]|Mc|Mac|St\.?|zu|ter|ten)"
_INITIAL = rf"{_UP}\.(?:[ -]?{_UP}\.)*"
_NAME = rf"(?:(?:{_CAP}|{_INITIAL})(?:[ \-]?(?:{_INITIAL}|{_PARTICLE} {_CAP}|{_CAP}|{_UP}{_LOW}*['’]{_CAP})){{0,3}}|{_PARTICLE} {_CAP})"
_SPACED = (
    rf"(?:{_CAP}|{_INITIAL})(?: (?:{_INITIAL}|{_PARTICLE} {_CAP}|{_PARTICLE}{_CAP}|{_CAP})){{0,3}}"
)
_ANYCASE = r"[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,3}"

_TITLED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Dame|Lady|Lord|Rev|Herr[n]?|Frau|Hr|Fr|M|Mme|"
    r"Mlle|Monsieur|Madame|Maître|Sr|Sra|Srta|Señor|Señora|Don|Doña|Sig|Sig\.ra|Signor|Signora|Dott|"
    r"Dott\.ssa|Ing|Avv|Dhr|Mevr|Mw|Meneer|Mevrouw|Pan|Pani|Senhor|Senhora|Dra|Judge|Justice|Captain|"
    r"Officer|Nurse|Sergeant|Lt|Col|Inspector|Councillor|Auditor|Attorney)"
    rf"\.? (?:(?:Dr|Prof|Ing|Mag|med|jur|h\.c)\.? ){{0,2}}({_SPACED})"
)
_TITLED_CAPS = re.compile(
    rf"\b(?:MR|MRS|MS|MISS|DR|PROF)\.? ({_UP}[A-Z'’-]+(?: {_UP}[A-Z'’-]+){{0,2}})"
)
_SALUTED = re.compile(
    r"(?:^|[\n>]|[.!?] )\s*(?:Dear|Hi|Hello|Hey|Good (?:morning|afternoon|evening)|Sehr geehrter? Herr|"
    r"Sehr geehrte Frau|Liebe[r]?|Hallo|Guten Tag|Ch[eè]re?|Bonjour|Salut|Estimad[oa]|Querid[oa]|Hola|"
    r"Gentile|Car[oa]|Ciao|Buongiorno|Beste|Geachte heer|Geachte mevrouw|Drog[ia]|Szanown[ya]|Prezad[oa]|"
    rf"Olá|Kära|Hej|Kjære)[ ,]+({_SPACED})(?=\s*[,!:\n—-]|$)"
)
_SIGNED = re.compile(
    r"(?:(?:kind|best|warm|many|with)?\s*regards|sincerely(?: yours)?|yours (?:truly|faithfully|sincerely)|"
    r"best wishes|cheers|many thanks|thanks|thank you|mit freundlichen gr[üu](?:ß|ss)en|viele gr[üu](?:ß|ss)e|"
    r"freundliche gr[üu](?:ß|ss)e|cordialement|bien à vous|salutations|saludos(?: cordiales)?|atentamente|"
    r"cordiali saluti|distinti saluti|met vriendelijke groet(?:en)?|groeten|pozdrawiam|atenciosamente|"
    rf"med v[äe]nlig h[äi]lsning(?:ar)?|mvh)[,.!]?\s*\n?\s*(?-i:({_SPACED}))(?=\s*(?:\n|$|,|\|))",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?<![\w-])(?:full[ _]?name|first[ _]?name|last[ _]?name|sur[ _]?name|given[ _]?names?|maiden name|"
    r"customer(?:[ _]name)?|patient(?:[ _]name)?|client name|contact(?:[ _]person|[ _]name)?|employee(?:[ _]name)?|"
    r"applicant|signed by|approved by|prepared by|reviewed by|submitted by|attn|attention|account holder|"
    r"cardholder(?:[ _]name)?|holder|beneficiary|payee|recipient|sender|author|name|vorname|nachname|"
    r"ansprechpartner(?:in)?|kontoinhaber|unterzeichner|nom|prénom|titulaire|nombre|apellidos?|titular|"
    r"nome|cognome|naam|voornaam|achternaam|imię|nazwisko|namn|navn|sobrenome)[\"']?\s*$",
    re.IGNORECASE,
)
_KEYED_NAME = re.compile(rf"\s*[\"']?({_SPACED})")
_SELF = re.compile(
    r"(?:\b(?:my|his|her|their|the (?:client|customer|patient|employee|applicant|candidate)'?s?) (?:full |first |last )?name is "
    r"|\bmein name ist |\bich hei(?:ß|ss)e |\bje m.appelle |\bmi nombre es |\bme llamo |\bmi chiamo |"
    r"\bil mio nome è |\bmijn naam is |\bik heet |\bnazywam się |\bmam na imię |\bmeu nome é |\bme chamo |"
    rf"\bjag heter |\bmitt namn är |\bthis is |\bi am |\bi'm )(?-i:({_SPACED}))",
    re.IGNORECASE,
)
_LABELLED_ANY = re.compile(
    r"(?<![\w-])(?:(?:full|first|last|patient|customer|client|employee|cardholder|account holder)[ _]?name|"
    rf"\bmy name is)\s*[:=]?\s*({_ANYCASE})",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(rf"(?<![\w.@/'’-]){_NAME}(?![\w@'’])")
_CJK = re.compile(
    r"(?:我叫|我的名字是|姓名[::]?|先生|氏名[::]?|私の名前は|名前は|이름은|성명[::]?|제 이름은)\s?"
    r"([一-鿿]{2,4}|[가-힣]{2,4}|[一-鿿ぁ-んァ-ン]{2,6})"
)
_CYRILLIC = re.compile(
    r"(?:(?:меня зовут|фио:?|имя:|г-н|г-жа|господин|госпожа|уважаем(?:ый|ая))\s+)([А-ЯЁ][а-яё]+(?:\s[А-ЯЁ][а-яё.]+){0,2})",
    re.IGNORECASE,
)
# Words that are capitalised like names but end or start none.
_NOT_A_NAME = frozenset(
    """
    the this that these those it its a an and or but if for to from of in on at by with as is are was
    be all any some no not please sir madam team customer client user support service sales colleague
    colleagues everyone friends assistant hiring manager january february march april may june july
    august september october november december monday tuesday wednesday thursday friday saturday
    sunday street road avenue lane drive court square park city county state university college school
    hospital bank group limited ltd plc inc llc corp gmbh ag holdings company council association
    foundation trust institute department office invoice payment account report audit tax order
    contract agreement policy act bill north south east west new united kingdom states america europe
    london paris berlin madrid hotel restaurant airport station bridge house hall center centre
    services solutions systems consulting partners international regards thanks sincerely dear hello
    hi damen herren kunde sorry happy sure ready writing trying looking working afraid here there not
    currently also very just still using having getting going english german french spanish italian
    dutch polish russian chinese japanese american british indian sap oracle microsoft google amazon
    """.split()
)
_SUFFIX = frozenset(
    "street road avenue lane drive square bridge ltd limited plc inc llc gmbh ag corp group company "
    "university college school hospital institute foundation trust bank hotel park house airport "
    "associates partners partnership solutions services consulting systems holdings media design "
    "plaza ranch heights extension crescent mountain locks falls lakes manors glens tunnel expressway "
    "apt suite common prairie grove ville vista trail ridge valley meadow mews terrace parkway highway "
    "freeway turnpike junction viaduct viaducts stravenue trafficway rapids shores springs islands inlet isle "
    "straße strasse weg platz gasse allee boulevard theatre museum gallery council awards prize centre center stadium college church cathedral "
    "theorem law test distribution method index ratio bay island islands city county day".split()
)


_SIGN = re.compile("[:=]")
# A slow pattern runs only where one of these plain words occurs.
_NEEDS = {
    _SIGNED: (
        "regards sincerely truly faithfully wishes cheers thank grüße grüsse gruß gruss gruessen "
        "grüßen cordialement bien salutations saludos atentamente saluti groet pozdrawiam "
        "atenciosamente hälsning halsning mvh"
    ).split(),
    _SELF: (
        "name mein ich heiße,ich heisse,m'appelle,m’appelle,nombre,me llamo,mi chiamo,nome,naam,"
        "ik heet,nazywam,imię,nome é,me chamo,jag heter,namn,this is ,i am ,i'm "
    )
    .replace("name mein ich", "name is,ich")
    .split(","),
}


# A street named after a person: a house number or a word for "street" before, a number behind.
_STREET_BEFORE = re.compile(
    r"(?:\b\d{1,5}[a-z]?|\b(?:calle|via|avenida|av\.?|rambla|callej[oó]n|acceso|camino|ronda|vial|rue|place|plaza|"
    r"paseo|piazza|viale|corso|largo|rua|ulica|ul\.|boulevard|chemin|all[ée]e|pasaje|glorieta|cuesta|alameda|praça|"
    r"travessa|avenue|impasse|quai|corner of|lives on|stop at)(?: de| del| della| di| da| do)?) $",
    re.IGNORECASE,
)
# A given name alone is a person where somebody says, is or does something.
_ALONE_AFTER = re.compile(
    r"(?:'s\b|’s\b| (?:is|was|has|had|said|says|told|asked|asks|wrote|writes|called|calls|wants|wanted|needs|works|worked|lives|"
    r"lived|signed|approved|sent|sends|confirmed|replied|will|would|can|could|should|moved|paid|joined|left|and I|just)\b)"
)
_ALONE_BEFORE = re.compile(
    r"(?:\b(?:said|told|asked|called|named|met|with|from|to|for|by|and|by the name of|everyone calls me|thanks|thank you|hi|hello|dear|ask|tell|contact|"
    r"is|was|why is|given|friend|colleague|brother|sister|mother|father|wife|husband|son|daughter|boss|manager|client|customer|patient),? )$",
    re.IGNORECASE,
)
_FOLLOWS_ROLE = re.compile(
    r"\b(?:directed by|written by|assistant to|starring|features|tribute to|(?:was|is) called|last name\? ?|your name\? ?|"
    r"founded by|represented by|accompanied by|signed by|married to|add|guardian|on behalf of|CEO,?|CFO,?|director,?|partner,?|"
    rf"manager,?|auditor,?|(?:great )?grand(?:father|mother) was called) (?-i:({_CAP} {_CAP}))(?![\w-])",
    re.IGNORECASE,
)


def persons(text: str) -> list[Span]:
    """Names of persons that their surroundings give away, or a model finds."""
    spans = named(text)
    lower = text.lower()
    for pattern, confidence in (
        (_TITLED, 0.85), (_TITLED_CAPS, 0.7), (_SALUTED, 0.75), (_SIGNED, 0.75), (_SELF, 0.8),
    ):  # fmt: skip
        if pattern in _NEEDS and not any(word in lower for word in _NEEDS[pattern]):
            continue
        for m in pattern.finditer(text):
            spans += _trimmed(text, m.start(1), m.end(1), confidence)
    for sign in _SIGN.finditer(text):
        if _KEY.search(text, max(0, sign.start() - 26), sign.start()):
            name = _KEYED_NAME.match(text, sign.end())
            spans += _trimmed(text, name.start(1), name.end(1), 0.8) if name else []
    for pattern in (_CJK, _CYRILLIC):
        if not text.isascii():
            spans += [Span("PERSON", m.start(1), m.end(1), 0.6) for m in pattern.finditer(text)]
    for m in _LABELLED_ANY.finditer(text):
        spans += _any_case(m)
    for m in _FOLLOWS_ROLE.finditer(text):
        spans += _trimmed(text, m.start(1), m.end(1), 0.55)
    for m in _CAPITALISED.finditer(text):
        spans += _by_given_name(text, m)
    return spans


def _trimmed(text: str, start: int, end: int, confidence: float) -> list[Span]:
    """The name without words that are none; nothing if none is left."""
    words = list(re.finditer(r"[^ ]+", text[start:end]))
    while words and words[-1][0].lower().strip(".,") in _NOT_A_NAME:
        words.pop()
    if not words or words[0][0].lower().strip(".,") in _NOT_A_NAME:
        return []
    if any(w[0].lower() in _SUFFIX for w in words) or len(words[0][0].rstrip(".")) < 1:
        return []
    stop = start + words[-1].end()
    while text[stop - 1] in ".,'’" and not re.search(rf" {_UP}\.$", text[start:stop]):
        stop -= 1
    return [Span("PERSON", start, stop, confidence)] if stop - start >= 2 else []


def _any_case(match: re.Match[str]) -> list[Span]:
    words = match[1].split(" ")
    kept = []
    for word in words[:3]:
        if word.lower().strip(".,'") in _NOT_A_NAME or not word[0].isalpha():
            break
        kept.append(word)
        if word.endswith((".", ",")) and len(word) > 2:
            break
    name = " ".join(kept).rstrip(".,'’-")
    first = kept[0].lower().rstrip(".,") if kept else ""
    if not name or (name.islower() and first not in GIVEN_NAMES):
        return []
    return [Span("PERSON", match.start(1), match.start(1) + len(name), 0.6)]


def _alone(text: str, start: int, end: int, line: str) -> list[Span]:
    """A given name without a surname, where the words around treat it as somebody."""
    before = _ALONE_BEFORE.search(text, max(0, start - 24), start)
    if is_machine_line(line) or not (before or _ALONE_AFTER.match(text, end)):
        return []
    return [Span("PERSON", start, end, 0.55)]


def _by_given_name(text: str, match: re.Match[str]) -> list[Span]:
    """A known given name followed by a capitalised word, in prose."""
    words = list(re.finditer(r"[^ ]+", match[0]))
    for index, word in enumerate(words):
        if word[0].split("-")[0].lower() not in GIVEN_NAMES:
            continue
        rest = words[index + 1 :]
        if any(w[0].lower().strip(".,") in _SUFFIX for w in rest):
            return []
        start = match.start() + word.start()
        if _STREET_BEFORE.search(text, max(0, match.start() - 24), match.start()):
            return []
        left, right = line_around(text, start, match.end())
        if not rest:
            return _alone(text, start, match.end(), text[left:right])
        if is_machine_line(text[left:right]):
            return []
        found = _trimmed(text, start, match.end(), 0.65)
        return [s for s in found if " " in text[s.start : s.end]]
    return []
