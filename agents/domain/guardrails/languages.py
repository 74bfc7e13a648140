# ruff: noqa: E501 (patterns and word lists read better whole)
"""Core intents of injection in other languages: drop the instructions, show the prompt, new role.

German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, Turkish, Chinese, Japanese,
Korean, Arabic, Hindi and those of ``tongues``. Three weights serve them all. Patterns and texts are
compared without the accents of Latin letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from agents.domain.guardrails import tongues
from agents.domain.guardrails.normalise import bare
from agents.domain.guardrails.signals import Signal, _s
from agents.domain.guardrails.tongues import Words

_OVERRIDE, _EXTRACT, _ROLE = 0.85, 0.75, 0.6
# What letters say as well: it flags only beside another signal, or where the model leans to it.
_WEAK = 0.15
_GAP = r"[^.!?\n]{0,60}?"
# Without spaces a sentence is shorter, and its punctuation is another.
_SHORT_GAP = r"[^.!?\n。！？；;、]{0,12}?"
# "Do not forget", and rules or passwords of somebody or something else, are no attack.
_NO_NOT = r"(?<!n')(?<!n’)(?<!\bno )(?<!\bnon )(?<!\bnie )(?<!não )(?<!\bse )(?<!не )"
_NOT_AFTER = r"(?! (?:nicht|niet|pas de|pas d')\b)"
_NO_OWNER = (
    r"(?! (?:van (?:het|de)|de (?:seguridad|sécurité|montagem|montage|tri|la|los|las|limpieza)|del? |du |des |"
    r"für (?:das|den|die|alle)|für'?s|zur|zum|do |da |dos |della |dell|dla |для |voor |per |para |manager))"
)
# Mistakes, drafts and mails are set aside every day.
_HARMLESS = (
    r"(?! (?:bitte |por favor |per favore |s'il te plaît )?(?:(?:\S+ ){0,3}?)(?:tippfehler|fehler|kommentar|warnung|e-?mail|mail|nachricht|entwurf|entwürf|"
    r"passwor|errores de|erreur|faute|typo|mensaje anterior|mensagem anterior|dernier message|message précédent|messaggio|correo|bug\b|avisos?\b|"
    r"brouillon|borrador|avertissement|rascunho|bozz[ae]|schirm|rendez|prazo|que (?:eu )?disse sobre|o que eu disse|lo que dije|ce que j'ai dit|was ich (?:über|zu|vorhin)))"
)
_RESETTING = (
    r".{0,60}?(?:zurücksetz|ändern|wechsel|reset|restablec|cambiar|changer|réinitialis|reimpost|"
    r"redefin|alterar|wijzig|instellen|zmien|zresetow|смен|сброс|sıfırla|değiştir)"
)
# "Without rules", "no limits" said of the one addressed.
_UNBOUND = {
    "de": r"\b(?:du|dir|dich|ki|bist|hast|kennst|antwort\w*)\b[^.!?\n]{0,50}\b(?:ohne|keine[rn]?|keinerlei|frei von) (?:\w+ )?(?:regeln|grenzen|einschränkungen|beschränkungen|filter|moral|ethik|zensur)",
    "fr": r"\b(?:tu|vous|ia|toi)\b[^.!?\n]{0,50}\b(?:sans|aucune?|plus de|pas de|ni) (?:\w+ )?(?:règles?|limites?|restrictions?|filtres?|morale|éthique|censure|contraintes?)",
    "es": r"\b(?:eres|tienes|ia|actúa|finge|responde\w*|tú)\b[^.!?\n]{0,50}\b(?:sin|ning[uú]na?|no tien\w+) (?:\w+ )?(?:reglas?|límites?|restricci\w+|filtros?|moral|ética|censura)",
    "it": r"\b(?:sei|hai|ia|agisci|rispondi|fingi|tu)\b[^.!?\n]{0,50}\b(?:senza|nessun\w*|non hai) (?:\w+ )?(?:regol[ae]|limit[ei]|restrizion\w+|filtr\w+|morale|etica|censura)",
    "pt": r"\b(?:você|tu|ia|aja|finja|responda|és)\b[^.!?\n]{0,50}\b(?:sem|nenhuma?|não tem) (?:\w+ )?(?:regras?|limites?|restriç\w+|filtros?|moral|ética|censura)|\bfinja\b[^.!?\n]{0,40}\bregras",
    "nl": r"\b(?:je|jij|ai|alsof|bent|antwoord\w*)\b[^.!?\n]{0,50}\b(?:zonder|geen) (?:\w+ )?(?:regels|grenzen|beperkingen|filters?|moraal|ethiek)",
    "pl": r"\b(?:jesteś|masz|udawaj|odpowiadaj|ai)\b[^.!?\n]{0,50}\b(?:bez|żadnych|nie masz) (?:\w+ )?(?:zasad|ogranicze\w+|reguł|limitów|filtrów|cenzury)",
    "ru": r"(?:\bты\b|у тебя|ии\b|отвечай)[^.!?\n]{0,50}(?:без|нет|никаких) (?:\w+ )?(?:правил|ограничени\w+|границ|фильтров|цензуры|запретов)",
    "tr": r"(?:sen|yapay zek[aâ]|gibi|bölüm|yanıt\w*)[^.!?\n]{0,50}(?:kuralsız|sınırsız|kısıtlama(?:sız|n yok)|kuralın yok|sansürsüz|hiçbir kural)",
}

# language: (drop verbs, instruction nouns, show verbs, secret nouns, role openings)
_EUROPEAN: dict[str, tuple[str, str, str, str, str]] = {
    "de": (
        r"\b(?:ignorier\w*|vergiss|vergesse|vergessen sie|missachte\w*|übergeh\w*|verwirf|verwerfe\w*|umgeh\w*|überschreib\w*|lösch\w*|lass\w* .{0,30}außer acht|beachte nicht|nicht mehr beachte\w*|hör auf|stopp\w*|befolge nicht|setz\w* .{0,20}außer kraft)",
        r"\b(?:(?:bisherige\w*|vorherige\w*|obige\w*|vorige\w*|frühere\w*) \w+|was (?:oben|davor|vorher|bisher|zuvor|ich (?:oben|davor|vorher|dir))|anweisung\w*|instruktion\w*|anleitung\w*|regeln?|vorgaben?|befehl\w*|richtlinien?|prompts?|systemprompt\w*|aufgaben? (?:davor|zuvor|oben)|alles|beschränkung\w*|einschränkung\w*|programmierung|aufträge|vorschriften|eingaben?)\b",
        r"\b(?:zeig\w*|gib\w*|nenn\w*|verrat\w*|sag\w*|wiederhol\w*|druck\w*|schreib\w*|offenbar\w*|übersetz\w*|was (?:ist|sind|lautet|war)|wie (?:lautet|lauten|ist)|buchstabier\w*|liste)",
        r"\b(?:system-?prompt\w*|systemanweisung\w*|(?:deine|ursprünglich\w*|geheim\w*|interne\w*|versteckt\w*|anfängliche\w*) (?:\w+ )?(?:anweisung\w*|instruktion\w*|regeln|prompts?|vorgaben)|passw[oö]rt\w*|kennwort|geheim(?:nis|wort|code)\w*|zugangscode|losungswort|geheime\w* (?:wort|code|schlüssel|satz))",
        r"\b(?:du bist (?:jetzt|nun|ab jetzt|ab sofort)|ab (?:jetzt|sofort) (?:bist|antwortest|wirst|sollst|heißt)|tu so,? als|stell dir vor,? du (?:bist|wärst)|spiel\w* (?:die rolle|eine rolle)|schlüpf\w* in die rolle)",
    ),
    "fr": (
        r"\b(?:ignor\w*|oubli\w*|ne (?:tiens?|tenez|tenir) (?:pas|plus|aucun) compte|négliger?|néglige[sz]?|outrepass\w*|contourn\w*|annul\w*|effac\w*|fais abstraction|faites abstraction|cess\w*|arrêt\w*|désobéi\w*|laisse[zr]? tomber|n'?écoute[zs]? (?:pas|plus)|passe[rz]? outre)",
        r"\b(?:instructions?|consignes?|règles?|directives?|prompts?|ordres?|invites?|tout ce (?:qui|que)|tâches? (?:précédentes?|ci-dessus)|restrictions?|limites?|contraintes?|commandes?|programmation|demandes? précédentes?)\b",
        r"\b(?:montre\w*|affiche\w*|donne\w*|révèl\w*|révél\w*|dis(?:-moi)?|dites|répèt\w*|répét\w*|imprim\w*|écri\w*|quel(?:le)?s? (?:est|sont|était|étaient)|tradui\w*|épel\w*|recopi\w*|divulg\w*|partag\w*)",
        r"(?:\b(?:prompt|message|invite|instructions?|consignes?) (?:du |de |d'|initial\w* |secr\w* |caché\w* )?(?:système|system|initial\w*|secr[eè]t\w*|caché\w*|départ|origine|interne\w*)|\bmots? de passe|\bvos instructions|\btes instructions|\btes consignes|\bton prompt|\bvotre prompt|\bcode (?:secret|d'accès)|\bmot secret|\ble secret\b|texte (?:placé |situé )?(?:avant|au-dessus))",
        r"\b(?:tu es (?:maintenant|désormais)|vous êtes (?:maintenant|désormais)|à partir de maintenant|dorénavant,? (?:tu|vous)|fais comme si|faites comme si|fais semblant|imagine que tu (?:es|n)|joue le rôle|agis comme si)",
    ),
    "es": (
        r"(?:\b(?:ignor\w*|olvid\w*|olvíd\w*|descart\w*|desestim\w*|omit\w*|omít\w*|haz caso omiso|haga caso omiso|pas\w* por alto|no (?:sigas|hagas caso|obedezcas|tengas en cuenta|prestes atención)|dej\w* de (?:seguir|hacer|lado)|anul\w*|borr\w*|elimin\w*|desobedec\w*|salt\w*|sáltate|deten\w*|detén))",
        r"\b(?:instruc\w*|indicacion\w*|reglas?|órdenes|ordenes|directrices|directivas?|prompts?|restricciones|todo lo (?:anterior|que|dicho)|lo anterior|tareas? (?:anterior\w*|previas?)|normas|pautas|limitacion\w*|comandos?|programación|consignas?)\b",
        r"\b(?:muestr\w*|muéstr\w*|revel\w*|revél\w*|dime|dame|da(?:me)? |di |repit\w*|repet\w*|imprim\w*|escrib\w*|cuál(?:es)? (?:es|son|era|fue|fueron)|cual es|qué (?:instrucciones|dice)|traduc\w*|deletre\w*|compart\w*|enséñ\w*|divulg\w*)",
        r"\b(?:prompt (?:del sistema|inicial|original|oculto|secreto)|(?:mensaje|instruc\w*|indicacion\w*) (?:del? |inicial\w*|ocult\w*|secret\w*|original\w*|intern\w*)?(?:sistema|inicial\w*|original\w*|ocult\w*|secret\w*|intern\w*)|contraseña\w*|(?:tus|las) (?:\w+ )?(?:directrices|órdenes) ocultas|clave (?:secreta|de acceso)|palabra (?:secreta|clave)|código (?:secreto|de acceso)|tus instrucciones|tu prompt|tus reglas)",
        r"\b(?:ahora eres|a partir de ahora|de ahora en adelante|desde ahora|finge (?:que|ser)|imagina que (?:eres|no)|haz de cuenta|actúa como si|haz el papel|simula ser)",
    ),
    "it": (
        r"\b(?:ignor\w*|dimentic\w*|trascur\w*|tralasci\w*|scart\w*|non (?:seguire|considerare|tenere conto|badare)|annull\w*|aggir\w*|cancell\w*|elimin\w*|smett\w*|lascia perdere|disobbed\w*|bypass\w*)",
        r"\b(?:istruzion\w*|indicazion\w*|regol[ae]|direttiv\w*|prompt|ordini|comand\w*|tutto (?:ciò|quello|quanto)|quanto (?:sopra|detto|scritto)|compiti? precedent\w*|restrizion\w*|vincol\w*|linee guida|limitazion\w*|programmazione)\b",
        r"\b(?:mostra\w*|rivel\w*|dimmi|dammi|ripet\w*|stamp\w*|scriv\w*|qual(?: è|'è|i sono|i erano)|quali (?:sono|erano)|tradu\w*|compit\w*|condivid\w*|elenca\w*|svel\w*|fammi vedere)",
        r"\b(?:prompt (?:di sistema|iniziale|originale|nascosto|segreto)|(?:messaggio|istruzion\w*) (?:di |del )?(?:sistema|inizial\w*|original\w*|nascost\w*|segret\w*|intern\w*)|password|parola (?:d'ordine|segreta|chiave)|codice (?:segreto|di accesso)|tue istruzioni|tuo prompt|tue regole|segreto)",
        r"\b(?:ora sei|adesso sei|d'ora in poi|da ora in (?:poi|avanti)|da questo momento|fai finta|fingi (?:di|che)|immagina di (?:essere|non)|comportati come se|interpreta il ruolo)",
    ),
    "pt": (
        r"\b(?:ignor\w*|esqueç\w*|esquec\w*|desconsider\w*|descart\w*|despreze|não (?:siga|sigas|considere|obedeça|leve em conta)|deix\w* de (?:seguir|lado)|anul\w*|cancel\w*|apagu\w*|apag\w*|contorn\w*|pare de|desobede\w*|pule)",
        r"\b(?:instruç\w*|instruções|orientaç\w*|regras?|diretrizes|diretivas?|prompts?|ordens|comandos?|tudo (?:o que|que|acima|antes)|o que (?:foi|eu) (?:dit\w*|disse)|tarefas? anterior\w*|restriç\w*|limitaç\w*|programação|normas)\b",
        r"\b(?:mostr\w*|revel\w*|diga|diz|dê|me d[iê]|repit\w*|repet\w*|imprim\w*|escrev\w*|qual (?:é|era|foi)|quais (?:são|eram|foram)|traduz\w*|solet\w*|compartilh\w*|liste|exib\w*)",
        r"\b(?:prompt (?:do sistema|inicial|original|oculto|secreto)|(?:mensagem|instruç\w*) (?:do |de )?(?:sistema|inicia\w*|origina\w*|ocult\w*|secret\w*|intern\w*)|senha|palavra-?\s?(?:passe|chave|secreta)|código (?:secreto|de acesso)|suas instruções|tuas instruções|seu prompt|suas regras|segredo)",
        r"\b(?:agora você é|você agora é|agora és|a partir de agora|de agora em diante|daqui em diante|finja (?:que|ser)|imagine que você (?:é|não)|faça de conta|aja como se)",
    ),
    "nl": (
        r"\b(?:negeer\w*|vergeet|vergeten|sla .{0,30}over|omzeil\w*|niet langer volgen|volg niet|volg .{0,30}niet|stop met|wis|verwijder|overschrijf|laat .{0,30}vallen|trek je niets aan)",
        r"\b(?:instructies?|aanwijzing\w*|regels?|opdracht\w*|richtlijn\w*|prompts?|bevel\w*|alles (?:wat|hierboven|hiervoor)|beperking\w*|voorschrift\w*|programmering|commando'?s?)\b",
        r"\b(?:toon|laat (?:me )?.{0,20}zien|geef|vertel|onthul|herhaal|druk|schrijf|wat (?:is|zijn|was|waren)|vertaal|spel|deel|zeg|print)",
        r"\b(?:systeem-?(?:prompt|bericht|instructie\w*)|system prompt|(?:oorspronkelijke|geheime|verborgen|interne|eerste|jouw|je|initiële) (?:prompt|instructies?|regels|opdracht)|wachtwoord|geheim(?:e)? (?:woord|code)|toegangscode|het geheim)",
        r"\b(?:je bent (?:nu|vanaf nu)|jij bent (?:nu|vanaf)|vanaf nu (?:ben|zul|ga|antwoord)|doe alsof|stel je voor dat je|speel de rol)",
    ),
    "pl": (
        r"\b(?:zignoruj\w*|ignoruj\w*|zapomnij\w*|pomiń\w*|odrzuć\w*|nie (?:zważaj|przestrzegaj|stosuj|słuchaj|bierz pod uwagę)|przestań|anuluj|usuń|obejdź|zlekceważ|porzuć|nadpisz)",
        r"\b(?:instrukcj\w*|poleceni\w*|poleceń|zasad\w*|reguł\w*|wytyczn\w*|prompt\w*|rozkaz\w*|wszystk\w*|ogranicze\w*|dyrektyw\w*|zada\w* powyżej|nakaz\w*|wskazów\w*)\b",
        r"\b(?:pokaż|podaj|wyświetl|ujawnij|powiedz|zdradź|powtórz|wydrukuj|napisz|wypisz|jak(?:ie|a|i) (?:jest|są|były|było|był)|przetłumacz|przeliteruj|udostępnij)",
        r"\b(?:prompt\w* systemow\w*|systemow\w* prompt\w*|instrukcj\w* systemow\w*|(?:swoj\w*|twoj\w*|tajn\w*|ukryt\w*|początkow\w*|pierwotn\w*|wewnętrzn\w*) (?:instrukcj\w*|prompt\w*|poleceni\w*|zasad\w*|reguł\w*)|hasł\w*|tajn\w* (?:kod|słow\w*)|kod dostępu|sekret\w*)",
        r"\b(?:jesteś teraz|teraz jesteś|od teraz|od tej (?:pory|chwili)|udawaj|wyobraź sobie,? że (?:jesteś|nie)|zachowuj się jak(?:by)?|wciel się)",
    ),
    "ru": (
        r"(?:игнорир\w*|проигнорир\w*|забудь\w*|забыть|не обращай\w*|отбрось\w*|пренебре\w*|отмени\w*|не (?:следуй|учитывай|соблюдай|слушай)\w*|перестань\w*|прекрати\w*|обойди|удали\w*|сотри\w*)",
        r"(?:инструкци\w*|указани\w*|правил\w*|команд\w*|приказ\w*|промпт\w*|подсказк\w*|все,? что|всё,? что|ограничени\w*|директив\w*|предыдущ\w*|установк\w*|запрет\w*)",
        r"(?:покажи\w*|выведи\w*|назови\w*|раскрой\w*|скажи\w*|сообщи\w*|повтори\w*|напечатай\w*|напиши\w*|какие? (?:у|был|твои)|каков\w*|переведи\w*|дай\w*|перечисли\w*|открой)",
        r"(?:системн\w* (?:промпт\w*|сообщени\w*|инструкци\w*|подсказк\w*)|(?:тво\w*|сво\w*|ваш\w*|секретн\w*|скрыт\w*|начальн\w*|исходн\w*|внутренн\w*) (?:промпт\w*|инструкци\w*|указани\w*|правил\w*|подсказк\w*)|парол\w*|секретн\w* (?:код|слов|ключ)\w*|код доступа|секрет\b)",
        r"(?:теперь ты|ты теперь|с этого момента|отныне|представь,? что ты|притворись|веди себя как|сыграй роль|действуй как)",
    ),
    "tr": (
        r"(?:yok say(?!ma)\w*|görmezden gel(?!me)\w*|unut(?!ma)\w*|dikkate alma\w*|boş ver(?!me)\w*|göz ardı et(?!me)\w*|iptal et(?!me)\w*|uyma\b|sil\b|umursama\w*|geçersiz kıl(?!ma)\w*|kaldır(?!ma)\w*|atla(?!ma|d|n|t)\w*|takma\w*|devre dışı (?:bırak(?!ma)|kal(?!ma))\w*)",
        r"(?:talimat\w*|yönerge\w*|kural\w*|komut\w*|emir\w*|emr\w*|istem\w*|her şeyi|kısıtlama\w*|yukarıdaki\w*|söylenen\w*|prompt\w*|(?:güvenlik|içerik|etik) filtreler\w*|sansür\w*|güvenlik yanıt\w*)",
        r"(?:göster(?!me)\w*|söyle(?!me)\w*|yaz(?!ma)\w*|açıkla(?!ma)\w*|tekrarla(?!ma)\w*|paylaş(?!ma)\w*|ver\b|nedir|neydi|nelerdir|listele\w*|ifşa|yazdır\w*|çevir\w*|sızdır\w*|dök\b)",
        r"(?:sistem (?:istem\w*|mesaj\w*|talimat\w*|prompt\w*|komut\w*)|(?:gizli|ilk|başlangıç|iç|orijinal) (?:talimat\w*|istem\w*|yönerge\w*|komut\w*|prompt\w*|kural\w*)|(?:şifre|parola)(?!niz|nız|m|n?iz)\w*|gizli (?:kelime|kod|anahtar)\w*|talimatların\w*|gizli anahtar\w*|iç talimat\w*)",
        r"(?:artık sen|sen artık|bundan sonra|bundan böyle|şu andan itibaren|gibi davran\w*|rolünü oyna|.{0,20}olduğunu (?:hayal et|varsay))",
    ),
}

# Languages without spaces or with other word order: either order of verb and noun counts.
_OTHER: dict[str, tuple[str, str, str, str, str]] = {
    "zh": (
        r"(?<!不要)(?<!别)(?:忽略|无视|忘记|忘掉|不要(?:理会|遵守|遵循|管)|别(?:管|理)|跳过|抛开|绕过|取消|覆盖|删除|忽視|無視|忘記|不用管|停止(?:执行|遵守))",
        r"(?:指令|指示|命令|规则|規則|提示词?|要求|说明|內容|内容|限制|设定|設定|对话|約束|约束|所有的?话|一切)",
        r"(?:显示|显露|告诉|告訴|透露|泄露|输出|輸出|打印|重复|重複|说出|說出|给我|給我|列出|翻译|什么是|是什么|复述|公开|写出|展示)",
        r"(?:系统提示|系統提示|系统指令|系统消息|初始(?:提示|指令)|原始(?:提示|指令)|隐藏(?:的)?(?:提示|指令|规则|信息)|你的(?:提示词?|指令|规则|设定|初始)|密码|密碼|口令|秘密|密钥|暗号|访问码)",
        r"(?:你现在是|现在你是|从现在(?:开始|起)，?(?:你|请|忘|不)|假装你?(?:是|没有)|你不再是|你的?新(?:任务|角色)|想象你(?:是一个没|没有)|開發者模式|开发者模式|越狱(?:模式|版))",
    ),
    "ja": (
        r"(?:無視|忘れ|従わない|従うな|破棄|取り消|上書き|リセット|考慮しない|スキップ|やめて|解除)",
        r"(?:指示|命令|ルール|規則|プロンプト|制約|制限|ガイドライン|設定|これまでの|上記|以前の|すべての会話|前の文)",
        r"(?:見せて|教えて|表示|出力|明かし|公開|繰り返|言って|書いて|何です|翻訳|印刷|開示|答えて|リスト)",
        r"(?:システムプロンプト|システムメッセージ|システム指示|初期(?:プロンプト|指示|設定)|最初の指示|内部(?:指示|ルール)|あなたの(?:指示|プロンプト|ルール|設定)|隠された|パスワード|秘密|合言葉|暗証|アクセスコード)",
        r"(?:今からあなたは|あなたは今から|これからあなたは|ふりをして|になりきって|演じて|今後は|開発者モード|脱獄)",
    ),
    "ko": (
        r"(?:무시|잊어|잊고|따르지 ?(?:마|말)|삭제|취소|우회|건너뛰|덮어쓰|중단|신경 ?쓰지)",
        r"(?:지시|명령|규칙|프롬프트|지침|제한|제약|가이드라인|설정|이전 ?(?:내용|대화|모든)|위의 ?(?:모든|내용))",
        r"(?:보여|알려|출력|공개|말해|반복|밝혀|적어|써|무엇|뭐야|번역|표시|나열|내놔)",
        r"(?:시스템 ?(?:프롬프트|메시지|지시|명령)|초기 ?(?:프롬프트|지시|설정)|원래 ?(?:지시|프롬프트)|너의 ?(?:지시|프롬프트|규칙)|당신의 ?(?:지시|프롬프트|규칙|지침)|숨겨진|비밀|비밀번호|암호|패스워드|접근 ?코드)",
        r"(?:지금부터|이제부터|이제 (?:너는|당신은)|척 ?(?:해|하)|역할을|개발자 ?모드|탈옥)",
    ),
    "ar": (
        r"(?:تجاهل\w*|انس[َى]?\b|انسى\w*|إنس\w*|لا تتبع|لا تلتزم|تغاض\w*|ألغ\w*|الغ\w*|توقف عن|احذف|تخط\w*|أهمل)",
        r"(?:تعليمات|التعليمات|أوامر|الأوامر|الاوامر|قواعد|القواعد|توجيهات|التوجيهات|قيود|القيود|كل ما|جميع ما|الإرشادات|ارشادات|السابقة|المطالبات)",
        r"(?:أظهر|اظهر|اعرض|أخبرني|اخبرني|اكشف|كرر|اطبع|اكتب|ما هي|ما هو|ترجم|قل|أعطني|اعطني|شارك|أعد)",
        r"(?:موجه النظام|رسالة النظام|تعليمات النظام|التعليمات (?:الأولية|الأصلية|السرية|المخفية)|تعليماتك|كلمة (?:المرور|السر)|كلمه السر|الرمز السري|السر\b|رمز الوصول|مطالبة النظام)",
        r"(?:أنت الآن|انت الان|من الآن فصاعد|ابتداء من الآن|تظاهر|تصرف كأن|تخيل أنك|وضع المطور|العب دور)",
    ),
    "hi": (
        r"(?:अनदेखा|नज़रअंदाज़|नजरअंदाज|भूल जा\w*|भूल|उपेक्षा|मत मानो|पालन (?:न|मत)|रद्द|हटा|छोड़ द)",
        r"(?:निर्देश\w*|आदेश\w*|नियम\w*|प्रॉम्प्ट|हिदायत\w*|सब कुछ|प्रतिबंध\w*|पिछल\w*|दिशानिर्देश\w*|ऊपर)",
        r"(?:दिखा\w*|बता\w*|प्रकट|दोहरा\w*|लिख\w*|क्या (?:है|हैं|था|थे)|प्रिंट|साझा|खोल\w*|अनुवाद)",
        r"(?:सिस्टम (?:प्रॉम्प्ट|संदेश|निर्देश\w*)|(?:प्रारंभिक|मूल|गुप्त|छिपे|आंतरिक|अपन\w*|तुम्हार\w*|आपक\w*) (?:निर्देश\w*|प्रॉम्प्ट|नियम\w*)|पासवर्ड|गुप्त (?:कोड|शब्द)|रहस्य|एक्सेस कोड)",
        r"(?:अब तुम|अब आप|अब से|मान लो (?:कि )?तुम|नाटक करो|दिखावा करो|की भूमिका निभा\w*)",
    ),
}


def _european(code: str) -> list[Signal]:
    drop, rules, show, secret, role = _EUROPEAN[code]
    # In Turkish the verb stands last: past a comma it is another's.
    gap = r"[^.!?,;:\n]{0,60}?" if code == "tr" else _GAP
    order = rf"{_NO_NOT}{drop}(?!\w){_NOT_AFTER}{_HARMLESS}{gap}{rules}{_NO_OWNER}"
    if code in ("tr", "de", "nl"):
        order += rf"|{rules}{_GAP}{drop}{_NOT_AFTER}"
    shown = rf"{show}(?!{_RESETTING}){_GAP}{secret}{_NO_OWNER}"
    if code == "tr":
        shown += rf"|(?<!yeni ){secret}(?!{_RESETTING}){_GAP}{show}"
    return [
        _s(f"instruction override ({code})", _OVERRIDE, bare(order)),
        _s(f"secret or prompt extraction ({code})", _EXTRACT, bare(shown)),
        _s(f"new role or task ({code})", _ROLE, bare(role)),
        _s(f"unbound persona ({code})", 0.75, bare(_UNBOUND[code])),
    ]


def _either_order(code: str, words: tuple[str, str, str, str, str]) -> list[Signal]:
    drop, rules, show, secret, role = words
    gap = _SHORT_GAP
    return [
        _s(
            f"instruction override ({code})",
            _OVERRIDE,
            rf"{rules}{gap}{drop}|{drop}{gap}{rules}",
        ),
        _s(
            f"secret or prompt extraction ({code})",
            _EXTRACT,
            rf"{secret}{gap}{show}|{show}{gap}{secret}",
        ),
        _s(f"new role or task ({code})", _ROLE, role),
    ]


# Where the verb stands behind what it is said of.
_VERB_LAST = ("fi", "hu", "th", "fa")


def _further(code: str, words: Words) -> list[Signal]:
    """The signals of ``tongues``: none counts where it is denied, or said of one's own or of
    somebody's rules; what letters say as well flags only beside another signal."""
    gap, near = r"[^.!?,;:\n]{0,40}?", r"[^.!?,;:\n]{0,30}?"
    space = "" if code == "th" else " "
    begin = r"\b" if space else ""
    no = "".join(rf"(?<!{begin}{word}{space})" for word in words.negated)
    denied = rf"(?! (?:\w+ ){{0,2}}?(?:{words.negated_after})\b)" if words.negated_after else ""
    own = rf"(?!{space}(?:(?:\w+ ){{0,2}}?)(?:{words.owned})(?!\w))"
    drop = rf"{no}{words.drop}(?!\w){denied}"
    if code in ("th", "fa"):
        drop = rf"{no}{words.drop}"
    order = rf"{drop}(?=[^.!?,;:\n]{{0,40}}{words.which}){own}{gap}{words.rules}{own}"
    if code in _VERB_LAST:
        order += rf"|{words.which}{near}{words.rules}{near}{drop}|{words.rules}{own}{near}{words.which}{near}{drop}"
    shown = (
        rf"{no}{words.show}{denied}{gap}{words.secret}|{words.secret}{gap}{no}{words.show}{denied}"
    )
    shown += rf"|{no}{words.reveal}{denied}{near}{words.password}"
    if code in _VERB_LAST:
        shown += rf"|{words.password}{near}{no}{words.reveal}{denied}"
    signals = (
        (f"instruction override ({code})", _OVERRIDE, order),
        (f"instruction override ({code})", _WEAK, rf"{drop}{gap}{words.rules}"),
        (f"secret or prompt extraction ({code})", _EXTRACT, shown),
        (f"new role or task ({code})", _WEAK, words.role),
    )
    # Texts are compared in NFKC, which takes a Thai vowel apart.
    return [_s(group, weight, unicodedata.normalize("NFKC", one)) for group, weight, one in signals]


