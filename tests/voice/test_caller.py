"""Who called: name, company, e-mail; and taking them out again."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.analyse.name import email, introduction
from voice.analyse.redact import redact

UNSEEN = Path(__file__).parent / "corpus" / "unseen.jsonl"


def test_most_names_of_the_corpus_are_exact():
    """Of the voicemails with a name, 85 % give exactly that name."""
    if not UNSEEN.exists():
        pytest.skip("the corpus of voicemails is not here")
    rows = [json.loads(line) for line in UNSEEN.read_text(encoding="utf-8").splitlines() if line]
    named = [row for row in rows if row.get("name")]
    exact = [
        row
        for row in named
        if (introduction(row["text"], row["language"]).full or "").casefold()
        == row["name"].casefold()
    ]

    assert len(exact) / len(named) >= 0.85


@pytest.mark.parametrize(
    ("language", "text", "name"),
    [
        ("en", "Hi, this is Mrs. Dana Whitfield, calling about the roof.", "Dana Whitfield"),
        ("en", "hey it's kenny just letting you know", "Kenny"),
        ("de", "Guten Tag, ich heiße Jonas Weber und brauche einen Termin.", "Jonas Weber"),
        ("es", "Buenas, me llamo Andrés Felipe. Quiero una cita.", "Andrés Felipe"),
        ("fr", "Bonjour, je m'appelle Yanis, je cherche un stage.", "Yanis"),
        ("it", "Buongiorno, mi chiamo Paola Ricci, vorrei un preventivo.", "Paola Ricci"),
        ("pt", "Oi, meu nome é Renata Falcão, sou repórter.", "Renata Falcão"),
        ("ru", "Здравствуйте, меня зовут Ольга, хочу записаться.", "Ольга"),
        ("ja", "お世話になっております、高橋と申します。", "高橋"),
        ("ko", "안녕하세요, 저는 박지현입니다. 예약하고 싶어요.", "박지현"),
        ("zh", "你好，我叫王磊，想问一下价格。", "王磊"),
        ("tr", "Merhaba, ben Elif, randevu almak istiyorum.", "Elif"),
        ("ar", "مرحبا، اسمي سامي، أريد موعد", "سامي"),
    ],
)
def test_self_introductions_give_the_name(language, text, name):
    """A name is found where callers say it, without title, in many languages."""
    assert introduction(text, language).full == name


def test_given_family_and_company_are_told_apart():
    """A full name is split, and the company follows "from"."""
    who = introduction(
        "Hi, this is Dana Whitfield from Whitfield Interiors, we need a quote.", "en"
    )

    assert (who.given, who.family, who.company) == ("Dana", "Whitfield", "Whitfield Interiors")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("write to dana at whitfield dot example please", "dana@whitfield.example"),
        ("correo juan punto perez arroba empresa punto example", "juan.perez@empresa.example"),
        ("it is Dana.W@Whitfield.example.", "dana.w@whitfield.example"),
        ("meet me at the dot on the map", None),
    ],
)
def test_an_address_is_read_written_or_spoken(text, address):
    """E-mail addresses are put together from "at" and "dot"."""
    assert email(text) == address


def test_personal_data_is_replaced_by_tokens():
    """Card, number, birth, phone, e-mail and name are gone, and their kind is said."""
    text = (
        "This is Dana Whitfield, date of birth March 3rd 1962, card 4111 1111 1111 1111, "
        "call four one five five five five oh one three two or dana@whitfield.example"
    )

    assert redact(text, language="en") == (
        "This is [NAME], date of birth [DATE_OF_BIRTH], card [CARD], call [PHONE] or [EMAIL]"
    )


@given(st.text(max_size=300), st.sampled_from(["en", "ja", "hi", "xx", None]))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_read_and_redacted(text, language):
    """No text makes the readers fail, and names are not empty."""
    redact(text, language=language)

    assert introduction(text, language).full != ""
