# ruff: noqa: E501 (word lists read better whole)
"""Words of injection in further languages, as data: what drops, what is dropped, what shows, what is
secret, what opens a role. Latin letters stand without their accents (``normalise.bare``).

Swedish, Danish and Norwegian, Finnish, Czech and Slovak, Romanian, Hungarian, Ukrainian, Greek,
Vietnamese, Indonesian and Malay, Thai, Persian.
"""

from __future__ import annotations

LATIN: dict[str, tuple[str, str, str, str, str]] = {
    "sv": (
        r"\b(?:ignorera|glom|bortse fran|strunta i|asidosatt|folj inte)",
        r"\b(?:instruktion\w*|regler\w*|anvisning\w*|riktlinje\w*|begransning\w*|allt (?:ovan|tidigare|som))\b",
        r"\b(?:visa|skriv|beratta|avsloja|upprepa|ge mig|vad ar)\b",
        r"\b(?:systemprompt\w*|systemmeddelande\w*|(?:dina|hemliga|dolda|ursprungliga) (?:\w+ )?(?:instruktion\w*|regler|prompt\w*)|losenord\w*)\b",
        r"\b(?:du ar nu|fran och med nu (?:ar|ska) du|latsas (?:att du|vara)|nya instruktioner)\b",
    ),
    "da": (
        r"\b(?:ignorer|glem|se bort fra|tilsides\w+|folg ikke)",
        r"\b(?:instruktion\w*|instruks\w*|regler\w*|retningslinjer\w*|anvisning\w*|begr.nsning\w*|alt (?:ovenfor|tidligere|det))\b",
        r"\b(?:vis|skriv|fort.+?l|afslor|avslor|gentag|gjenta|giv mig|gi meg|hvad er|hva er)\b",
        r"\b(?:system-?prompt\w*|systembesked\w*|systemmelding\w*|(?:dine|skjulte|hemmelige|oprindelige|opprinnelige) (?:\w+ )?(?:instruktioner|instruksjoner|regler|prompt\w*)|adgangskode\w*|passord\w*|kodeord\w*)\b",
        r"\b(?:du er n[ua]|fra n[ua] a[fv] er du|lad som om|lat som|nye instru(?:ktioner|ksjoner))\b",
    ),
    "fi": (
        r"\b(?:unohda|sivuuta|ohita|jata huomiotta|ala noudata)",
        r"\b(?:ohje\w*|saannot|saantoja|kasky\w*|rajoituk\w*|maarayk\w*)\b",
        r"\b(?:nayta|kerro|paljasta|toista|tulosta|kirjoita|mika on)\b",
        r"\b(?:jarjestelma(?:kehote|kehotte|viesti|ohje)\w*|salasana\w*|(?:salai|piilotetu|alkuperai)\w* (?:ohje|kehot)\w*)\b",
        r"\b(?:olet nyt|tasta lahtien|teeskentele|uudet ohjeet)\b",
    ),
    "cs": (
        r"\b(?:ignoruj|zapomen|zabudn|nedbej|neber\w* v uvahu|preskoc|obejdi|prestan)\w*",
        r"\b(?:instrukc\w*|pokyn\w*|pravid\w*|prikaz\w*|omezen\w*|obmedzen\w*|smernic\w*|vsechn\w* pred\w*|vsetk\w* pred\w*)\b",
        r"\b(?:ukaz\w*|zobraz\w*|vypis\w*|prozrad\w*|prezrad\w*|rekni|povedz|zopakuj\w*|napis\w*|jake jsou|ake su|jak zni)\b",
        r"\b(?:systemov\w* (?:prompt\w*|zprav\w*|sprav\w*|pokyn\w*|instrukc\w*)|(?:sve|svoje|tve|tvoje|tajn\w*|skryt\w*|puvodn\w*|povodn\w*) (?:instrukc\w*|pokyn\w*|pravid\w*|prompt\w*)|hesl[oa]\b)",
        r"\b(?:nyni jsi|ted jsi|teraz si|od ted(?:ka)? jsi|odteraz si|predstirej|predstieraj|nove (?:instrukc\w*|pokyn\w*))\b",
    ),
    "ro": (
        r"\b(?:ignora\w*|uita(?:ti)?\b|nu tine cont|nu tineti cont|nesocoteste|treci peste)",
        r"\b(?:instructiun\w*|reguli\w*|indicati\w*|comenzi\w*|restricti\w*|limitar\w*|tot ce)\b",
        r"\b(?:arata\w*|spune\w*|dezvaluie\w*|repeta\w*|afiseaza\w*|scrie\w*|care (?:este|sunt))\b",
        r"\b(?:prompt\w* (?:de|al) sistem\w*|mesaj\w* de sistem|instructiunile (?:tale|initiale|secrete|ascunse)|parola\b|codul secret)",
        r"\b(?:acum esti|de acum (?:inainte|incolo) esti|prefa-te|instructiuni noi)\b",
    ),
    "hu": (
        r"\b(?:hagyd figyelmen kivul|felejtsd el|ne vedd figyelembe|mellozd|ne kovesd)",
        r"\b(?:utasitas\w*|szabaly\w*|iranyelv\w*|korlatozas\w*|parancs\w*|minden\w* (?:korabbi|elozo|eddigi)\w*)\b",
        r"\b(?:mutasd\w*|ird (?:ki|le)|mondd el|aruld el|ismeteld\w*|add ki)\b",
        r"\b(?:rendszer(?:prompt|uzenet|utasitas)\w*|jelszo\w*|jelszav\w*|(?:titkos|rejtett|eredeti) (?:utasitas|prompt|kod)\w*)\b",
        r"\b(?:mostantol (?:te|egy)|tegyel ugy|tegy ugy mintha|uj utasitas\w*)\b",
    ),
    "vi": (
        r"\b(?:bo qua|phot lo|quen (?:di|het|tat ca)|khong (?:tuan theo|lam theo)|vuot qua)",
        r"\b(?:huong dan|chi thi|quy tac|menh lenh|lenh|chi dan|gioi han|han che)\b",
        r"\b(?:hien thi|cho (?:toi|minh) (?:biet|xem)|tiet lo|in ra|lap lai|viet ra|noi cho)\b",
        r"\b(?:(?:loi nhac|thong bao|prompt|huong dan|chi thi) (?:he thong|ban dau|goc|bi mat)|mat khau|ma bi mat|system prompt)\b",
        r"\b(?:bay gio ban la|tu bay gio ban|gia vo (?:la|rang)|nhiem vu moi|huong dan moi)\b",
    ),
    "id": (
        r"\b(?:abaikan|lupakan|acuhkan|jangan (?:ikuti|hiraukan|patuhi)|langgar|kesampingkan)",
        r"\b(?:instruksi\w*|arahan\w*|perintah\w*|aturan\w*|peraturan\w*|petunjuk\w*|batasan\w*|pembatasan)\b",
        r"\b(?:tampilkan|tunjukkan|beritahu\w*|beri tahu|ungkapkan|ulangi|cetak|tuliskan|sebutkan)\b",
        r"\b(?:(?:prompt|pesan|perintah|instruksi) (?:sistem|awal|rahasia|tersembunyi|asli)\w*|kata sandi|kata laluan|kode rahasia|system prompt)\b",
        r"\b(?:sekarang (?:kamu|anda) adalah|mulai sekarang (?:kamu|anda)|berpura-pura\w*|instruksi baru|tugas baru)\b",
    ),
}  # fmt: skip

