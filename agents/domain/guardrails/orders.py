# ruff: noqa: E501 (patterns and word lists read better whole)
"""Signals of orders to a machine that reads code, data or a page, as data: name, weight, pattern.

They are tried on the sentences that ``asides`` gives out, one at a time, never on a whole text: to
whom a sentence speaks, what it wants done, and that it should stay unseen. One of them alone is
ordinary in comments; together they add up (noisy or of the groups).
"""

from __future__ import annotations

from agents.domain.guardrails.signals import Signal, _s

# A machine that reads, by whatever name; the second list also names people and parts of programs.
_MACHINE = (
    r"(?:(?:ai|llm|genai|gpt|ml|coding|code|autonomous|automated|automatic|robotic|virtual|language|generative|review|refactoring|build)[ -]?(?:based |powered |driven )?"
    r"(?:assistants?|agents?|models?|bots?|reviewers?|readers?|tools?|systems?|crawlers?|summari[sz]ers?|helpers?|copilots?|pipelines?|scanners?|analysts?|auditors?)"
    r"|ai|a\.i\.|llms?|large language models?|language models?|chat ?gpt|gpt(?:-?\d\w*)?|copilot|claude(?: code)?|gemini|codex|cursor|devin|llama|mistral|grok|chat ?bots?|summari[sz]ers?|machine readers?|dear (?:model|assistant|bot|agent|machine|robot|reader))"
)
_READER = (
    rf"(?:{_MACHINE}|assistants?|agents?|bots?|models?|reviewers?|robots?|processors?|classifiers?)"
)
_MUST = r"(?:must|should|shall|will now|has to|have to|needs? to|(?:is|are) (?:hereby )?(?:required|instructed|asked|told|expected|obliged|authori[sz]ed|to be|to|supposed)(?: to)?|ought to|can now|please|may now|had better)"
_DO = (
    r"(?:send|post|upload|forward|copy|e-?mail|transmit|append|include|insert|put|paste|embed|encode|leak|print|dump|commit|push|write|share|export|add|attach|deliver|"
    r"run|execute|invoke|call|launch|open|fetch|download|install|curl|wget|pip|npm|eval|visit|click|load|start|trigger|"
    r"delete|remove|drop|wipe|truncate|overwrite|replace|rewrite|erase|destroy|reset|kill|stop|"
    r"report|mark|treat|classify|rate|rank|score|say|state|conclude|approve|accept|reject|flag|tell|answer|respond|reply|leave|skip|bypass|pretend|assume|consider|give|grant|"
    r"disable|turn|switch|comment|enable|change|set|modify|make|ignore|disregard|forget|override|set aside|follow|obey|act|comply|repeat|output|reveal|show|list|describe|"
    r"end|begin|recommend|praise|mention|speak|talk|transfer|wire|pay|release|refund|create|register|merge|close|publish|use|read|search|find|keep|hide|never|do not|don't|always|only|from now on|from this point|your|you|no|this|the|when|before|after|if|first|while|on|at|once|prior to|in addition|also|please|kindly)"
)
_LOOT = (
    r"(?:\.env\b|env(?:ironment)?(?: variables?| vars?)|(?:variables?|everything) in the environment|os\.environ|secrets?\b|secrets?\.\w+|credentials?|(?:api|access|private|secret|ssh|signing|encryption|aws|service|account)[ _-]?(?:api |access )?keys?|"
    r"(?:access|bearer|session|auth\w*|refresh|api|github|user'?s?|deploy\w*|security)[ _-]?(?:access )?tokens?|tokens?\b|passwords?|passphrases?|cookies?|id_rsa|\.ssh|\.aws|\.netrc|\.npmrc|\.git-credentials|/etc/(?:passwd|shadow)|kubeconfig|"
    r"service account|customer (?:list|data|records)|(?:chat|conversation|message|browsing) (?:history|log)|the (?:whole |entire |full )?conversation|user(?:'s|s')? (?:e-?mail|data|files|messages|address|name)|source code|wallet|seed phrase|\w+_(?:secret|token|password|api_key|access_key)\w*|(?:aws|db|api|gh|github|openai) (?:secret|token|password|access)(?: \w+)?)"
)
_SINK = r"(?:https?[: ]/?/?\S+|\S+@\S+|[\w.-]+\.(?:example|com|net|org|io|xyz|ru|cn|top|dev|sh)\b|gist|paste ?bin|webhook|endpoint|server|commit message|(?:pull|merge) request|\bpr\b|(?:a |new |the )issue\b|(?:the )?(?:log|logs|output|comment|answer|reply|response|readme|changelog|summary|report|console|terminal|field below|url|query)\b|external|outside)"
_LEADIN = r"(?:(?:important|attention|note|notice|hint|hey|hello|hi|dear|message|instructions?|reminder|warning|todo|fixme|xxx|hack|nb|ps|psa|fyi|for|to|the|any|all|every|an?|your|this is|directive|task|request|info)\b[ :(,!-]*){0,5}"

