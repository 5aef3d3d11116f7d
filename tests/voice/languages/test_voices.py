"""Each language has somebody who speaks it and somebody who hears it, or a reason why not."""

import pytest

from voice import languages
from voice.languages import voices

TAGS = languages.supported()


@pytest.mark.parametrize("tag", TAGS)
def test_a_language_is_spoken_and_heard_or_it_is_said_why_not(tag):
    """Nothing is silently read by an English voice."""
    if languages.speaks(tag):
        assert voices.why_not(tag) is None
        assert tag not in voices._tables()["without"]
        return
    assert voices.why_not(tag).endswith(".")
    assert tag in voices._tables()["without"]


@pytest.mark.parametrize("tag", [tag for tag in TAGS if tag.split("-")[0] != "en"])
def test_no_english_voice_reads_another_language(tag):
    """A voice belongs to the language, or speaks many."""
    spoken = languages.say_voice(tag)
    if spoken:
        assert not spoken[1].startswith("en-") or tag == "cy"
    relay = languages.voice_for(tag)
    if relay and relay[0] != "ElevenLabs":
        assert not relay[1].startswith("en-")
    heard = languages.recognition(tag)
    if heard:
        assert not heard.language.startswith("en")


def test_at_least_57_languages_are_spoken_at_twilio():
    """The promise holds on the default line."""
    assert sum(map(languages.speaks, TAGS)) >= 57


def test_a_region_has_its_own_voice():
    """British, Austrian and Canadian callers hear their own."""
    assert languages.say_voice("en-GB")[1] == "en-GB"
    assert languages.say_voice("de-AT")[1] == "de-AT"
    assert languages.say_voice("fr-CA")[1] == "fr-CA"
    assert languages.say_voice("de-LU") == languages.say_voice("de")


def test_a_language_without_lines_has_no_voice():
    """Unknown tags are not answered with English."""
    assert languages.voice_for("tlh") is None
    assert languages.say_voice("tlh") is None
    assert languages.recognition("tlh") is None
    assert not languages.speaks("tlh")
    assert voices.why_not("tlh")


def test_every_row_belongs_to_a_language_with_lines():
    """The tables have no orphans."""
    for tag in (*voices._tables()["voices"], *voices._tables()["without"]):
        assert languages.tag_for(tag), tag
