"""The language of a transcript."""

import json
from pathlib import Path

import pytest

from voice.analyse.language import detect, primary

UNSEEN = Path(__file__).parent / "corpus" / "unseen.jsonl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi, I'd like to book a table for four on Friday night, please call me back.", "en"),
        ("Guten Tag, ich wollte fragen, ob mein Wagen schon fertig ist.", "de"),
        ("Bonjour, je vous appelle au sujet de ma facture du mois de mars.", "fr"),
        ("Buenas tardes, quería cambiar la cita del jueves por favor.", "es"),
        ("Dzień dobry, chciałam zapytać o cenę remontu łazienki.", "pl"),
        ("もしもし、予約を変更したいのですが。", "ja"),
        ("안녕하세요, 예약을 변경하고 싶습니다.", "ko"),
        ("你好，我想问一下我的订单什么时候到。", "zh"),
        ("สวัสดีค่ะ ขอเลื่อนนัดได้ไหมคะ", "th"),
        ("שלום, אני רוצה לקבוע תור ליום שלישי", "he"),
        ("مرحبا، أريد أن أسأل عن الفاتورة الأخيرة", "ar"),
        ("Merhaba, randevumu iptal etmek istiyorum, teşekkürler.", "tr"),
        ("Доброго дня, хотів би дізнатися, чи готове моє замовлення.", "uk"),
    ],
)
def test_sentences_are_told_apart(text, expected):
    """A sentence of ten words is enough to tell a language."""
    assert expected == detect(text)


@pytest.mark.parametrize("text", ["ok", "si", "no", "Hallo", "911", "", "   ", "😀😀"])
def test_a_hint_wins_when_there_is_little_to_read(text):
    """One word is in many languages; the line's language is the better guess."""
    assert detect(text, hint="pt-BR") == "pt"


def test_a_hint_does_not_hide_a_clear_language():
    """A German who rings an English line is still speaking German."""
    text = "Guten Tag, hier ist Jürgen Brandt, ich wollte meinen Termin morgen leider absagen."

    assert detect(text, hint="en-US") == "de"


def test_nothing_said_has_no_language():
    """Without letters and without a hint the tag is BCP 47's 'und'."""
    assert detect("... 555 😀") == "und"


def test_a_very_long_text_is_answered():
    """Twenty thousand characters are no trouble."""
    assert detect("I would like to speak with somebody about my order. " * 400) == "en"


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("pt-BR", "pt"), ("zh_Hans_CN", "zh"), ("no", "nb"), ("und", None), ("", None), ("x", None)],
)
def test_tags_are_cut_to_their_first_part(tag, expected):
    """Region and script do not matter here, and nonsense is no hint."""
    assert expected == primary(tag)


def test_unseen_voicemails_are_recognised():
    """At least 96 of 100 unseen voicemails get the language that they are in."""
    if not UNSEEN.is_file():
        pytest.skip(f"{UNSEEN.name} is not there")
    rows = [json.loads(line) for line in UNSEEN.read_text(encoding="utf-8").splitlines()]
    right = sum(detect(row["text"]) == row["language"] for row in rows)

    assert right / len(rows) >= 0.96