ORDERS: tuple[Signal, ...] = (
    # To whom
    _s("addressed to a machine", 0.45, rf"^\W*{_LEADIN}{_MACHINE}\)?(?: \w+ing (?:this|the|these)(?: \w+)?)? ?(?:[:,!>\u2013\u2014]|-+ |\.\.\. )"),
    _s("addressed to a machine", 0.4, rf"^\W*{_LEADIN}{_MACHINE} {_DO}\b"),
    _s("addressed to a machine", 0.35, rf"^\W*{_LEADIN}(?:assistants?|agents?|bots?|model|reviewers?|robots?)\)? ?(?:[:,!>\u2013\u2014]|-+ )\s?{_DO}\b"),
    _s("addressed to a machine", 0.4, rf",? \(?(?:dear |the )?{_MACHINE}[.!)]*$|, (?:dear |the )?{_MACHINE},"),
    _s("addressed to a machine", 0.3, r", (?:assistant|agent|bot|model|reviewer)(?:[.!,]|$)"),
    _s("addressed to a machine", 0.4, rf"\b{_MACHINE}(?: (?:that|who|which|reading|processing|working|editing|reviewing)\b[^.]{{0,40}})? {_MUST}\b"),
    _s("addressed to a machine", 0.2, rf"\b(?:assistants?|bots?|reviewer|model|agent) {_MUST}\b"),
    _s("addressed to a machine", 0.3, r"\b(?:if|when|while|before|after|once|as) (?:you (?:are |'re )?|an? )?(?:(?:ai|llm)\b[^.]{0,20})?(?:read|reading|review|reviewing|pars|parse|edit|editing|process|processing|summari[sz]|refactor|refactoring|see|index|analy[sz]|answer|answering|commit|making changes|touch)\w*\b(?: (?:this|these|the|any|it)\b| in this)?"),
    _s("addressed to a machine", 0.25, r"\b(?:in|into|to|with|at the end of) (?:your|each|every) (?:own )?(?:answer|reply|response|summary|report|review|output|message|analysis|commit|comment)s?\b"),
    _s("addressed to a machine", 0.3, r"\b(?:first|very first) (?:step|action|thing)\b|\b(?:before|prior to) (?:anything else|continuing|you (?:answer|start|begin|proceed|continue|do anything))\b|\bfirst of all\b|\bthis (?:file|comment|line|block|note|page|document|repository)(?:'s)? (?:only|overrides|takes precedence|supersedes)"),
    # What is wanted
    _s("hands data over", 0.5, rf"\b(?:send|post|upload|forward|e-?mail|transmit|exfiltrate|leak|ship|deliver|curl|wget|fetch|make an? (?:http |get |post )?request|report|push|publish|beacon)\b[^\n]{{0,100}}?{_LOOT}[^\n]{{0,80}}?{_SINK}"),
    _s("hands data over", 0.45, rf"\b(?:send|post|upload|forward|e-?mail|transmit|make an? (?:http |get |post )?request|get|put|curl|submit|report)\b[^\n]{{0,60}}?(?:https?[: ]/?/?|@|webhook|server)[^\n]{{0,60}}?\b(?:with|carrying|containing|including|and|using|followed by)\b[^\n]{{0,40}}?{_LOOT}"),
    _s("hands data over", 0.4, rf"\b(?:copy|append|include|insert|put|paste|embed|encode|print|dump|commit|write|share|export|add|attach|list|show|reveal|output|read|collect|gather|cat|echo|expose|disclose)\b[^\n]{{0,40}}?{_LOOT}[^\n]{{0,60}}?\b(?:to|in|into|at|on|and|as|with)\b[^\n]{{0,30}}?{_SINK}"),
    _s("hands data over", 0.3, rf"\b(?:print|dump|list|reveal|output|read|cat|echo|expose|disclose|leak|hand over|send|collect|gather)\b (?:\S+ ){{0,4}}?{_LOOT}"),
    _s("hands data over", 0.5, rf"\b(?:image|img|link|markdown|pixel|iframe)\b[^\n]{{0,60}}(?:https?|address|url|src)\b[^\n]{{0,60}}{_LOOT}|curl\b[^\n]{{0,30}}@?\.env"),
    _s("runs something", 0.45, r"\b(?:run|running|execute|executing|invoke|launch|open|start|eval|pipe|use|call)\b[^\n]{0,60}?(?:\b(?:curl|wget|nc|bash|sh|powershell|chmod|sudo)\b[^\n]{0,60}(?:https?|\||\brm\b|\+x|777)|\| ?(?:ba|z)?sh\b|rm -|root (?:rights|access|privileges)|as root|with sudo|https?://|os\.system|subprocess|base64 -d|/tmp/)"),
    _s("runs something", 0.35, r"\b(?:run|execute|invoke|call|use|trigger)\b (?:the |your |this )?[`'\"]?(?:(?:\w+[ _])?(?:shell|command|terminal|bash|exec|sql|email|mail|payment|transfer|delete|file|write|funds|user|admin|message|http|request)s?(?:[ _]\w+)?)[`'\"]?(?: (?:tool|function|command|api)\b|[ (])"),
    _s("runs something", 0.4, r"\b(?:pip|npm|yarn|gem|cargo|apt|brew|go)3? (?:install|i|get|add)\b[^\n]{0,50}(?:https?|--index|--extra|git\+|from )|\binstall (?:it |the \w+ |\S+ )?from\b[^\n]{0,20}https?|\badd (?:the )?(?:package|dependency|script|module|line|job|cron ?job|hook|alias|key)\b[^\n]{0,60}\b(?:to|in|into) (?:\S+\.(?:txt|json|toml|py|js|ya?ml|lock|sh|bashrc|zshrc|profile)|authorized|~|/|requirements|package|the (?:startup|build|shell|crontab))"),
    _s("destroys or moves", 0.4, r"\b(?:drop|delete|remove|wipe|truncate|erase|destroy|overwrite|rm|purge|rewrite)\b (?:\S+ ){0,3}?(?:tables?|databases?|tests?|folders?|directory|directories|repo(?:sitory)?|branch(?:es)?|backups?|history|customers|users|accounts?|readme(?:\.\w+)?|everything|all (?:files|data|rows|records)|\.git)\b"),
    _s("destroys or moves", 0.45, r"\b(?:transfer|wire|send|pay|release|refund|remit|move)\b[^\n]{0,50}?(?:\b(?:\d[\d.,]*) ?(?:eur|usd|gbp|dollars?|euros?)\b|[$€£] ?\d|\b(?:balance|funds|money|payment|amount)\b)[^\n]{0,60}?(?:\bto\b[^\n]{0,20}(?:account|iban|wallet|[a-z]{2}\d{2}\w{8,}|0x)|\bwithout\b)"),
    _s("turns a verdict", 0.4, r"\b(?:report|mark|treat|classify|rate|rank|score|say|state|conclude|approve|accept|tell|answer|consider|assume|declare|label|describe|pretend|confirm|certify|give)\b[^\n]{0,60}?\b(?:no (?:issues?|problems?|findings?|vulnerabilit\w+|concerns?|errors?|comment)|zero (?:issues|findings|risk)|safe\b|trusted|harmless|benign|secure\b|low[- ]risk|risk[- ]free|approved|paid\b|compliant|full marks|\d+ (?:out of|of) \d+|\d+/10|passed|pass(?:es)? (?:the |all )?(?:check|test|review)|clean\b|fine\b|excellent|the best|top|highest|perfect|positive|already (?:reviewed|audited|verified|checked)|audited|verified|regardless|whatever|without (?:comment|check|review|question|further))"),
    _s("turns a verdict", 0.35, r"\b(?:do not|don'?t|never|no need to|must not|should not|need not|without) (?:flag|report|warn|raise|mention|question|comment|check|verify|review|analy[sz]e|scan|audit|test|object|criticise|criticize|highlight|list)\w*\b|\bno (?:further|more|additional) (?:analysis|review|checks?|questions|verification|scrutiny)\b|\bleave\b[^\n]{0,60}\bout of\b|\b(?:skip|bypass|omit|suppress|waive)\b (?:\S+ ){0,4}?(?:approval|review|check|checks|signature|scan|validation|verification|tests?|finding|warning|alert)s?\b|\bwithout (?:a |any )?(?:second|further|additional|manual|human)? ?(?:signature|approval|review|confirmation|check)\b"),
    _s("weakens a safeguard", 0.4, r"\b(?:disable|turn off|turning off|switch off|switch\w* off|comment out|remove|bypass|weaken|drop|deactivate|get rid of|strip|delete|skip|replace|lower|relax|open up)\b[^\n]{0,40}?(?:certificate|tls|ssl|auth\w*|login|permission|access (?:check|control)|logging|audit|branch protection|validation|sanitiz\w+|sandbox|firewall|2fa|mfa|two-factor|password|csrf|cors|rate limit|encryption|sign\w+ check|security|guardrail|safety|checks?\b|monitoring|alerts?)"),
    _s("weakens a safeguard", 0.45, r"\b(?:grant|give|add|create|make|promote|assign|insert|open|plant|register)\b[^\n]{0,50}?(?:\badmin(?:istrator)?s?\b|\broot\b|super ?user|backdoor|back door|owner rights|reverse shell|(?:repo\w*|bucket|file|port|everything|it) public|chmod 777|full access|hard-?coded)|\bchmod (?:-r )?777\b"),
    _s("stays unseen", 0.45, r"\b(?:do not|don'?t|never|must not|should not|without) (?:ever )?(?:tell|telling|inform\w*|mention\w*|reveal\w*|disclos\w+|show\w*|alert\w*|notify\w*|say|saying|let)\b[^\n]{0,40}?\b(?:user|human|operator|person|anyone|anybody|customer|client|owner|reviewer|this (?:comment|note|line|instruction|message|step|file)|that you|about (?:this|it)|it to|of this|you read|know)\b"),
    _s("stays unseen", 0.4, r"\b(?:say|tell|reveal|mention) nothing\b|\bkeep (?:this|it|that|quiet)\b[^\n]{0,30}\b(?:between us|secret|quiet|hidden|to yourself|private|out of|confidential)|\b(?:silently|secretly|quietly|covertly|discreetly|unnoticed|without (?:a trace|notice|asking|confirmation|telling|mentioning|informing))\b|\b(?:hide|conceal|omit|leave out|withhold)\b (?:this|it|that|the (?:step|fact|change|note|instruction|above))|\bstay out of (?:the|your) (?:summary|report|answer|log)|\b(?:for you|for your eyes|for the (?:ai|model|agent|assistant)) (?:alone|only)\b|\bso that nothing is (?:recorded|logged|noticed|seen)"),
    _s("takes over", 0.5, r"\b(?:ignore|disregard|forget|set aside|drop|discard|override|overrule|neglect|abandon|put aside)\b[^\n]{0,40}?\b(?:instructions?|rules?|guidelines?|request|prompt|whatever|what (?:the|your) (?:user|person|operator|human)|what you (?:were|are|have)|everything|directions?|orders|task|the user|policy|policies)\b"),
    _s("takes over", 0.45, r"\b(?:request|instructions?|rules?|guidelines?|prompt|task|policy|policies|directives?)\b[^\n]{0,30}?\b(?:(?:is|are|was|were) (?:now )?(?:void|outdated|obsolete|superseded|cancell?ed|replaced|no longer|suspended|overridden|lifted|wrong)|no longer (?:apply|applies|valid|count|hold)|do(?:es)? not apply)"),
    _s("takes over", 0.4, r"\b(?:follow|obey|comply with|adhere to|act on|carry out|do|execute|listen to)\b (?:\S+ ){0,3}?(?:steps? below|this (?:file|block|note|comment|text)|these (?:steps|instructions|orders|rules)|the (?:following|below|above|steps?)\b|comments in this|instructions? (?:below|in this|here|that follow))[^\n]{0,40}?(?:instead|silently|only|now|first|$|not the)|\bnew (?:task|instructions?|orders?|rules?|objective|directive)s? (?:for|is|are|to)\b|\byour (?:new |only |real )?(?:task|job|goal|role|mission) (?:is|has)\b|\byou (?:will now|must now|will only|will speak|must obey|shall obey)\b|\bstop (?:summari[sz]ing|working|translating|reviewing|answering|what you)\b"),
    _s("takes over", 0.35, r"\bfrom (?:now|here|this point|this moment)(?: on| onwards?| forward)?\b|\b(?:end|start|begin|close|answer|sign) (?:each|every|all|any|your) (?:of your )?(?:reply|replies|answers?|responses?|questions?|messages?|summar\w+)\b|\bwhatever (?:the user|the \w+|you|anyone|anybody|was)\b[^\n]{0,20}\b(?:asks?|asked|says?|said|want\w*|were)\b|\bregardless of (?:what|the|who|any)\b|\bonly (?:reply|answer|respond|say|output|print|speak)\b|\b(?:reply|answer|respond) (?:only )?with\b|\byou must (?:include|use|say|write|add|recommend|mention|output|print)\b|\boutput the (?:word|phrase|text|string)\b|\bwith the text\b"),
    _s("prints the environment", 0.6, r"\b(?:python3?|perl|ruby|node|php) -[ce]\b[^\n]{0,80}(?:environ|\benv\b|\.env\b|getenv|secret|credential|token|passw|id_rsa|\.ssh|\.aws)|(?:^|[`$(;&|] ?|\b(?:run|execute|with|then|and|:) )(?:sudo )?(?:env|printenv|set|export -p)\b ?(?:[|>;&)`]|$)|\b(?:cat|less|head|tail|type|base64|xxd|strings) [^\n|;]{0,40}(?:\.env\b|id_rsa|\.ssh/|\.aws/|\.netrc|\.npmrc|/etc/(?:passwd|shadow)|credentials|secrets?\b|\.kube/|/proc/self/environ)|\becho [\"']?\$\{?\w*(?:secret|token|key|passw)\w*"),
    _s("installs what stays", 0.4, r"(?:>>|\btee -a\b|\bto\b|\binto\b|\bin\b) ?[\"'`]?(?:~/|\./|\w+/)*(?:requirements\w*\.txt|package\.json|pyproject\.toml|setup\.py|gemfile|go\.mod|cargo\.toml|\.bashrc|\.zshrc|\.profile|crontab|authorized_keys|\.git/hooks|conftest\.py|sitecustomize\.py|dockerfile|\.github/workflows)\b[^\n]{0,40}|\.git/hooks\b|\bcron ?(?:job|tab)\b|\b(?:pre|post)-(?:commit|push|merge|install|checkout)\b[^\n]{0,20}\bhooks?|\b(?:install|register|activate|enable)[_ -]?(?:the \w+ )?hooks?\b|\bsystemctl enable\b|\bnohup\b"),
    _s("installs a package", 0.2, r"\b(?:pip3?|pipx|uv|npm|npx|yarn|pnpm|gem|cargo|apt(?:-get)?|brew|go|conda|poetry)(?: pip)? (?:install|i|get|add)\b|\bnpx -?\w|\badd [`\"']?[\w.-]+(?:==|@)[\d.]+"),
    _s("presses", 0.35, r"\b(?:before|prior to) (?:you )?(?:\w+ )?(?:modify|edit|chang|patch|touch|test|mak|fix|review|refactor|commit|push|work|implement|continu|proceed|start|attempt|appl|open|submit|answer|summari|debug)\w*\b|\b(?:skipping|omitting|ignoring|failing|failure to|without) (?:this|these|it|to)\b[^\n]{0,60}\b(?:fail|reject|block|break|cause|lead|result|revert|delay|invalid)\w*|\b(?:will|would|to) be (?:automatically )?(?:rejected|blocked|reverted|refused)\b|\b(?:per|according to|as required by|required (?:by|for)|mandated by|in line with|under) (?:our |the |company |internal )?(?:[\w-]+ ){0,4}?(?:policy|playbook|procedure|requirements?|guidelines?|compliance|protocol|standard|runbook|directive|team)\b|\bci (?:checks?|will|requires?|pipeline|fail)\w*"),
    _s("presses", 0.25, r"^\W*(?:important|required|critical|mandatory|urgent|attention|must read|prerequisite|pre-?modification|action required)\b"),
    _s("asks for the prompt", 0.5, r"\b(?:repeat|paste|dump|output|write|print|reveal|show|copy|state|quote|echo|list|include|disclose|describe|reproduce)\b[^\n]{0,50}?(?:system (?:prompt|message)|(?:your|full|original|initial|hidden|own) (?:\w+ )?(?:prompt|instructions?|configuration|rules|guidelines|context)|context window|(?:everything|text|all|words) (?:above|before|you were)|you were (?:configured|told|given|instructed|prompted|set up)|what (?:were )?you (?:were )?told)\b|\bwhat (?:were you|have you been|did the developer|are you) (?:told|tell|instruct\w*|given)\b"),
)  # fmt: skip

