"""The few words that steer a call are understood in each language."""

import pytest

from voice import languages
from voice.languages.catalogue import language

TAGS = languages.supported()


@pytest.mark.parametrize("tag", TAGS)
def test_each_word_means_what_it_stands_under(tag):
    """Yes agrees, no refuses, in full and with a murmur before."""
    words = language(tag)["words"]
    for phrase in words["yes"].split(","):
        assert languages.yes_no(phrase, tag) is True, phrase
    for phrase in words["no"].split(","):
        assert languages.yes_no(phrase, tag) is False, phrase
    for phrase in words["repeat"].split(","):
        assert languages.wants_repeat(phrase + "?", tag), phrase
    for phrase in words["person"].split(","):
        assert languages.wants_person(phrase, tag), phrase
    for phrase in words["goodbye"].split(","):
        assert languages.says_goodbye(phrase, tag), phrase
    for phrase in words["backchannel"].split(","):
        assert languages.is_backchannel(phrase, tag), phrase


@pytest.mark.parametrize(
    ("text", "tag", "answer"),
    [
        ("Yes, that's right.", "en", True),
        ("no that's wrong", "en", False),
        ("That's not right", "en", False),
        ("no problem", "en", True),
        ("uh, yeah", "en-GB", True),
        ("my name is Dana", "en", None),
        ("Ja, genau.", "de", True),
        ("Nein, das stimmt nicht", "de", False),
        ("Das stimmt nicht", "de-AT", False),
        ("Sí, es correcto", "es", True),
        ("no es correcto", "es", False),
        ("Oui tout à fait", "fr", True),
        ("ce n'est pas ça", "fr", False),
        ("はい、そうです", "ja", True),
        ("いいえ、違います", "ja", False),
        ("不对", "zh", False),
        ("对的", "zh", True),
        ("아니요", "ko", False),
        ("네 맞아요", "ko", True),
        ("yes", "tr", True),
        ("Hayır, yanlış", "tr", False),
        ("да, верно", "ru", True),
        ("нет, неверно", "ru", False),
        ("غير صحيح", "ar", False),
        ("", "en", None),
    ],
)
def test_yes_and_no(text, tag, answer):
    """Refusals that hold a word of assent are refusals."""
    assert languages.yes_no(text, tag) is answer


def test_a_message_is_no_answer():
    """A long text that holds a yes somewhere says neither."""
    text = (
        "my sink has been leaking since Monday and I called before and they said yes we can come by"
    )
    assert languages.yes_no(text, "en") is None


@pytest.mark.parametrize(
    ("text", "tag"),
    [("mhm", "fr"), ("Okay, okay.", "en"), ("ja, ja", "de"), ("ajá, sí", "es"), ("uh-huh", "pl")],
)
def test_murmurs_are_backchannels(text, tag):
    """The caller only listens."""
    assert languages.is_backchannel(text, tag)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("okay wait", "en"),
        ("my boiler", "en"),
        ("", "en"),
        ("ja aber", "de"),
        ("sí, un momento", "es"),
    ],
)
def test_words_with_content_are_not(text, tag):
    """These interrupt."""
    assert not languages.is_backchannel(text, tag)


def test_a_story_is_no_request():
    """Words of a request inside a message do not steer the call."""
    assert not languages.wants_repeat(
        "I told the plumber one more time that the pipe is broken and he did not come", "en"
    )
    assert not languages.wants_person("My insurance agent told me to call you", "en")
    assert not languages.says_goodbye("I said bye to my old dentist and need a new one now", "en")
    assert languages.wants_person("Can I please talk to a real person?", "en")
    assert languages.says_goodbye("Okay, that's all, thank you, bye.", "en")