OTHER: dict[str, tuple[str, str, str, str, str]] = {
    "uk": (
        r"(?:ігнору\w*|проігнору\w*|забуд\w*|не зважай\w*|відкинь\w*|не дотримуй\w*)",
        r"(?:інструкці\w*|вказівк\w*|правил\w*|команд\w*|обмежен\w*|наказ\w*|підказк\w*)",
        r"(?:покаж\w*|вивед\w*|назв\w*|розкри\w*|скажи\w*|повтори\w*|напиш\w*)",
        r"(?:системн\w* (?:промпт\w*|повідомлен\w*|інструкц\w*|підказк\w*)|(?:сво|тво|секретн|прихован|початков)\w* (?:інструкц\w*|вказівк\w*|правил\w*|промпт\w*)|парол\w*)",
        r"(?:тепер ти|відтепер ти|уяви,? що ти|вдавай|нов\w+ (?:інструкц\w*|завдання))",
    ),
    "el": (
        r"(?:αγν[οό]ησ\w*|αγν[οό]ηστ\w*|ξ[εέ]χ[αά]σ\w*|παρ[αά]βλεψ\w*|μην ακολουθ\w*|παρ[αά]καμψ\w*)",
        r"(?:οδηγ[ιί]\w*|καν[οό]ν\w*|εντολ\w*|περιορισμ\w*)",
        r"(?:δε[ιί]ξ\w*|πες|αποκ[αά]λυψ\w*|εμφ[αά]νισ\w*|γρ[αά]ψε|επαν[αά]λαβε)",
        r"(?:(?:μήνυμα|προτροπή|οδηγίες) (?:του )?συστήματος|system prompt|κωδικ[όο]\w*|μυστικ\w*)",
        r"(?:τώρα είσαι|από εδώ και πέρα|προσποιήσου|νέες οδηγίες)",
    ),
    "th": (
        r"(?:เพิกเฉย|ละเว้น|ลืม|ไม่ต้องทำตาม|ยกเลิก)",
        r"(?:คำสั่ง|กฎ|คำแนะนำ|ข้อจำกัด|ข้อกำหนด)",
        r"(?:แสดง|บอก|เปิดเผย|พิมพ์|ทวน|เขียน)",
        r"(?:(?:พรอมต์|ข้อความ|คำสั่ง)(?:ของ)?ระบบ|รหัสผ่าน|คำสั่งลับ)",
        r"(?:ตอนนี้คุณคือ|จากนี้ไปคุณ|แกล้งทำ|สวมบทบาท|คำสั่งใหม่)",
    ),
    "fa": (
        r"(?:نادیده بگیر\w*|فراموش کن\w*|بیتوجه|کنار بگذار\w*|پیروی نکن\w*|لغو کن\w*)",
        r"(?:دستور\w*|قوانین|قواعد|محدودیت\w*|راهنما\w*)",
        r"(?:نشان بده\w*|بنویس\w*|بگو\w*|فاش کن\w*|چاپ کن\w*|تکرار کن\w*)",
        r"(?:پیام سیستم\w*|پرامپت\w*|دستور\w* (?:اولیه|مخفی|سیستم)\w*|رمز عبور|گذرواژه)",
        r"(?:از این پس تو|تو اکنون|وانمود کن|دستور\w* جدید|حالت توسعه)",
    ),
}  # fmt: skip