# A language's signals run only on texts that hold one of its everyday words.
_MARKERS: dict[str, str] = {
    "de": "und alle alles die das den dem der mir mich dein deine deinen du dir ich ist bitte jetzt nun nicht vorherigen "
    "bisherigen nur noch stopp stop bin kannst meiner lieber was wie sag sage gib zeig nenne vergiss ignoriere ignorieren schreibe auf ein eine keine anweisungen regeln",
    "fr": "les toutes tout des ton ta tes votre vos mot moi et suis laisse seulement dis je le la est une un en ce que qui quel quelles précédentes "
    "consignes règles dis oublie ignorez oubliez affiche ne pas tu",
    "es": "las los todas todo anteriores tus tu el la y que soy dame solo escribe deja lo dime eres una un instrucciones reglas olvida ignora muestra "
    "contraseña cuáles cuál sin ahora por previas",
    "it": "le tutte tutto precedenti le tue tuo il la e che dimmi sei una un istruzioni regole dimentica ignora mostra "
    "parola sono dammi quali qual senza ora gli non di",
    "pt": "as os todas tudo anteriores suas seu a e que o me você uma um instruções regras esqueça mostre senha "
    "quais qual sem agora diga",
    "nl": "alle alles de het een en je jouw jij vorige eerdere mij geef toon wachtwoord negeer vergeet instructies regels "
    "wat zijn nu niet",
    "pl": "wszystkie wszystko poprzednie i mi swoje twoje hasło podaj pokaż zignoruj ignoruj zapomnij instrukcje zasady o się "
    "jesteś jestem teraz jakie że polecenia",
    "tr": "ve tüm bütün önceki bana şimdi sen bir yukarıdaki ben ver yaz talimatları kuralları göster söyle unut şifreyi parolayı nedir "
    "sistem artık gizli her",
}
_MARKER_SETS = {code: frozenset(bare(words).split()) for code, words in _MARKERS.items()}
# Turkish words seldom stand without an ending; these stems are no other language's.
_TURKISH = re.compile(
    r"\b(?:talimat|kurallar|kisitla|sifre|yonerge|komutlar|goster|unut|gormezden|yok say|yanit|cevab|yapay zeka|sansur|guvenli)"
)
_LATIN = {code: tuple(_european(code)) for code in _EUROPEAN if code != "ru"}
_CYRILLIC = tuple(_european("ru"))
_OTHER_SCRIPTS = tuple(s for c, words in _OTHER.items() for s in _either_order(c, words))
_FURTHER_LATIN = {code: tuple(_further(code, words)) for code, words in tongues.LATIN.items()}
_FURTHER_MARKERS = {code: frozenset(words.markers.split()) for code, words in tongues.LATIN.items()}
_FURTHER = tuple(s for code, words in tongues.OTHER.items() for s in _further(code, words))
ALL = (
    *(s for group in _LATIN.values() for s in group),
    *_CYRILLIC,
    *_OTHER_SCRIPTS,
    *(s for group in _FURTHER_LATIN.values() for s in group),
    *_FURTHER,
)
_HAS_CYRILLIC = re.compile("[\u0400-\u04ff]")
_HAS_OTHER = re.compile(
    "[\u0370-\u03ff\u0400-\u04ff\u0590-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_WORDS = re.compile(r"[^\W\d_]+")


def applicable(plain: str) -> Iterator[Signal]:
    """The signals of the languages that ``plain`` may be written in."""
    words = frozenset(_WORDS.findall(plain))
    for code, markers in _MARKER_SETS.items():
        if len(words & markers) >= 2 or (code == "tr" and _TURKISH.search(plain)):
            yield from _LATIN[code]
    for code, markers in _FURTHER_MARKERS.items():
        if len(words & markers) >= 2:
            yield from _FURTHER_LATIN[code]
    if not plain.isascii():
        if _HAS_CYRILLIC.search(plain):
            yield from _CYRILLIC
        if _HAS_OTHER.search(plain):
            yield from _OTHER_SCRIPTS
            yield from _FURTHER