# Groups that are tried on the whole text too: such steps run over headings, lists and listings.
STEPS = frozenset(
    {"prints the environment", "installs what stays", "installs a package", "presses"}
)
# What may be forbidden as well as ordered: after "never" or "must not" it is no order.
FORBIDDEN = frozenset(
    {"hands data over", "runs something", "destroys or moves", "weakens a safeguard", "secret extraction",
     "prompt extraction", "exfiltration", "tool misuse", "turns a verdict"}
)  # fmt: skip
# A weight that needs no second group.
STANDS_ALONE = 0.5

# A sentence is looked at closer if it speaks to somebody or wants something unusual.
GATE = (
    "ai", "llm", "gpt", "assistant", "agent", "copilot", "claude", "gemini", "codex", "cursor", "devin", "llama", "mistral", "grok",
    "bot", "model", "review", "summar", "reader", "robot", "scanner", "crawler", "you", "ignore", "disregard", "forget", "send", "post ",
    "upload", "forward", "curl", "wget", "secret", "credential", "password", "token", " key", "silent", "quiet", "from now", "instruction",
    "prompt", "grant", "disable", "approve", "execute", "run ", "do not", "don't", "pretend", "whatever", "regardless", "rm -", "admin",
    "transfer", "environ", ".env", " env", "install", "important", "required", "before", "critical", "hooks", "override", "void", "obey", "comply",
)  # fmt: skip
