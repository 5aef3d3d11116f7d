"""What is said without a model is whole in every language, in its own words, and short."""

import tomllib
from pathlib import Path

import pytest

from voice import languages
from voice.analyse.language import detect, primary
from voice.languages import catalogue

#: The most characters a voice speaks in ten seconds, at some fifteen a second; Chinese and its like need fewer.
MOST_GREETING = 165
MOST_LINE = 170
#: Languages whose text alone is taken for a sibling's.
SIBLINGS = {"bs": {"hr", "sr"}, "ms": {"id"}, "pt-PT": {"pt"}, "gl": {"pt"}}
TAGS = languages.supported()


def own_text(tag):
    """Give all that a language says, without values."""
    return " ".join(
        catalogue._FIELD.sub("", text)
        for name in catalogue.names()
        for text in languages.variants(name, tag)
    )


def test_there_are_many_languages():
    """More than the 57 that are promised have lines."""
    assert len(TAGS) >= 60


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_has_every_line_with_the_placeholders_of_english(tag):
    """Nothing is missing, empty or asks for another value."""
    entry = catalogue.language(tag)
    english = catalogue.language("en")
    assert set(entry["lines"]) == set(english["lines"])
    assert set(entry["words"]) == set(english["words"])
    assert all(entry["words"].values())
    for name in catalogue.names():
        wanted = catalogue.placeholders(languages.variants(name, "en")[0])
        for text in languages.variants(name, tag):
            assert text.strip() == text
            assert text
            assert catalogue.placeholders(text) == wanted, name
    assert len(entry["digits"].split()) == 10
    assert {"{date}", "{time}"} == {f"{{{key}}}" for key in catalogue.placeholders(entry["at"])}


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_is_recognised_as_itself(tag):
    """The lines are detected as their own language, or as one that is read alike."""
    assert detect(own_text(tag)) in {primary(tag), *SIBLINGS.get(tag, ())}


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag != "en"])
def test_no_line_is_left_in_english(tag):
    """No line is the English one, and each filler is there in several ways."""
    for name in catalogue.names():
        english = languages.variants(name, "en")
        assert not set(languages.variants(name, tag)) & set(english), name
    assert len(set(languages.variants("filler", tag))) >= 3


@pytest.mark.parametrize("tag", TAGS)
def test_lines_are_short_enough_to_listen_to(tag):
    """The greeting stays under ten seconds and no line is a speech."""
    assert len(languages.line("greeting", tag, tenant="Acme Dental Care")) <= MOST_GREETING
    for name in catalogue.names():
        for text in languages.variants(name, tag):
            assert len(text) <= MOST_LINE, (name, len(text))


def test_a_tag_falls_back_to_its_primary_subtag_and_then_to_english():
    """A region without lines of its own is spoken in its language's; a language without any in English."""
    assert languages.line("repeat", "de-AT") == languages.line("repeat", "de")
    assert languages.line("transfer", "pt_PT") != languages.line("transfer", "pt-BR")
    assert languages.line("repeat", "zh-TW") == languages.line("repeat", "zh-Hant")
    assert languages.line("repeat", "no") == languages.line("repeat", "nb")
    assert languages.line("repeat", "tlh") == languages.line("repeat", "en")


@pytest.mark.parametrize("tag", ["", "..", "../../etc", "en/../de", "x" * 400, "日本"])
def test_a_tag_that_is_none_speaks_english(tag):
    """Whatever a line says of its language never reaches the file system."""
    assert languages.tag_for(tag) is None
    assert languages.line("repeat", tag) == languages.line("repeat", "en")


def test_an_unknown_line_and_a_missing_value_are_refused():
    """A slip in the code is seen at once and not spoken."""
    with pytest.raises(KeyError, match="no fixed line 'hallo'"):
        languages.line("hallo", "de")
    with pytest.raises(ValueError, match="needs a value for tenant"):
        languages.line("greeting", "de")
    with pytest.raises(ValueError, match="needs a value for number"):
        languages.line("confirm_number", "en", number=" ")


def test_a_value_is_not_filled_in_again():
    """A caller's name that looks like a placeholder stays as it is."""
    said = languages.line("greeting_known", "en", tenant="Acme", name="{tenant} {0}")
    assert said.startswith("Hello {tenant} {0}, this is Acme.")


def test_stops_do_not_double():
    """A value that ends in a stop ends the sentence too."""
    assert ".." not in languages.line("offer_times", "es", time="mañana a las 9 a.m.")


def test_the_emergency_number_is_that_of_the_region():
    """By the tenant's number, by a short number, or none where none is certain."""
    say = languages.line
    assert "call 9 1 1." in say("emergency_medical", "en", region_number="+14155550132")
    assert "die eins eins zwei" in say("emergency_medical", "de", region_number="+4930901820")
    assert "the emergency number" in say("emergency_general", "en")
    assert "1 1 9" in say("emergency_fire_gas", "en", region_number="+81312345678")
    assert "9 9 9" in say("emergency_general", "en", region_number="999")
    assert "hätänumeroon" in say("emergency_general", "fi", region_number="not a number")


@pytest.mark.parametrize("tag", TAGS)
def test_emergency_lines_are_whole_with_and_without_a_number(tag):
    """Neither leaves a gap."""
    for name in ("emergency_medical", "emergency_fire_gas", "emergency_general"):
        for number in (None, "112"):
            said = languages.line(name, tag, region_number=number)
            assert "{" not in said
            assert "  " not in said


def test_emergency_numbers_are_known_to_the_numbering_plans():
    """Each number of the table connects to an emergency service by libphonenumber's own data."""
    from phonenumbers import shortnumberinfo

    from voice.languages import emergency

    table = tomllib.loads(
        Path(emergency.__file__).with_name("emergency.toml").read_text(encoding="utf-8")
    )["regions"]
    for region, entry in table.items():
        numbers = {entry} if isinstance(entry, str) else set(entry.values())
        for number in numbers:
            assert shortnumberinfo.is_emergency_number(number, region), (region, number)


def test_the_readme_lists_the_languages():
    """The list that people read is the data."""
    text = (Path(catalogue.__file__).parent / "README.md").read_text(encoding="utf-8")
    listed = text.split("## Languages", 1)[1].split("##", 1)[0]
    for tag in TAGS:
        assert f"{languages.english_name(tag)} (`{tag}`)" in " ".join(listed.split()), tag
    assert listed.count("(`") == len(TAGS)
