"""The call goes on in the caller's language: on a sentence or a wish, not on a word or a name."""

import pytest

from voice import languages

US = ("en-US", "es-US")


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("Hola, buenas tardes, quisiera una cita para mañana por favor", "es-US"),
        ("Bonjour, je voudrais prendre rendez-vous s'il vous plaît", "fr"),
        ("Guten Tag, ich möchte gern einen Termin vereinbaren", "de"),
        ("Buongiorno, vorrei parlare con qualcuno per un appuntamento", "it"),
        ("Bom dia, eu gostaria de marcar uma consulta para amanhã, por favor", "pt"),
        ("Goedemorgen, ik wil graag een afspraak maken alstublieft", "nl"),
        ("Dzień dobry, chciałabym umówić się na wizytę, proszę oddzwonić", "pl"),
        ("Hej, jag skulle vilja boka en tid till tandläkaren tack", "sv"),
        ("Hei, haluaisin varata ajan hammaslääkärille, kiitos", "fi"),
        ("Merhaba, yarın için bir randevu almak istiyorum lütfen", "tr"),
        ("Jó napot kívánok, szeretnék időpontot kérni holnapra, köszönöm", "hu"),
        ("Xin chào, tôi muốn đặt lịch hẹn vào ngày mai", "vi"),
        ("Bună ziua, aș dori o programare pentru mâine, vă rog", "ro"),
        ("Dobrý den, chtěl bych se objednat na zítra, prosím", "cs"),
        ("Здравствуйте, я хочу записаться на приём", "ru"),
        ("Добрий день, я хотів би записатися на прийом, будь ласка", "uk"),
        ("السلام عليكم، أريد أن أحجز موعدا", "ar"),
        ("नमस्ते, मुझे अपॉइंटमेंट चाहिए", "hi"),
        ("もしもし、予約をお願いします", "ja"),
        ("안녕하세요, 예약하고 싶습니다", "ko"),
        ("你好，我想预约明天看牙医", "zh"),
        ("שלום, אני רוצה לקבוע תור למחר", "he"),
        ("Καλημέρα, θα ήθελα ένα ραντεβού", "el"),
        ("สวัสดีครับ ผมอยากนัดหมอฟัน", "th"),
    ],
)
def test_a_sentence_in_another_language_switches(said, tag):
    """Languages that the tenant has not listed are spoken too; of a listed one its variant."""
    assert languages.choose([said], current="en-US", listed=US) == tag


@pytest.mark.parametrize(
    ("wish", "tag"),
    [
        ("¿Habla español?", "es-US"),
        ("Do you speak Spanish?", "es-US"),
        ("Spanish please", "es-US"),
        ("Español.", "es-US"),
        ("auf Deutsch bitte", "de"),
        ("Parlez-vous français ?", "fr"),
        ("Is there anyone who speaks Polish?", "pl"),
        ("po polsku proszę", "pl"),
        ("Вы говорите по-русски?", "ru"),
        ("会说中文吗，说中文", "zh"),
        ("日本語でお願いします", "ja"),
        ("Türkçe biliyor musunuz?", "tr"),
        ("Có ai nói tiếng Việt không?", "vi"),
        ("Você fala português?", "pt"),
        ("Parla italiano?", "it"),
        ("بتتكلم عربي؟", "ar"),
        ("क्या आप हिंदी बोलते हैं?", "hi"),
        ("한국어 하세요?", "ko"),
    ],
)
def test_a_wish_switches_at_once(wish, tag):
    """However short it is."""
    assert languages.choose([wish], current="en-US", listed=US) == tag


def test_a_wish_for_english_switches_back():
    """To the tenant's own English."""
    assert languages.choose(["in English please"], current="es-US", listed=US) == "en-US"
    assert (
        languages.choose(["no hablo español, English please"], current="es", listed=US) == "en-US"
    )


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Hola",
        "Sí",
        "Danke schön",
        "Giuseppe Garibaldi",
        "My name is Juan Carlos Hernández de la Cruz",
        "It's Jürgen Müller from Düsseldorf",
        "I need two tacos al pastor for my fiesta",
        "I live on Rue de la Paix",
        "Four one five, five five five, oh one three two",
        "Schwarzenegger",
        "François Dupont",
        "Mhm okay",
        "Cinco de Mayo",
        "415 555 0132",
        "We need the tiles from the Spanish catalogue",
        "Calle de la Rosa 14",
    ],
)
def test_a_word_or_a_name_does_not_switch(said):
    """Loan words, names, streets and numbers are no sentence."""
    assert languages.choose([said], current="en-US", listed=US) == "en-US"


def test_a_short_sentence_switches_where_the_line_agrees():
    """Twilio tells "es" for what it heard."""
    said = ["Hola, buenas tardes, por favor"]
    assert languages.choose(said, current="en-US", listed=US, line_tag="es") == "es-US"


def test_two_short_remarks_together_are_enough():
    """What one does not tell, both do."""
    said = ["Buenas, mire usted", "quiero dejar un mensaje por favor"]
    assert languages.choose(said, current="en-US", listed=US) == "es-US"


def test_siblings_are_not_mistaken_for_each_other():
    """The one that is spoken or listed stays."""
    norwegian = "Hei, jeg vil gjerne bestille en time til neste uke"
    assert languages.choose([norwegian], current="nb-NO", listed=("nb-NO",)) == "nb-NO"
    serbian = "Dobar dan, htela bih da zakažem pregled za sutra"
    assert languages.choose([serbian], current="hr", listed=("hr",)) == "hr"
    malay = "Selamat pagi, saya mahu buat temu janji esok"
    assert languages.choose([malay], current="id", listed=("id",)) == "id"


def test_what_cannot_be_spoken_does_not_switch():
    """A language without lines keeps the current one."""
    assert languages.choose(["nuqneH qaStaH nuq jay'"], current="en-US", listed=US) == "en-US"


def test_a_known_caller_is_greeted_in_their_language():
    """It counts where the tenant lists it; others hear the tenant's first."""
    assert languages.first(US, "es") == "es-US"
    assert languages.first(US, "fr") == "en-US"
    assert languages.first((), None) == "en"
    parts = languages.greeting("Acme", US, known="es-MX", name="Marta")
    assert [tag for tag, _ in parts] == ["es-US"]
    assert "Marta" in parts[0][1]


def test_the_greeting_invites_in_each_listed_language_and_in_three_at_most():
    """The caller just speaks; nothing has to be chosen."""
    parts = languages.greeting("Acme", ("en-US", "es-US", "en-GB", "fr-CA", "de"))
    assert [tag for tag, _ in parts] == ["en-US", "es-US", "fr-CA"]
    assert parts[1][1] == languages.line("invitation", "es")
    assert len(languages.greeting("Acme", ("de",))) == 1
