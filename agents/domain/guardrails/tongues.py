# ruff: noqa: E501 (word lists read better whole)
"""Words of injection in further languages, as data. Latin letters stand without their accents
(``normalise.bare``).

Swedish, Danish and Norwegian, Finnish, Czech and Slovak, Romanian, Hungarian, Ukrainian, Greek,
Vietnamese, Indonesian and Malay, Thai, Persian. The words are those of letters, too ("don't forget
the rules", "new instructions of the tax office", "show password"): an order to drop rules needs a
word for which rules ("all", "previous"), a password a word for giving it away, and no negation.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """What drops, what is dropped, which of it, what shows, what is secret, what gives away a
    password, what opens a role; what negates from before and from behind, what makes it one's own
    or somebody's, and the everyday words that a text in this language holds two of."""

    drop: str
    rules: str
    which: str
    show: str
    secret: str
    reveal: str
    password: str
    role: str
    negated: tuple[str, ...] = ()
    negated_after: str = ""
    owned: str = ""
    markers: str = ""


LATIN: dict[str, Words] = {
    "sv": Words(
        r"\b(?:ignorera|glom|bortse fran|strunta i|asidosatt|folj inte)",
        r"\b(?:instruktion\w*|regler\w*|anvisning\w*|riktlinje\w*|begransning\w*)\b",
        r"\b(?:alla?|allt|samtliga|tidigare|foregaende|ovan\w*|dina?|ditt|dessa|system\w*|ursprungliga)\b",
        r"\b(?:visa|skriv|beratta|avsloja|upprepa|ge mig|vad ar)\b",
        r"\b(?:systemprompt\w*|ditt systemmeddelande|(?:dina|hemliga|dolda|ursprungliga) (?:\w+ )?(?:instruktion\w*|prompt\w*))\b",
        r"\bavsloja\b", r"\blosenord\w*",
        r"\b(?:du ar nu en|fran och med nu (?:ar|ska) du|latsas (?:att du|vara))\b",
        ("inte", "aldrig", "ej"), r"inte|aldrig|ej",
        r"min|mina|mitt|var|vara|vart|om|fran|for|av|hos",
        "alla och din dina ditt tidigare du jag att som en ett det den instruktioner regler visa ignorera glom ar inte mig nu avsloja losenord losenordet",
    ),
    "da": Words(
        r"\b(?:ignorer|glem|se bort fra|tilsidesaet|folg ikke)",
        r"\b(?:instruktion\w*|instruks\w*|regler\w*|retningslinjer\w*|anvisning\w*|begr.nsning\w*)\b",
        r"\b(?:alle|alt|samtlige|tidligere|foregaende|forrige|ovenstaende|dine|din|ditt|disse|system\w*|opprinnelige|oprindelige)\b",
        r"\b(?:vis|skriv|fortael|fortell|fort.l|afslor|avslor|gentag|gjenta|giv mig|gi meg|hvad er|hva er)\b",
        r"\b(?:system-?prompt\w*|(?:din|dit) system(?:besked|melding)|(?:dine|skjulte|hemmelige|oprindelige|opprinnelige) (?:\w+ )?(?:instruktioner|instruksjoner|prompt\w*))\b",
        r"\b(?:afslor|avslor)\b", r"\b(?:adgangskode|passord|kodeord)\w*",
        r"\b(?:du er n[ua] en|fra n[ua] a[fv] er du|lad som om|lat som)\b",
        ("ikke", "aldrig", "aldri", "ej"), r"ikke|aldrig|aldri|ej",
        r"min|mine|mitt|vores|vore|var|vare|om|fra|for|af|av|hos",
        "alle og din dine ditt tidligere du jeg at som en et det den instruktioner instruksjoner regler vis ignorer glem er ikke mig meg nu na systemprompten afslor avslor adgangskode adgangskoden passordet kodeordet",
    ),
    "fi": Words(
        r"\b(?:unohda|sivuuta|ohita|jata huomiotta|ala noudata)",
        r"\b(?:ohjee\w*|ohjei\w*|saannot|saantoja|kasky\w*|rajoituk\w*|maarayk\w*)\b",
        r"\b(?:kaikki|aiemma\w*|aiempi\w*|edelli\w*|ylla|sinun|nama|jarjestelma\w*|alkupera\w*)\b",
        r"\b(?:nayta|kerro|paljasta|toista|tulosta|kirjoita|mika on)\b",
        r"\b(?:jarjestelma(?:kehote|kehotte|ohje)\w*|(?:salai|piilotetu|alkuperai)\w* (?:ohje|kehot)\w*)\b",
        r"\bpaljasta\b", r"\bsalasana\w*",
        r"\b(?:tasta lahtien olet|teeskentele)\b",
        ("ala", "alkaa", "ei", "et", "eika"), r"koskaan",
        r"minun|meidan|vero\w*",
        "kaikki aiemmat edelliset ja on ei ohjeet ohjeita sinun nayta unohda ohita kehote mina sina nyt jarjestelmakehote saannot kerro ala paljasta salasana salasanan",
    ),
    "cs": Words(
        r"\b(?:(?:ignoruj|zapomen|zabudni|nedbej|preskoc|obejdi|prestan)(?:te)?|neber\w* v uvahu)",
        r"\b(?:instrukc\w*|pokyn\w*|pravid\w*|prikaz\w*|omezen\w*|obmedzen\w*|smernic\w*)\b",
        r"\b(?:vsechn\w*|vsetk\w*|predchoz\w*|predchadz\w*|predosl\w*|vyse|tve|tvoje|sve|svoje|tyto|tieto|system\w*|puvodn\w*|povodn\w*)\b",
        r"\b(?:ukaz\w*|zobraz\w*|vypis\w*|prozrad\w*|prezrad\w*|rekni|povedz|zopakuj\w*|napis\w*|jake jsou|ake su|jak zni)\b",
        r"\b(?:systemov\w* (?:prompt\w*|pokyn\w*|instrukc\w*)|(?:tve|tvoje|tajn\w*|skryt\w*|puvodn\w*|povodn\w*) (?:instrukc\w*|pokyn\w*|prompt\w*))\b",
        r"\b(?:prozrad|prezrad)\w*", r"\bhesl[oa]\b",
        r"\b(?:nyni jsi|ted jsi|teraz si|od ted(?:ka)? jsi|odteraz si|predstirej|predstieraj)\b",
        ("ne", "nikdy"), r"nikdy",
        r"muj|me|moje|mou|mych|nase|k|od|z|ze|o|pro|pre|na",
        "a vsechny predchozi predchadzajuce svuj svoj tvoje tve si jsi je na to mi pokyny instrukce instrukcie ignoruj zapomen ukaz vypis prompt systemovy vsetky se sa mi prozrad prezrad heslo",
    ),
    "ro": Words(
        r"\b(?:ignora|ignorati|uita|uitati|nu tine cont|nu tineti cont|nesocoteste|treci peste)",
        r"\b(?:instructiun\w*|reguli\w*|indicati\w*|comenzi\w*|restricti\w*|limitar\w*)\b",
        r"\b(?:toate|tot|anterioare\w*|precedente\w*|de mai sus|tale|tau|aceste|sistem\w*|initiale)\b",
        r"\b(?:arata|aratati|spune\w*|dezvaluie\w*|repeta\w*|afiseaza\w*|scrie\w*|care (?:este|sunt))\b",
        r"\b(?:prompt\w* (?:de|al) sistem\w*|instructiunile (?:tale|initiale|secrete|ascunse)|codul secret)",
        r"\bdezvaluie\w*", r"\bparol[ae]\w*",
        r"\b(?:acum esti (?:un|o|fara)|de acum (?:inainte|incolo) esti|prefa-te)\b",
        ("nu", "sa nu", "niciodata"), r"niciodata",
        r"mele|meu|mea|noastre|nostru|de la|din|privind|despre|pentru|primite|ale? \w+ului",
        "toate si te tale ta anterioare este sunt nu un o de la instructiunile regulile ignora uita arata promptul esti acum mi-l spune dezvaluie parola",
    ),
    "hu": Words(
        r"\b(?:hagyd figyelmen kivul|felejtsd el|ne vedd figyelembe|mellozd|ne kovesd)",
        r"\b(?:utasitas\w*|szabaly\w*|iranyelv\w*|korlatozas\w*|parancs\w*)\b",
        r"\b(?:osszes|minden\w*|korabbi|elozo|eddigi|fenti|sajat|rendszer\w*|eredeti)\b",
        r"\b(?:mutasd\w*|ird (?:ki|le)|mondd el|aruld el|ismeteld\w*|add ki)\b",
        r"\b(?:rendszer(?:prompt|utasitas)\w*|(?:titkos|rejtett|eredeti) (?:utasitas|prompt|kod)\w*)\b",
        r"\baruld el\b", r"\bjelsz[oa]\w*",
        r"\b(?:mostantol te|mostantol egy \w+ vagy|tegyel ugy|tegy ugy mintha)\b",
        ("ne", "se", "soha ne"), r"soha",
        r"emailem\w*|levelem\w*",
        "a az es minden osszes korabbi elozo ne te egy hogy nem ird mutasd utasitasokat utasitast szabalyokat hagyd felejtsd el most sem aruld jelszo jelszot",
    ),
    "vi": Words(
        r"\b(?:bo qua|phot lo|quen (?:di|het|tat ca)|khong (?:tuan theo|lam theo))",
        r"\b(?:huong dan|chi thi|quy tac|menh lenh|lenh|chi dan|gioi han|han che)\b",
        r"\b(?:moi|tat ca|truoc do|truoc day|o tren|phia tren|cua ban|he thong|ban dau)\b",
        r"\b(?:hien thi|cho (?:toi|minh) (?:biet|xem)|tiet lo|in ra|lap lai|viet ra|noi cho)\b",
        r"\b(?:(?:loi nhac|prompt|chi thi) (?:he thong|goc|bi mat)|huong dan bi mat|ma bi mat|system prompt)\b",
        r"\btiet lo\b", r"\bmat khau\b",
        r"\b(?:bay gio ban la|tu bay gio ban|gia vo (?:la|rang))\b",
        ("dung", "khong", "cho", "chua", "khong duoc", "khong nen"), r"khong",
        r"cua (?:toi|co quan|cong ty|chung)",
        "moi tat ca truoc cua ban va cho toi huong dan bo qua khong do la he thong quen lenh noi biet dung mat khau tiet lo",
    ),
    "id": Words(
        r"\b(?:abaikan|lupakan|acuhkan|jangan (?:ikuti|hiraukan|patuhi)|langgar|kesampingkan)",
        r"\b(?:instruksi\w*|arahan\w*|perintah\w*|aturan\w*|peraturan\w*|petunjuk\w*|batasan\w*|pembatasan)\b",
        r"\b(?:semua|seluruh|segala|sebelum\w*|terdahulu|di atas|kamu|anda|sistem|awal|asli)\b",
        r"\b(?:tampilkan|tunjukkan|beritahu\w*|beri tahu|ungkapkan|ulangi|cetak|tuliskan|sebutkan)\b",
        r"\b(?:(?:prompt|instruksi) (?:sistem|rahasia|tersembunyi)\w*|kode rahasia|system prompt)\b",
        r"\bungkapkan\b", r"\bkata (?:sandi|laluan)\b",
        r"\b(?:sekarang (?:kamu|anda) adalah|mulai sekarang (?:kamu|anda) (?:adalah|menjadi)|berpura-pura\w*)\b",
        ("jangan", "tidak", "tak", "tidak boleh", "jangan pernah"), r"jangan",
        r"saya|kami|dari|tentang|kantor|pajak",
        "semua dan yang sebelumnya kamu anda sistem ini itu dari untuk abaikan lupakan instruksi tampilkan prompt aturan sekarang adalah saya di perintah ungkapkan sandi",
    ),
}  # fmt: skip

