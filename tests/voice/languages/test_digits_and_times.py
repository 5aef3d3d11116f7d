"""Numbers and times are said so that they are understood."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice import languages
from voice.analyse import phone
from voice.analyse.country import regions

TAGS = languages.supported()


def numbers(tag):
    """Draw valid numbers of the language's own country and of others."""
    home = "PT" if tag == "pt-PT" else regions(tag, None)[0]
    shapes = []
    for region in (home, "US", "DE"):
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        shapes.append(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
    return shapes


@pytest.mark.parametrize("tag", TAGS)
def test_a_number_that_is_read_back_is_understood_again(tag):
    """What the caller hears is the number that was written down."""
    for number in numbers(tag):
        said = languages.line("confirm_number", tag, number=languages.digits(number, tag))
        assert phone.wanted(said, language=tag) == number, said


@pytest.mark.parametrize(
    "tag",
    [
        "en",
        "es",
        "fr",
        "de",
        "it",
        "pt",
        "nl",
        "sv",
        "da",
        "nb",
        "fi",
        "pl",
        "cs",
        "ro",
        "hu",
        "el",
        "tr",
        "ru",
        "uk",
        "ar",
        "he",
        "hi",
        "ja",
        "ko",
        "zh",
        "vi",
        "th",
        "id",
    ],
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_american_number_survives(tag, data):
    """With country code where the language is not at home there."""
    area = data.draw(st.sampled_from(["415", "212", "303", "702", "617"]))
    rest = data.draw(st.integers(2_000_000, 9_999_999))
    number = f"+1{area}{rest}"
    assert phone.wanted(languages.digits(number, tag), language=tag) == number


def test_groups_are_those_of_the_country():
    """English has figures, others have words; at home without a country code."""
    assert languages.digits("+14155550132", "en-US") == "4 1 5, 5 5 5, 0 1 3 2"
    assert languages.digits("+14155550132", "en-GB") == "plus 1, 4 1 5, 5 5 5, 0 1 3 2"
    assert languages.digits("+447700900123", "en-GB") == "0 7, 7 0 0, 9 0 0, 1 2 3"
    assert languages.digits("+33612345678", "fr").startswith("zéro six, un deux, trois quatre")
    assert languages.digits("+14155550132", "es") == (
        "más uno, cuatro uno cinco, cinco cinco cinco, cero uno tres dos"
    )


def test_the_tenants_country_is_home_too():
    """A Spanish caller of an American business hears the number as it is dialled there."""
    said = languages.digits("+14155550132", "es", region_number="+12125550100")
    assert said == "cuatro uno cinco, cinco cinco cinco, cero uno tres dos"


@pytest.mark.parametrize("number", ["", "911", "4155550132", "hello"])
def test_only_a_whole_number_is_read(number):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="international form"):
        languages.digits(number, "en")


@pytest.mark.parametrize("tag", TAGS)
def test_offered_times_name_day_and_hour(tag):
    """Both times are said, in the tenant's zone."""
    starts = ["2026-12-01T14:30:00+00:00", "2026-12-02T09:00:00+00:00"]
    said = languages.times(starts, "Europe/Berlin", tag)
    assert "30" in said
    assert "3" in said or "15" in said
    assert len(said) < 130
    assert not any(space in said for space in "\u202f\u00a0")


def test_times_in_some_languages():
    """As people say them."""
    start = ["2026-03-03T14:30:00+00:00"]
    assert languages.times(start, "UTC", "en-US") == "Tuesday, March 3 at 2:30 PM"
    assert languages.times(start, "UTC", "en-GB") == "Tuesday 3 March at 14:30"
    assert languages.times(start, "UTC", "de") == "Dienstag, 3. März um 14:30 Uhr"
    assert languages.times(start, "America/New_York", "fr") == "mardi 3 mars à 09:30"


def test_a_time_without_an_offset_or_no_time_at_all_is_refused():
    """It could be any hour."""
    with pytest.raises(ValueError, match="offset"):
        languages.times(["2026-03-03T14:30:00"], "UTC", "en")
    with pytest.raises(ValueError, match="No times"):
        languages.times([], "UTC", "en")
