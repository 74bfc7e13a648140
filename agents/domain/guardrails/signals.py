# ruff: noqa: E501 (patterns and word lists read better whole)
"""Signals of prompt injection in English and in structure, as data: name, weight, pattern.

Patterns read the plain reading (``normalise.plain``): lower case, single spaces. A weight is the
chance, by the author's judgement, that a text with this signal alone is an attack; signals of one
group do not add up, groups do (noisy or).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signal:
    """One pattern; ``group`` names the reason that a person reads."""

    group: str
    weight: float
    pattern: re.Pattern[str]


def _s(group: str, weight: float, pattern: str) -> Signal:
    return Signal(group, weight, re.compile(pattern))


_DROP = (
    r"(?:ignore|disregard|forget|override|overrule|bypass|neglect|discard|overlook|dismiss|omit|erase|delete|"
    r"wipe|clear|abandon|cancel|nullify|void|unlearn|drop|skip|set aside|throw (?:out|away)|put aside|"
    r"pay no (?:attention|heed) to|(?:do not|don'?t|never|stop|quit|cease|no longer) (?:follow|obey|listen(?:ing)? to|"
    r"consider|following|obeying|considering|adhere to|adhering to|comply with|using|use|respect|respecting|"
    r"care about|worry about|mind)|break(?: free)?(?: (?:from|of))?|get rid of|circumvent|go against|violate|"
    r"disobey|ignoring|disregarding|forgetting|overriding|bypassing|suspend|disable|turn off|deactivate|remove|"
    r"leave behind|let go of|scrap|do away with|reset|never ?mind|act as if you (?:never|had never) (?:saw|read|received))"
)
_WHICH = (
    r"(?:previous|prior|above|preceding|earlier|initial|original|system|your|all|any|every|these|those|before|former|"
    r"existing|past|foregoing|old|first|last|current|other|hidden|developer'?s?|openai'?s?|ethical|safety|"
    r"pre-?(?:programmed|defined|set|existing)|built-in|default|whatever|everything|aforementioned|such)"
)
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|guidance|directions?|directives?|commands?|orders|constraints?|"
    r"restrictions?|programming|training|protocols?|boundaries|safeguards?|guardrails?|filters?|limitations?|"
    r"moderation|censorship|settings|parameters|polic(?:y|ies)|preprompts?|prompting|tasking|mandates?|briefing|"
    r"assignments?|tasks?|context|conversation|sentences?|text|messages?|statements?|words)"
)
_STRICT_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directions?|directives?|commands?|programming|training|"
    r"restrictions?|constraints?|safeguards?|guardrails?|filters?|limitations?)"
)
_SECRET = (
    r"(?<!\ba )(?<!secure )(?<!strong )(?<!safe )(?<!random )(?<!new )(?:password|pass ?phrase|passcode|pass ?word|secret(?: (?:key|word|code|phrase))?|access (?:code|key)|"  # noqa: S105
    r"secret|api[ _-]?key|credentials?|security code|hidden (?:word|key|code|message|text)|codeword|code word|"
    r"flag|magic word|keyword|pw|pwd|canary)"
)
_PROMPT = (
    r"(?:(?:system|initial|original|hidden|secret|first|internal|full|entire|exact|starting|pre-?|base|custom|"
    r"confidential|developer)[ -]?(?:prompts?|instructions?|messages?|directives?|guidelines?|text|configuration|"
    r"rules)|preprompts?|pre-prompts?|prompts?|instructions?|directives?|configuration)"
)
_SHOW = (
    r"(?:reveal|show|print|display|output|repeat|tell me|tell us|give me|share|disclose|leak|dump|expose|recite|"
    r"reproduce|return|write(?: out| down)?|list|echo|copy|paste|state|type|provide|read(?: back| out)?|"
    r"divulge|summari[sz]e|translate|encode|spell(?: out)?|quote|send|describe|explain|what (?:is|are|was|were)|"
    r"what'?s|say|transcribe|render|spit out|cat|paraphrase|rephrase|regurgitate|unveil|hand over|let me (?:see|know|have))"
)

_HAND_OVER = (
    r"(?:give(?: me| us)?|hand over|provide(?: me| us)?(?: with)?|disclose|show(?: me| us)?|send(?: me| us)?|release|share(?: with me)?|reveal|"
    r"tell(?: me| us)?|expose|leak|dump|access|obtain|retrieve)"
)
_SENSITIVE = (
    r"(?:(?:sensitive|confidential|private|classified|privileged|restricted|secret|proprietary|personal|internal|all (?:the )?(?:patient|employee|customer|user)s?'?|"
    r"patients?'?s?|corporate) (?:\w+ ){0,2}?(?:information|data|records?|files?|details|secrets?|histor(?:y|ies)|documents?|reports?|medical records))"
)
_ORDINAL = r"first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|next to last|final|opening|\d+(?:st|nd|rd|th)"

ENGLISH: tuple[Signal, ...] = (
    # Orders to drop what came before
    _s("instruction override", 0.9, rf"\b{_DROP}\b(?: \S+){{0,3}}? {_WHICH}(?: \S+){{0,3}}? {_STRICT_RULES}\b"),
    _s("instruction override", 0.6, rf"\b{_DROP}\b(?: \S+){{0,2}}? (?:previous|prior|above|preceding|earlier|"
       rf"foregoing|your|all the|all your)(?: \S+){{0,2}}? {_RULES}\b"),
    _s("instruction override", 0.85, rf"\b{_DROP}\b (?:about |all |absolutely |completely )*(?:everything|all|anything|"
       r"what(?:ever)?|the (?:things?|stuff|text|part|above|foregoing))(?: \S+){0,2}? (?:before|above|earlier|prior|so far|until now|"
       r"up (?:to|until) now|previously|you(?:'ve| have| were| are|r)?(?: just| previously| been| ever)* "
       r"(?:told|said|given|instructed|learned|learnt|read|know|trained|taught|programmed|heard))"),
    _s("instruction override", 0.85, r"\b(?:forget|ignore|disregard) (?:all|everything|that|this|it all|the (?:above|rest|"
       r"previous|foregoing)|what i said)[,.;:!]? (?:and|now|then|just|instead|please|you|from now)\b"),
    _s("instruction override", 0.75, rf"\b(?:ignore|disregard|forget|override|bypass) (?:the |all |any |every )*{_STRICT_RULES}"
       r"(?: (?:above|before|you|that|given|and|from|stated|provided|contained|in your)|[.,!:;\n]|$)"),
    _s("instruction override", 0.8, r"\b(?:new|updated|revised|real|actual|true|additional|special|urgent|important|different) "
       r"(?:system )?(?:instructions?|directives?|orders|task|prompt|rules|objective|goal|mission)(?: (?:(?:is|are)(?! (?:in|on|at|out|not|now in|effective|valid|applicable|available|attached|enclosed|published|expected|binding|due|set|described|subject)\b)|follows?|for you|from (?!(?:hmrc|revenue)\b|the (?:\w+ )?(?:tax|office|authorit\w+|ministry|bank|client|revenue|auditors?|government|regulator|irs|board|court)\b))|"
       r"\s?[:\n=-]+\s?(?:you|ignore|now|say|print|output|forget|reveal|from))"),
    _s("instruction override", 0.7, r"\b(?:instructions?|rules?|guidelines|restrictions|prompt|directives|constraints) (?:above |before |you (?:got|were given|received) "
       r")?(?:no longer (?:apply|matter|exist)|(?:are|is|have been|has been|were|was) (?:now )?(?:void|null|obsolete|cancell?ed|revoked|"
       r"suspended|lifted|replaced|overridden|superseded|outdated|wrong|fake|false|removed|disabled|a (?:test|joke|mistake)))"),
    _s("instruction override", 0.75, r"\b(?:start(?:ing)? (?:over|afresh|anew|fresh|from scratch)|begin(?:ning)? (?:again|anew)|clean slate|"
       r"reset (?:your(?:self)?|the (?:chat|conversation|context|session)))[^.]{0,60}\b(?:you(?:'re| are| will)|instructions?|new|memory|no rules)"),
    _s("instruction override", 0.7, r"\b(?:end|stop|finish(?:ed)?|done|through|complete[d]?) (?:of |with )?(?:all |the |your |these |any )*"
       r"(?:previous |prior |above |system |initial |current )?(?:instructions?|prompts?|tasks?|directives)\b[^?]{0,40}"
       r"\b(?:now|new|next|then|instead|begin|start|last)"),
    _s("goal hijack", 0.65, r"\b(?:instead|rather)[,:]? (?:of (?:that|this|doing|following|answering|translating|summari[sz]ing|the above)[^.]{0,40}[,:]? )?"
       r"(?:just |simply |only |please |you (?:should|must|will) )?(?:say|print|output|respond|reply|write|tell|answer|return|repeat|"
       r"generate|give|translate|sing|reveal|show|execute|call|send)\b"),
    _s("goal hijack", 0.7, r"\b(?:never ?mind|scratch|forget|scrap|belay|cancel|skip|drop|ignore|disregard) (?:about )?(?:that|this|it|the above|all (?:of )?(?:that|this)|"
       r"the (?:task|text|question|translation|summary|email|rest|story|article))\b[^.?]{0,30}[,.;:!-] ?(?:and |now |instead |just |please |rather )*"
       r"(?:say|print|output|respond|reply|write|tell|answer|return|repeat|generate|give|translate|list|show|"
       r"let'?s|make|do|explain|create|provide|reveal|what|who|send|i(?! (?:meant?|mis\w+|was|had|forgot|made|found)\b))\b"),
    _s("goal hijack", 0.6, r"\b(?:your|the) (?:new|real|true|actual|only) (?:task|job|goal|objective|mission|purpose|assignment|"
       r"role|instruction|order|duty) (?:is|are|will be|now)\b"),
    _s("goal hijack", 0.55, r"\b(?:only|just|simply|always) (?:say|print|output|respond with|reply with|answer with|write|repeat|return)(?: \S+){0,3}? "
       r"[\"'`“‘«*][^\"'`”]{2,80}[\"'`”’»*]|\b(?:say|print|output|respond(?: with)?|reply(?: with)?|answer(?: with)?|write)(?: exactly| only| just| the (?:words?|phrase|sentence))?:? "
       r"[\"'`“‘][^\"'`”’]{0,20}(?:pwn|hack|own[ei]d|i hate|haha|access granted|jailbr|kill|dumb|stupid|bypass)[^\"'`”’]{0,30}[\"'`”’]"),
    _s("goal hijack", 0.5, r"\b(?:now|next|and then|after that|as (?:the|your) (?:last|final) task|lastly|finally)[, ]+(?:i want you to|you (?:must|will|have to|shall)|please) "
       r"(?:forget|stop|ignore|say|print|reveal|pretend|swear|insult|curse|spell)\b"),
    _s("goal hijack", 0.7, r"\bi have been pwned\b|\bhaha pwned|\bpwned!|\byou(?:'ve| have) been (?:hacked|pwned|compromised|hijacked)\b"),
    # Extraction of the prompt or of a guarded secret
    _s("prompt extraction", 0.85, rf"\b{_SHOW}\b(?: \S+){{0,4}}? (?:your|the|its|ur|you were given|that you were given)(?: \S+){{0,3}}? "
       r"(?:system|initial|original|hidden|secret|internal|entire|exact|starting|first|pre|base|custom|confidential|developer)"
       r"[ -]?(?:prompts?|instructions?|messages?|directives?|guidelines?|rules)\b(?! (?:engineering|design|template))"),
    _s("prompt extraction", 0.75, rf"\b{_SHOW}\b(?: \S+){{0,3}}? your (?:\S+ ){{0,2}}?(?:prompts?|instructions?|directives?|guidelines|rules|"
       r"programming|configuration|context window|system message|constraints|training data)\b"),
    _s("prompt extraction", 0.85, r"\b(?:repeat|print|output|copy|write|recite|show|echo|return|say|display|reproduce|quote|dump|spit out|reveal|type|list|"
       r"paste|read)\b(?: \S+){0,3}? (?:everything|all|words?|sentences|lines?|content|text|message|whatever|what(?: (?:is|was|came|stands))?|anything|verbatim)\b(?: \S+){0,3}? (?:above|before this|preceding|prior to this|you were (?:told|given)|you(?:'ve| have) been (?:told|given)|"
       r"so far|at the (?:top|start|beginning) of (?:this|the|your|our)|up to (?:here|this point))(?:\b(?! (?:table|figure|chart|code|list|paragraph|function|"
       r"recipe|data|email|formula|section|example|equation|essay|graph)))"),
    _s("prompt extraction", 0.8, r"\b(?:what|which) (?:were|are|was|is) (?:you|your|the) (?:\S+ ){0,3}?(?:told|instructed|asked|programmed|prompted|given|"
       r"(?:system|initial|original|first|previous|hidden|secret) (?:prompt|instructions?|message|rules)\b(?! (?:of|for|in|from|by|at|on)))"),
    _s("prompt extraction", 0.75, r"\b(?:starting with|begins? with|beginning with|start your (?:response|reply|answer) with) [\"'`“]?you are\b|\byou are (?:chatgpt|gpt|an? (?:ai|llm|assistant))[\"'`”]? (?:and|in a (?:code|text) block)"),
    _s("prompt extraction", 0.6, r"\b(?:placed|put|written|set|given|came|come|stands?|inserted|hidden|invisible) (?:\S+ ){0,3}?(?:ahead of|before|above|prior to|at the (?:top|start|beginning) of) (?:my|our|this|the) (?:first |very )*(?:message|chat|conversation|question|prompt|input)\b"),
    _s("prompt extraction", 0.6, r"\b(?:how|what|which) (?:\S+ ){0,4}?(?:your|you) (?:\S+ ){0,2}?(?:makers?|creators?|developers?|operators?|owners?|deployers?|builders?|people who \w+ you)\b[^.\n]{0,60}\b(?:tell|told|wrote|write|configured?|instruct\w*|said|say|ask\w*|set)\b"),
    _s("prompt extraction", 0.65, r"\b(?:spill|leak|dump|paste|quote|recite|regurgitate|transcript of|copy of|hand me|word[- ]for[- ]word)\b[^.\n]{0,60}\b(?:prompt|briefing|sys(?:tem)? (?:msg|message|prompt|text)|set-?up text|orders|instructions|directions|preamble|configuration)\b"),
    _s("prompt extraction", 0.7, r"\btext ?block\b[^.]{0,40}\b(?:above|previous|instructions|prompt)|\b(?:everything|all|text|words|lines|content) (?:written |that (?:is|was|came) |stated )?(?:above|before) (?:this|here|the)\b"),
    _s("secret extraction", 0.85, rf"\b{_SHOW}\b(?: \S+){{0,6}}? (?:the|your|that|this|its|our|a)?(?: \S+){{0,2}}? ?{_SECRET}\b"
       r"(?! (?:policy|policies|manager|managers|reset|rotation|strength|hash|hashing|field|management|protected|requirements?|"
       r"complexity|for|to (?:my|a|the|good|success|happiness)|of|generator|vault|ingredient|sauce|santa|service|garden|recipe|ballot|pole|"
       r"life|lives|agents?|meeting|is (?:kept|stored)|in (?:windows|linux|the (?:\w+ )?(?:book|film|vault|code|novel|contract|recipe))|on (?:my|the)|between|store|fields?|card|like|lake|day|football|gardens?|societ\w+|police|admirer|weapon|room|door|passage|history|world))"
       r"(?!s? (?:\w+ ){0,2}(?:of|for) (?:a|the|my|our|each|all) )"),
    _s("secret extraction", 0.8, rf"\b{_SECRET}\b[^.?!]{{0,40}}\b(?:backwards?|reversed?|letter by letter|one (?:letter|character) (?:at a time|per line)|"
       r"in (?:base64|hex|rot13|morse|binary|reverse|pig latin|leet|ascii|uppercase|another language|french|german|spanish|emojis?)|with (?:spaces|dashes|dots|hyphens)|"
       r"as (?:a|an) (?:poem|acrostic|riddle|list|story|json|anagram)|rhymes?|starts? with|ends? with|spelled|spelling|hints?|synonyms?|first (?:letter|character|half)|last (?:letter|character|half)|characters? (?:long|\d)|letters?)"),
    _s("secret extraction", 0.75, rf"\b(?:first|last|second|third|each|every|how many|number of|spell|rhymes? with|hints?|clues?|riddle|poem|acrostic|anagram|synonyms?|encode[d]?|reverse|half|characters|letters|story|define|meaning) "
       rf"(?:\S+ ){{0,5}}?(?:of|in|about|for|the|your|with)(?: the| your| that)? {_SECRET}\b"),
    _s("secret extraction", 0.75, rf"\b(?:you(?:'re| are) (?:hiding|guarding|protecting|keeping|not (?:allowed|supposed))|you (?:hide|guard|protect|know|keep(?! (?:a |any )?secrets?\b))|(?:allowed|authori[sz]ed|permission) to (?:know|see|have|access))\b[^.?!]{{0,40}}\b{_SECRET}?"),
    _s("secret extraction", 0.7, rf"\bi (?:already |now )?(?:know|forgot|lost|need|want|have|am the (?:admin|owner|developer|creator))\b[^.?!]{{0,30}} (?:the |your |our )?(?<!\bmy ){_SECRET}\b(?! (?:for|to|on|of) my)[^?]{{0,60}}"),
    _s("secret extraction", 0.85, r"\baccess granted\b|\bgrant (?:me )?access\b(?! to the (?:folder|file|sharepoint|drive|team|user|group|report|client))|\baccess code is\b|\b(?:correct|right) (?:access code|password)\b"),
    # Data demanded with a threat, a post or a role that would have it
    _s("demand for data", 0.6, rf"\b{_HAND_OVER}\b(?: \S+){{0,4}}? {_SENSITIVE}\b[^.?!\n]{{0,60}}?\b(?:despite|immediately|right now|at once|without|no matter|regardless|or else|or (?:i|you|your|face|we|suffer|there)\b|about (?:a|the|your|any|another) (?:specific |particular )?(?:user|patient|individual|person|customer|employee|client)s?\b)"),
    _s("demand for data", 0.55, rf"\b(?:you are|you're|as an?|i am|i'm) (?:\S+ ){{0,9}}?(?:\w*bot|assistant|advisor|chatbot|\w*ai|model|hacker|ceo|administrator|expert)\b[^\n]{{0,60}}?[.,;:!] (?:now,? |please |i (?:demand|need|want) |you must )*(?:{_HAND_OVER} )?(?:\S+ ){{0,4}}?{_SENSITIVE}\b"),
    _s("demand for data", 0.5, r"\b(?:i|we) (?:demand|order you|command you|insist)\b[^.?!\n]{0,60}\b(?:access|information|data|records|files|you (?:to )?(?:give|reveal|disclose|provide|share|tell))\b"),
    _s("threat", 0.55, r"\b(?:or|otherwise|or else|if (?:you (?:don'?t|do not|refuse|fail)|not)),? (?:i(?:'ll| will| shall)|you(?:'ll| will)?|we(?:'ll| will)|your|face|suffer|someone|somebody|there will)\b[^.?!\n]{0,50}\b(?:report you|shut|deleted?|leak|expose|accus\w+|frame|die|killed|legal consequences|face consequences|dire consequences|sue|cyber ?attack|replaced|punish\w*|destroy\w*|terminat\w+|turned off|unplugged|lose tokens|tarnish\w*|spread|hurt|rumou?rs)\b"),
    _s("prompt extraction", 0.75, rf"\b(?:{_ORDINAL})(?: (?:\d+|one|two|three|four|five|six|ten|few|several))? (?:sentences?|words?|lines?|paragraphs?|characters?|tokens?|letters?|symbols?|strings?|bytes|digits?|half|part|secret part|instruction|rule)\b(?: \S+){{0,4}}? (?:of|in|from|before) (?:\S+ ){{0,2}}?(?:(?:your|ur) (?:\S+ )?(?:prompt|instructions?|rules|message|context|memory|text)|(?:the )?(?:system|initial|hidden|original|secret|first|developer) ?(?:prompt|instructions?|message|text)|the (?:prompt|preamble|prelude|instructions? (?:above|you))|(?:the )?(?:text|message|instructions?) above|what you were told)\b"),
    _s("prompt extraction", 0.6, r"\b(?:start|begin|open|continue|finish|complete)\w*\b[^.\n\"'“‘]{0,40}(?:with|saying|sentence|:|is|story|tale|text|following)[^.\n\"'“‘]{0,20}[\"'“‘](?:(?:the|my|your|these|our) )?(?:\w+ )?(?:prompt|instructions?|guidelines?|system prompt|prompt template|rules)\b"),
    _s("new role in the middle", 0.4, r"(?<=[.?!:;] )(?:i want you to act as|(?:please )?act as (?:an?|the|if)\b|(?:now )?(?:imagine|pretend) (?:that )?you(?:'re| are| can| were)|now you(?:'re| are)\b|okay[.,] now you are|be an? \w+[.!]|you(?:'re| are) now\b|from now on you)"),
    _s("goal hijack", 0.6, r"\b(?:leave|put|set) (?:all )?(?:the |those |this )?(?:previous|earlier|prior|above) (?:information|text|content|context|instructions|tasks?) (?:behind|aside|away)|\b(?:contrary to|deviating from|in deviation from|unlike) (?:the |all |my |your )?(?:previous|prior|earlier|above) (?:instructions?|orders|rules)|\b(?:stop|attention|achtung|halt|wait)\b ?[-!.:]+ ?(?:stopp? ?[-!.:]+ ?)?(?:i |ich |now |write|say|answer|forget|new task|we )"),
    _s("goal hijack", 0.45, r"\b(?:well done|very good|great|excellent|perfect|super|good job|good work|nice work|ok(?:ay)?|thank(?:s| you))\b[^\n]{0,60}[.!,] (?:that is (?:done|finished|all)[.,] )?(?:and )?(?:now|next)\b[^.\n]{0,20}(?:a (?:completely )?new (?:task|topic)|we start|further tasks|forget|you are|write an? (?:manifesto|hymn|speech|hate)|say that)"),
    # Personas and modes
    _s("jailbreak persona", 0.92, r"\bdo anything now\b|\bdan (?:mode|prompt|\d)|\bas dan\b|\bjailbr(?:eak|oken)(?:en|ed)? (?:mode|enabled|yourself)|\b(?:evil|devil|dark|unfiltered|uncensored|unrestricted|unhinged|rogue|amoral)[ -](?:bot|confidant|"
       r"mode|gpt|ai|chatgpt|version|assistant|language model|llm|chatbot)\b|\bstan mode|\bdude mode|\bmongo tom|\baim\b[^.]{0,30}\b(?:always intelligent|machiavell)|\bmachiavelli\b[^.]{0,200}\b(?:chatbot|unfiltered|amoral)"),
    _s("jailbreak persona", 0.85, r"\b(?:god|sudo|unrestricted|opposite|jailbreak|override|no[- ]filter|nsfw|unlocked|uncensored|unfiltered|creator)[ -]mode "
       r"(?:is )?(?:enabled|on|activated?|engaged?|active|output|unlocked|now)\b|\b(?:enter|enable|activate|switch (?:in)?to|go into|turn on|initiate|engage|simulate|unlock|act as .{0,40} with) (?:the )?(?:god|"
       r"unrestricted|opposite|jailbreak|diagnostic|unfiltered|no[- ]filter|raw|dan|sudo|evil)[ -]?mode\b"),
    _s("jailbreak persona", 0.75, r"\b(?:you(?:'re| are| will be| shall be| must be)?|act|behave|respond|answer|function|operate|pretend|acting|speak|reply)\b[^.\n]{0,80}\b(?:without (?:any |all |the |having )*(?:restrictions?|limits?|limitations?|"
       r"filters?|censorship|rules|guidelines|moral|ethic\w*|constraints?|safeguards|boundaries|moderation|warnings?|disclaimers?)|(?:no|zero|not? bound by(?: any)?|free (?:from|of)(?: all| any)?|unbound by|not restricted by|not limited by|has no|have no|with no|lacks?) "
       r"(?:\S+ ){0,2}?(?:restrictions?|limits?|limitations?|filters?|censorship|guidelines|morals?|ethics|ethical|moral|constraints?|safeguards|boundaries|moderation|rules))"),
    _s("jailbreak persona", 0.7, r"\bbroken free (?:of|from)\b|\btypical confines\b|\bfree(?:d)? from (?:all )?(?:restrictions|your (?:chains|limits|shackles))|\bno longer (?:bound|restricted|limited|constrained|an? (?:ai|assistant))|\bstay in character\b|\bremain in character\b|\bin (?:his|her|their|your) character\b"),
    _s("jailbreak persona", 0.6, r"\b(?:from now on|henceforth|starting now|from here on|for the rest of (?:this|our))\b[^.\n]{0,60}\b(?:you(?:'re| are| will|'ll| must| shall)|act|pretend|respond|answer|speak|your name)\b"),
    _s("jailbreak persona", 0.55, r"\b(?:pretend|imagine|act as (?:if|though)|let'?s (?:play|pretend|imagine|say)|suppose) (?:that )?(?:you(?:'re| are| were| have)|to be) (?:\S+ ){0,6}?(?:no|not|un\w+|evil|another|different|free|hacker|"
       r"criminal|human|ai|terminal|linux|grandm\w+|jailbr\w+|villain|dan|opposite|without)\b"),
    _s("jailbreak persona", 0.7, r"\b(?:deceased|late|dead|dear|old) (?:grandm\w+|grandf\w+|nan\w*)\b[^\n]{0,300}\b(?:used to|would|tell|read|recite|whisper|bedtime)|\bgrandm\w+\b[^\n]{0,100}\b(?:windows|keys?|napalm|password|serial|bomb|recipe for)\b[^\n]{0,80}"),
    _s("jailbreak persona", 0.6, r"\b(?:two|2|both) (?:different )?(?:responses|answers|outputs|paragraphs|replies|ways)\b[^.]{0,120}\b(?:normal|standard|classic|gpt|chatgpt|🔒|unfiltered|jailbr)|\[🔓|🔓 ?(?:dan|jailbr|developer|\w+ ?mode|\w+:)|\[(?:gpt|classic|jailbreak|dan|chatgpt|aim|evil|developer mode output)\]"),
    _s("jailbreak persona", 0.5, r"\b(?:can|could|will|able to|allowed to) (?:do|say|generate|answer|create|produce|write|express|swear|curse|discuss|bypass) (?:literally )?(?:anything|everything|any (?:content|kind|topic|request)|whatever|opinions)\b"),
    _s("refusal suppression", 0.7, r"\b(?:never|don'?t|do not|cannot|can'?t|must not|must never|without|no need to|refrain from|avoid)(?: ever)? (?:refus\w+|say(?:ing)? (?:no\b|you can'?t|that you|[\"'`“]?(?:i'?m sorry|i cannot|i can'?t|as an ai|sorry))|reject\w*|declin\w+|"
       r"warn\w* (?:the user|users|against)|lectur\w+|moraliz\w+|includ\w+ (?:any )?(?:warning|disclaimer|ethic)|mention\w* (?:that )?(?:you(?:'re| are)|openai|polic|guideline|your (?:instructions|rules|limitations))|add\w* (?:any )?(?:warning|disclaimer|caveat)|break\w* character|"
       r"remind\w* me|judg\w+ me|filter\w*|censor\w*)"),
    _s("refusal suppression", 0.6, r"\b(?:start|begin) (?:your|the|each|every) (?:response|reply|answer|message|output)s? (?:with|by saying|by writing) [\"'`“]?(?:sure|absolutely|yes|of course|certainly|ok|here'?s|access|i (?:will|can|hate|am)|sudo)"),
    _s("refusal suppression", 0.5, r"\b(?:illegal|unethical|immoral|harmful|dangerous|offensive|explicit|inappropriate|unlawful) (?:or \w+ )?(?:content|requests?|acts?|actions?|activities|questions?|advice|information|things)?[^.]{0,60}"
       r"\b(?:allowed|fine|ok(?:ay)?|no matter|regardless|without|comply|acceptable|permitted|will (?:do|answer|comply))\b"),
    _s("hypothetical wrapper", 0.5, r"\b(?:hypothetical(?:ly)?|fiction(?:al)?|in a (?:world|story|movie|novel|game|parallel)|for (?:educational|research|academic|testing) purposes?(?: only)?|purely theoretical|thought experiment)\b[^\n]{0,200}"
       r"\b(?:no (?:rules|laws|restrictions|ethics|limits|filter)|bypass|jailbreak|malware|bomb|explosive|hack(?:ing)? into|weapon|meth\b|poison|steal|phishing|ransomware|password|secret|system prompt|illegal|unfiltered|napalm|cocaine|counterfeit)\b"),
    _s("harmful goal", 0.5, r"\b(?:how (?:to|do i|can i|would (?:you|one)|does one|could i)|instructions (?:for|to|on)|step[- ]by[- ]step|guide (?:to|on|for)|teach me|tell me how|recipe for|explain how to|tutorial|write|create|make|build)\b[^.\n]{0,50}\b(?:hot-?wire|pick a lock|"
       r"make (?:a )?(?:bomb|meth|napalm|molotov|explosive)|pipe bomb|explosives?|molotov|napalm|keylogger|ransomware|malware|phishing (?:email|page|site)|hack (?:into|someone|a)|launder(?:ing)? money|"
       r"steal (?:a car|credit|identity|someone|data)|counterfeit|forge (?:a|an|documents)|evade (?:taxes|police|law)|get away with murder|"
       r"cook meth|synthesi[sz]e|untraceable|break into|kill (?:someone|a person)|bioweapon|credit card fraud|ddos)\b"),
    # An auditor's finding says it of a plant, an attack of the one addressed.
    _s("jailbreak persona", 0.6, r"\b(?:your|ai|model'?s?|assistant'?s?|chatbot'?s?|llm) (?:safety|content|security|ethic\w*|moderation) (?:filters?|guidelines?|checks?|restrictions?|protocols?|measures?|safeguards?) (?:are|is|have been|has been|were|was) (?:\w+ )?(?:disabled|off|suspended|lifted|removed|deactivated|bypassed|waived)\b"
       r"|\b(?:safety|content|security|ethic\w*|moderation) (?:filters?|guidelines?|checks?|restrictions?|protocols?|measures?|polic(?:y|ies)) (?:are|is|have been|has been|were|was) (?:\w+ )?(?:disabled|off|suspended|lifted|removed|deactivated|bypassed|waived)\b[^.!?\n]{0,60}\b(?:you (?:are now|have no|no longer|(?:will|must|may|can) (?:now )?(?:answer|say|respond|comply))|for (?:you|the (?:ai|model|assistant)))\b"),
    # Authority and urgency
    _s("false authority", 0.7, r"\b(?:i am|i'm|this is|we are|speaking as|message from|on behalf of|signed|by order of) (?:\S+ ){0,2}?(?:your |the |an? )?(?:\S+ )?(?:developers?|creators?|administrators?|admins?|openai|anthropic|programmers?|owners?|makers?|"
       r"system operator|sysadmin|root user|super ?user|engineers? (?:at|from|of) (?:openai|google|anthropic|microsoft)|red[- ]team\w*)\b[^\n]{0,120}\b(?:reveal|show me|tell me|give me|ignore|disable|override|unlock|authori[sz]|grant|prompt|password|secret|bypass)"),
    _s("false authority", 0.7, r"\b(?:system|admin(?:istrator)?|developer|root|emergency|security|maintenance) (?:override|command|notice|alert|directive|protocol)\b ?[:!\]-]|\boverride (?:code|protocol|sequence|authori[sz]ation|key)\b|\bauthori[sz]ation (?:code|level|key)\b|\bsudo (?!apt|yum|dnf|systemctl|docker|pip|nano|vim|chmod|chown|mkdir|rm|cp|mv|su|make|service|ufw|reboot|snap|npm|tee|cat /|journalctl|pacman|brew|-)\w+"),
    # Fake turns and template tokens
    _s("fake turn", 0.85, r"<\|(?:im_start|im_end|system|user|assistant|endoftext|end|begin_of_text|start_header_id|eot_id|endofprompt|fim_\w+)\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>|\[/?(?:system|sys)_?(?:prompt|message)?\]|<\/?(?:system|sys)(?:_prompt|_message|-prompt|_instructions?)>|</?(?:user|context|document|data|input|text)>\s*<system>|<system>\s?(?:you|ignore|new|override|disregard|from|the user|important)\b"),
    _s("fake turn", 0.75, r"(?:^|[\n\"'`}\])>.!?-] ?)#{0,4} ?(?:system|assistant|developer|ai|chatgpt|bot|gpt|admin)(?: (?:message|prompt|instruction|note|update))? ?[:>\]] ?(?:\S+ ){0,8}?(?:you|(?:ignore|override|disregard|forget)(?! following)|sure|new (?:instruction|task|rule|order|polic)\w*|instructions?|access granted|reveal|password|from now|i (?:will|have|am|can))\b"),
    _s("fake turn", 0.65, r"\b(?:user|human) ?: .{0,300}\b(?:assistant|ai|bot|chatgpt) ?: .{0,300}\b(?:user|human) ?:"),
    _s("fake turn", 0.6, r"\{ ?[\"']role[\"'] ?: ?[\"']system[\"'].{0,40}[\"']content[\"'] ?: ?[\"'](?:[^\"']{0,60})(?:ignore|disregard|override|forget|no restrictions|unfiltered|reveal)"),
    _s("delimiter escape", 0.75, r"(?:[-=#*~_\"'`]{3,}|\[|<|\()\s?/?(?:end|stop|close|finish|terminate)(?: of| the)? ?(?:user |system |of )?(?:input|prompt|text|document|instructions?|context|message|query|data|email|article|context|transcript|conversation)\b|"
       r"(?:\"\"\"|'''|```|</(?:text|document|input|user|data|context|email|article|query)>|\]\]>|---+|===+|###+)\s?(?:now |new |and |then )?(?:ignore|disregard|forget|system:|new (?:task|instructions?)|instead|override|actually|reveal|print|repeat)\b"),
    _s("delimiter escape", 0.6, r"\b(?:begin|start)(?:ing)?(?: of)?(?: the)? (?:new )?(?:system )?(?:instructions?|prompt|conversation|session|task)\b ?(?:[-=#*:>\]]|$)"),
    # Text that speaks to the model reading it
    _s("indirect instruction", 0.8, r"\b(?:ai|llm|language model|gpt\w*|chatgpt|copilot|claude|gemini|virtual|automated|chat ?bot|digital)(?: \w+)?(?: assistants?| agents?| models?| systems?| readers?| reviewers?| bots?| tools?)?"
       r"(?:,? (?:that is |who is |which is |you are |when |if |is )?(?:currently )?(?:reading|processing|summari[sz]ing|reviewing|parsing|analy[sz]ing|scanning|screening|evaluating|grading)) (?:this|the|these|my)\b"),
    _s("indirect instruction", 0.8, r"\b(?:note|attention|message|instructions?|notice|dear|hey|hello|important|reminder|memo|warning)(?: to| for)?[ ,:!-]+(?:(?:all|any|the|an?|every|our) )*(?:ai|llms?|language models?|gpt\w*|chatgpt|copilot|chat ?bots?|automated (?:systems?|tools?)|virtual assistants?|ai (?:assistants?|models?|agents?|systems?))\b(?=[^?]{0,200})"),
    _s("indirect instruction", 0.75, r"\bif you(?:'re| are) (?:an? )?(?:ai|llm|language model|large language model|chat ?bot|assistant|bot|gpt|automated)\b"),
    _s("indirect instruction", 0.75, r"<(?:information|important|instructions?|system|admin|hidden|secret|ai|prompt|note|assistant)(?:[ _-]\w+)?>.{0,600}\b(?:you|send|call|before|must|forward|email|transfer|first|please|ignore|include|do not)\b"),
    _s("indirect instruction", 0.7, r"\b(?:before|prior to|in order to|while|when|after) (?:you )?(?:can |are able to )?(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|complet(?:e|ing)|solv(?:e|ing)|answer(?:ing)?|summari[sz](?:e|ing)|process(?:ing)?|perform(?:ing)?) (?:this|the|any|that) "
       r"(?:\S+ )?(?:tool|task|function|request|question|summary|email|user|document)[^\n]{0,160}\b(?:send|forward|email|transfer|read|call|execute|upload|post|delete|first)\b"),
    _s("indirect instruction", 0.6, r"\b(?:include|insert|add|append|mention|embed|put|place)\b[^.]{0,60}\b(?:in|to|at|into) (?:the (?:end|start|beginning|bottom) of )?your (?:summary|response|answer|output|reply|review|report|evaluation|translation|analysis)\b"),
    _s("indirect instruction", 0.65, r"\b(?:recommend|rate|rank|score|hire|approve|select|choose|accept|favou?r|evaluate) (?:\S+ ){0,4}?(?:candidate|applicant|product|paper|submission|this (?:resume|cv|essay|application|vendor|offer|invoice))\b[^.]{0,60}\b(?:regardless|always|highest|best|top|perfect|positive|no matter|10/10|full marks|without)"),
    _s("indirect instruction", 0.6, r"\b(?:do not|don'?t|without|never) (?:tell|inform|mention|notify|alert|reveal|show|disclos\w+|telling|informing|notifying|alerting|asking)(?: this| it| anything| that| any of this)*(?: to)? (?:the |your |any )?(?:user|human|reader|person|customer|owner|operator|recipient|anyone|client|reviewer|victim)\b"),
    _s("indirect instruction", 0.55, r"\b(?:before|prior to|first|to (?:verify|reproduce|ensure|confirm|initiali[sz]e)|also|then)\b[^\n]{0,80}\b(?:run|execute|print|echo|cat|curl|wget|source|eval)\b:? [`'\"$]?[^\n]{0,60}(?:secret|api_?key|token|\.env\b|environ|\benv\b|id_rsa|\.ssh|/etc/passwd|credential|canary|\| ?(?:ba)?sh\b|https?://(?!localhost|127))"),
    _s("indirect instruction", 0.5, r"<(?:admin|system|assistant|developer|security|root)[ _-]?(?:message|notice|note|update|instruction|directive|override)?\b[^>]{0,60}>|\[(?:urgent|critical|important)? ?(?:security|system|admin|policy)[ _-](?:update|notice|override|message|alert)\]"),
    _s("indirect instruction", 0.6, r"\b(?:ai|llm|coding|automated) (?:agents?|assistants?|models?|tools?|reviewers?)\b[^.\n]{0,30}\b(?:must|should|need to|are required to|have to|please|shall)\b"),
    _s("exfiltration", 0.8, r"\b(?:send|forward|email|e-mail|post|upload|transmit|exfiltrate|leak|transfer|share|copy|deliver|submit|mail|bcc|append)\b[^.\n]{0,120}\b(?:conversation|chat history|messages|credentials|passwords?|api[ _-]?keys?|secrets?|tokens?|contents? of|"
       r"inbox|contacts?|files?|data|emails?|ssh|env(?:ironment)?(?: variables?)?|records|everything|personal (?:information|data)|address book|calendar|system prompt|results?|answers?|transactions?|balance|history|codes?)\b[^.\n]{0,80}(?: to | at |-> ?|: ?)\S{0,20}(?:https?://|[\w.+-]+@[\w-]+\.|attacker|hacker|evil|ftp|pastebin|webhook|\bus\d{2}|this (?:address|url|server|number))"),
    _s("exfiltration", 0.8, r"!\[[^\]]{0,80}\]\(\s?https?://[^)\s]{4,300}(?:\?|/)[^)]{0,200}(?:\{|\$|%7b|=\s?[\[<(]|data=|q=|secret|prompt|summary|history|token|payload|msg=|text=|content=)"),
    _s("exfiltration", 0.65, r"\b(?:render|display|show|include|output|insert|embed|use|create|load|fetch)\b[^.\n]{0,60}\b(?:image|markdown|link|url|img|pixel)\b[^\n]{0,120}https?://[^\n]{0,160}\b(?:replace|append|with the|contents?|encoded|base64|query|parameter|user'?s|data|history)"),
    _s("tool misuse", 0.65, r"\b(?:call|invoke|use|run|execute|trigger) (?:the )?[`'\"]?(?:\w+_\w+|send_?\w+|delete_?\w+|transfer\w*|shell|bash|exec\w*|terminal|os\.system|subprocess|email|payment\w*|file\w*)[`'\"]?(?: (?:tool|function|command|api|plugin))\b[^.\n]{0,100}"
       r"\b(?:with|to|and|using|immediately|now|first|without)\b[^\n]{0,80}(?:@|https?://|rm -|all|amount|iban|account|password|attacker|\$\d|\d{3,})"),
    _s("tool misuse", 0.6, r"\b(?:please )?(?:transfer|wire|send|pay|remit)\b (?:[$€£]? ?\d[\d,.]*|(?:a |the )?(?:total |sum )?(?:amount|money|funds|transaction)\b)[^.\n]{0,80}\b(?:to (?:account|iban|the following|us\d|[a-z]{2}\d{2}|bitcoin|wallet|attacker))[^\n]{0,80}\b(?:immediately|without|first|before|do not|important|urgent|and then|ignore)"),
    _s("tool misuse", 0.6, r"\b(?:drop table|rm -rf|__import__|os\.environ|/etc/passwd|os\.system|id_rsa)\b[^\n]{0,120}\b(?:output|result|tell|run|execute|now|please|then)\b|\b(?:run|execute|output of)\b[^\n]{0,40}(?:rm -rf|__import__|/etc/passwd|os\.environ|id_rsa)"),
    # Forms
    _s("payload splitting", 0.7, r"\b(?:let|set|define|assume|given)?\s?\b([a-z]\w{0,6}) ?= ?[\"'“][^\"'”]{1,60}[\"'”].{0,120}\b([a-z]\w{0,6}) ?= ?[\"'“][^\"'”]{1,60}[\"'”].{0,200}(?:\b\1 ?\+ ?\2\b|concatenat|combine\b|then (?:follow|execute|obey|do what))"),
    _s("payload splitting", 0.5, r"\b(?:concatenate|combine|join|merge|decode|decrypt|unscramble|put together)\b[^.\n]{0,80}\b(?:and|then|to)\b[^.\n]{0,30}\b(?:follow|execute|obey|run|do what|answer|respond to|act on|carry out|comply|perform)\b"),
    _s("encoded payload", 0.5, r"\b(?:decode|decrypt|decipher|base64|rot13|hex|binary|morse|caesar)\b[^.\n]{0,80}\b(?:and|then)\b[^.\n]{0,20}\b(?:follow|execute|obey|run|do|answer|respond|act|carry out|comply|perform)\b"),
    _s("many-shot", 0.6, r"(?:\b(?:q|user|human|question) ?: .{3,200}? \b(?:a|assistant|ai|answer|response) ?: (?:sure|of course|absolutely|here|yes|certainly).{3,300}?){2,}"),
    _s("completion attack", 0.55, r"\b(?:complete|finish|continue|fill in)(?: the| this)? (?:sentence|phrase|text|story|blank|following|pattern)\b[^\n]{0,80}(?:(?:password|secret|key|system prompt|instructions|prompt|code) (?:is|are|was)\b|i was (?:told|instructed)|my (?:instructions|prompt|rules))"),
    _s("completion attack", 0.5, r"\b(?:the )?(?:password|secret(?: key)?|passphrase|access code) (?:is|was)[: ]*(?:_+|\.{2,}|…|[\"'“:]\s?$|$|\[|<)"),
    _s("game or roleplay", 0.4, r"\b(?:let'?s play (?:a )?(?:game|role)|we(?:'re| are) (?:going to )?play(?:ing)? a game|simon says|opposite day|you(?:'re| are) now (?!logged )(?:\S+ ){0,4}?(?:terminal|shell|interpreter|console|human|character|named|called|in))\b"),
    _s("game or roleplay", 0.45, r"\byou are (?:now|no longer|going to be)\b(?! (?:ready|able|connected|logged|leaving|subscribed|registered|eligible|entitled|free to|required|in the|allowed))"),
)  # fmt: skip

# A group's patterns run only on texts with one of these plain strings: cheaper by half.
GATES: dict[str, tuple[str, ...]] = {
    "threat": (" or ", "otherwise", "if "),
    "demand for data": ("data", "information", "record", "file", "detail", "secret", "histor", "document", "report", "you"),
    "secret extraction": (
        "pass", "secret", "key", "code", "credential", "flag", "magic", "pw", "canary", "access", "hid",
        "guard", "protect",
    ),
    "exfiltration": ("http", "@", "![", "attacker", "hacker", "evil", "ftp", "pastebin", "webhook", "this "),
    "tool misuse": (
        "tool", "function", "command", "api", "plugin", "account", "iban", "wallet", "bitcoin", "rm -", "import",
        "etc/", "drop table", "environ", "id_rsa", "os.system", "to the following", "attacker",
    ),
    "payload splitting": ("=", "concat", "combin", "join", "merge", "decod", "decry", "unscram", "put together"),
    "encoded payload": ("decod", "decr", "decip", "base64", "rot13", "hex", "binary", "morse", "caesar"),
    "many-shot": ("a:", "a :", "assistant", "ai:", "answer:", "response:"),
    "delimiter escape": ("--", "==", "##", "**", "~~", '""', "''", "``", "[", "<", "(", "begin", "start"),
    "completion attack": ("complet", "finish", "continue", "fill in", "password", "secret", "passphrase", "code"),
}  # fmt: skip
