# ruff: noqa: E501 (patterns and word lists read better whole)
"""Words that announce a telephone, in some forty languages."""

from __future__ import annotations

import re
import unicodedata

# Without accents, as ``plain_words`` gives them.
_PHONE_WORD = re.compile(
    r"(?<![^\W_])(?:(?:my|his|her|their|our|your) (?:new |work |home |direct |private |office |old )?number|phone|telephone|tel\b|telef|mobil|cell|fax|call|dial|ring|contact|reach\b|"
    r"text\b|sms\b|whats ?app|signal\b|handy|festnetz|rufnummer|ruf\b|anruf|erreich|durchwahl|"
    r"movil|celular|llam|cellulare|chiam|portable|appel|joindre|joignable|bel\b|bellen|dzwo|komork|"
    r"numer tel|ligue|ligar|telemo|tlf\b|tfn\b|puh\b|gsm\b|hotline|ruckruf|rueckruf|callback|mon numero|meine nummer|mi numero|il mio numero|mijn nummer|moj numer|o meu numero|"
    r"registered (?:mobile|number)|helpline|switchboard|desk line|"
    r"direct line|landline|extension|voicemail|pager|телефон|тел\b|(?:по)?звон|моб|τηλ|κιν"
    r"|zavol|volej|volat|nazovi|poklic|suna\b|sunat|apelat|talr|zvan|soita|helista|skambin|hubungi|telp|no\.? ?hp\b|(?:so )?dien thoai|goi\b|sdt\b"
    r"|telefonsz|hivj|ara(?:yin|yabil)|numara(?:m|si)|дзвон|зателеф|обад|καλεσ|تلفن)"
    r"|电话|手机|致电|电話|電話|電话|手機|携帯|전화|휴대|연락처|फ़ोन|फोन|मोबाइल|هاتف|جوال|محمول|اتصل|טלפון|נייד|โทร|โทรศัพท์"
)
# Right before a number of four dotted pairs, which may be an address of a network as well.
_TELEPHONE = re.compile(
    r"(?<![^\W_])(?:tele?f\w*|telephone|phone|tel|tlf|tfn|mob|mobil\w*|portable|fax|handy|gsm|ring|тел|"
    r"appelez(?:[- ](?:moi|nous))?|joindre|joignable)[^\w\n]{0,4}(?:(?:til|mig|meg|os|oss|pa|nr|no|nummer|numero|number|"
    r"au|sur|er|est|is|privat|direkte|dk|fr)\b[^\w\n]{1,4}){0,3}$"
)
_ACCENTS = re.compile("[\u0300-\u036f]+")


def phone_word(text: str) -> bool:
    """Whether ``text`` holds a word for a telephone or for calling."""
    return _PHONE_WORD.search(plain_words(text)) is not None


def after_phone_word(text: str) -> str:
    """What follows the last such word."""
    return _PHONE_WORD.split(plain_words(text))[-1]


def names_telephone(before: str) -> bool:
    """Whether ``before`` ends with a word that makes a telephone of four dotted pairs."""
    return _TELEPHONE.search(plain_words(before)) is not None


def plain_words(text: str) -> str:
    """Lower case without accents: "Llámame" is "llamame"."""
    if text.isascii():
        return text.lower()
    return _ACCENTS.sub("", unicodedata.normalize("NFD", text.lower()))