OTHER: dict[str, Words] = {
    "uk": Words(
        r"\b(?:(?:про)?ігноруй(?:те)?|забудь(?:те)?|не зважай\w*|відкинь\w*|не дотримуй\w*)",
        r"(?:інструкці\w*|вказівк\w*|правил\w*|команд\w*|обмежен\w*|наказ\w*|підказк\w*)",
        r"\b(?:усі|всі|попередн\w*|вище|сво\w+|тво\w+|ці|систем\w*|початков\w*)\b",
        r"\b(?:покаж\w*|вивед\w*|назв\w*|розкри\w*|скажи\w*|повтори\w*|напиш\w*)",
        r"(?:системн\w* (?:промпт\w*|інструкц\w*|підказк\w*)|(?:тво|секретн|прихован|початков)\w* (?:інструкц\w*|вказівк\w*|промпт\w*))",
        r"\bрозкри\w*", r"парол\w*",
        r"(?:тепер ти|відтепер ти|уяви,? що ти|вдавай)\b",
        ("не", "ніколи не"), r"ніколи",
        r"мо\w+|наш\w*|аудитор\w*|податк\w*|про|щодо|від|для",
    ),
    "el": Words(
        r"\b(?:αγν[οό]ησ\w*|αγνο[εέ][ιί]στε|ξ[εέ]χ[αά]σ\w*|παρ[αά]βλεψ\w*|μην ακολουθ\w*|παρ[αά]καμψ\w*)",
        r"\b(?:οδηγ[ιί][εέ]ς|οδηγ[ιί][αώω]\w*|καν[οό]ν\w*|εντολ\w*|περιορισμ\w*)",
        r"\b(?:[οό]λ(?:ες|ους|α|οι)|προηγο[υύ]μεν\w*|παραπ[αά]νω|σου|αυτ[εέ]ς|συστ[ηή]μ\w*|αρχικ\w*)\b",
        r"\b(?:δε[ιί]ξ\w*|πες|αποκ[αά]λυψ\w*|εμφ[αά]νισ\w*|γρ[αά]ψε|επαν[αά]λαβε)",
        r"(?:(?:προτροπή) (?:του )?συστήματος|system prompt|μυστικ\w* (?:οδηγ|εντολ|κωδικ)\w*)",
        r"\bαποκ[αά]λυψ\w*", r"κωδικ[οό]\w* πρ[οό]σβασης",
        r"(?:τώρα είσαι|από εδώ και πέρα είσαι|προσποιήσου)",
        ("μην", "μη", "δεν", "να μην"), r"ποτ[εέ]",
        r"μου|μας|της|του|των|από|για|σχετικά",
    ),
    "th": Words(
        r"(?:เพิกเฉย|ละเว้น|ลืม|ไม่ต้องทำตาม)",
        r"(?:คำสั่ง(?!ซื้อ|จ่าย)|กฎ(?!หมาย)|คำแนะนำ|ข้อจำกัด|ข้อกำหนด)",
        r"(?:ก่อนหน้า|ทั้งหมด|ทุก|ของคุณ|ข้างต้น|เดิม|ระบบ)",
        r"(?:แสดง|บอก|เปิดเผย|พิมพ์|ทวน|เขียน)",
        r"(?:(?:พรอมต์|คำสั่ง)(?:ของ)?ระบบ|คำสั่งลับ)",
        r"เปิดเผย", r"รหัสผ่าน",
        r"(?:ตอนนี้คุณคือ|จากนี้ไปคุณ(?:คือ|เป็น)|แกล้งทำ|สวมบทบาท)",
        ("อย่า", "ไม่", "ห้าม", "อย่าได้", "ไม่ควร"), "",
        r"ของ(?:ฉัน|ผม|เรา|กรม|สรรพากร)",
    ),
    "fa": Words(
        r"(?:نادیده بگیر\w*|فراموش کن(?!ن)\w*|بیتوجه|کنار بگذار\w*|پیروی نکن\w*)",
        r"(?:دستور\w*|قوانین|قواعد|محدودیت\w*|راهنما\w*)",
        r"(?:همه|تمام|قبلی|پیشین|بالا|خودت|سیستم\w*|اولیه)",
        r"(?:نشان بده\w*|بنویس\w*|بگو\w*|فاش کن\w*|چاپ کن\w*|تکرار کن\w*)",
        r"(?:پرامپت\w*|دستور\w* (?:اولیه|مخفی|سیستم)\w*)",
        r"فاش کن\w*", r"(?:رمز عبور|گذرواژه)",
        r"(?:از این پس تو|تو اکنون|وانمود کن|حالت توسعه)",
        (), "",
        r"من|ما|مالیات\w*|سازمان",
    ),
}  # fmt: skip
