"""Callback numbers, as callers dictate them."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voice.analyse import phone, spoken

UNSEEN = Path(__file__).parent / "corpus" / "unseen.jsonl"
WORDS = Path(spoken.__file__).parent / "lexicon" / "number_words.json"
UNITS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905  # reads better


def corpus():
    """Give the corpus, or skip."""
    if not UNSEEN.exists():
        pytest.skip("the corpus of voicemails is not here")
    return [json.loads(line) for line in UNSEEN.read_text(encoding="utf-8").splitlines() if line]


def wanted(text, language="en", caller_id=None):
    """Give the number to call back."""
    return phone.wanted(text, language=language, caller_id=caller_id)


def test_at_least_95_of_100_numbers_of_the_corpus_are_exact():
    """Of the voicemails that name a number, 95 % give exactly that number."""
    said = [row for row in corpus() if row.get("callback")]
    exact = [
        row
        for row in said
        if wanted(row["text"], row["language"], row.get("caller_id")) == row["callback"]
    ]

    assert len(exact) / len(said) >= 0.95


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "call me at four one five, five fifty-five, oh one thirty-two", "+14155550132"),
        ("en", "eight hundred five five five oh one two three", "+18005550123"),
        ("en", "it's 415 uh 555 and then double oh one two extension 204", "+14155550012"),
        ("en", "plus forty four seven seven double oh nine hundred one two three", "+447700900123"),
        ("en", "on +44 (0)20 7946 0123", "+442079460123"),
        ("en-GB", "oh seven seven double oh nine double oh one two three", "+447700900123"),
        (
            "fr",
            "zéro six, vingt-trois, quarante-cinq, soixante-dix-sept, quatre-vingt-douze",
            "+33623457792",
        ),
        (
            "de",
            "null eins sieben sechs drei und dreißig vierhundertfünfzehn zwo zwo",
            "+491763341522",
        ),
        (
            "es",
            "más treinta y cuatro seis doce treinta y cuatro cincuenta y seis setenta y ocho",
            "+34612345678",
        ),
        ("pt", "onze, nove oito sete meia cinco, quatro três dois um", "+5511987654321"),
        ("da", "to og tyve femoghalvtreds tolv tredive", "+4522551230"),
        ("nl", "nul zes twaalf vierendertig zesenvijftig achtenzeventig", "+31612345678"),
        ("it", "tre quattro sette, uno due tre, quarantacinque sessantasette", "+393471234567"),
        (
            "pl",
            "pięćset dwanaście trzysta czterdzieści pięć sześćset siedemdziesiąt osiem",
            "+48512345678",
        ),
        (
            "ru",
            "восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь",
            "+79161234567",
        ),
        ("uk", "нуль шістдесят сім сто двадцять три сорок п'ять шістдесят сім", "+380671234567"),
        ("tr", "sıfır beş yüz otuz iki, yüz yirmi üç, kırk beş, altmış yedi", "+905321234567"),
        ("ar", "رقمي صفر خمسة خمسة ١٢٣٤٥٦٧", "+966551234567"),
        ("hi", "मेरा नंबर नौ आठ सात छह पांच चार तीन दो एक शून्य है", "+919876543210"),
        ("zh", "我的电话是幺三八零零幺三八零零零", "+8613800138000"),
        ("ja", "ゼロきゅうゼロ、いちにさんよん、ごろくななはちです", "+819012345678"),
        ("ko", "공일공에 일이삼사에 오육칠팔이에요", "+821012345678"),
        ("th", "เบอร์ ศูนย์แปดหนึ่งสองสามสี่ห้าหกเจ็ดแปด ค่ะ", "+66812345678"),
        ("vi", "số của tôi là không chín không một hai ba bốn năm sáu bảy", "+84901234567"),
        ("he", "אפס חמש אפס אחת שתיים שלוש ארבע חמש שש שבע", "+972501234567"),
    ],
)
def test_digits_are_read_in_the_caller_s_language(language, text, expected):
    """Digit words, compounds and native numerals of a language give the number."""
    assert wanted(text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my number is 415-555-0132, no sorry, 0133", "+14155550133"),
        ("four one five, five five, no sorry, five five five, oh one three two", "+14155550132"),
        ("415 555 0132, wait, let me start over, 212 555 0147", "+12125550147"),
        ("415 555 0132. Sorry, 30 minutes is fine.", "+14155550132"),
    ],
)
def test_a_correction_replaces_what_it_corrects(text, expected):
    """What follows "no, sorry" replaces the end of the number, or all of it."""
    assert wanted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order 4155550199, call me at 212 555 0147", "+12125550147"),
        ("reach me at 415 555 0132. My office fax is 415 555 0199", "+14155550132"),
        ("We close at 5:30 on 12/05/2026, it cost $1,250, order 88213", None),
        ("up to twenty six thousand dollars per employee", None),
    ],
)
def test_other_numbers_do_not_distract(text, expected):
    """Order numbers, fax numbers, prices, dates and times are not called back."""
    assert wanted(text) == expected


def test_a_local_number_takes_the_caller_s_area_code():
    """Seven digits are completed from the caller id."""
    assert wanted("it's 555 0147", caller_id="+12125550100") == "+12125550147"


def test_the_caller_id_is_used_when_no_number_is_said():
    """Without a spoken number the caller id is called back."""
    assert wanted("just call me back on this number", caller_id="+12125550100") == "+12125550100"


def rendered(number, style):
    """Dictate a number of ten digits in a style."""
    words = [UNITS[int(digit)] for digit in number]
    if style == "oh":
        words = ["oh" if word == "zero" else word for word in words]
    if style == "written":
        return f"({number[:3]}) {number[3:6]}-{number[6:]}"
    if style == "groups":
        return ", ".join(" ".join(part) for part in (words[:3], words[3:6], words[6:]))
    if style == "double":
        pairs, index = [], 0
        while index < 10:
            is_pair = index < 9 and number[index] == number[index + 1]
            pairs.append(("double " if is_pair else "") + words[index])
            index += 1 + is_pair
        return " ".join(pairs)
    if style == "filled":
        return f"{' '.join(words[:3])} uh {' '.join(words[3:6])} and then {' '.join(words[6:])}"
    return " ".join(words)


@given(
    area=st.from_regex(r"\A[2-9][0-8][0-9]\Z"),
    line=st.integers(0, 99),
    style=st.sampled_from(["plain", "oh", "written", "groups", "double", "filled"]),
)
@settings(max_examples=150, deadline=None)
def test_any_american_number_is_recovered_in_any_style(area, line, style):
    """A North American number is found however it is dictated."""
    number = f"{area}55501{line:02}"

    assert wanted(f"Hi, please call me back at {rendered(number, style)}. Thanks.") == f"+1{number}"


@pytest.mark.parametrize(
    "language",
    ["bg", "ca", "cs", "el", "fi", "hr", "hu", "id", "no", "ro", "sv", "fa", "sw", "lt", "et"],
)
@given(digits=st.lists(st.integers(0, 9), min_size=7, max_size=7))
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_single_digits_are_read_back_in_many_languages(language, digits):
    """Digit words, one by one behind a country code, give their digits."""
    table = {}
    for words, value in spoken.spoken(language).numbers.items():
        if value < 10 and len(words) == 1:
            table.setdefault(value, words[0])

    said = ", ".join(table[digit] for digit in digits)
    found = phone.find(f"+371 2 {said}", language=language)

    assert [said.number for said in found] == ["+3712" + "".join(map(str, digits))]


@pytest.mark.parametrize(
    "language", ["fr", "it", "pt", "es", "ru", "uk", "tr", "pl", "de", "nl", "da", "sv"]
)
@given(pairs=st.lists(st.integers(10, 99), min_size=3, max_size=3))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tens_are_read_back_in_many_languages(language, pairs):
    """Numbers of two digits, as each language forms them, give their digits."""
    table = json.loads(WORDS.read_text(encoding="utf-8"))[language]

    said = ", ".join(table[str(pair)][0] for pair in pairs)
    found = phone.find(f"+371 21 {said}", language=language)

    assert [said.number for said in found] == ["+37121" + "".join(map(str, pairs))]


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_without_an_error(text):
    """Whatever the text, the answer is a number in E.164 or nothing."""
    found = wanted(text)

    assert found is None or found.startswith("+")
