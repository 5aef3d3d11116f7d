"""What is said in the caller's own language without a model, and how that language is found.

Words are data (``lines/<tag>.toml``), one file a language; see README.md for how to add one.
"""

from voice.languages.catalogue import english_name, line, supported, tag_for, variants
from voice.languages.choose import choose, first, greeting
from voice.languages.digits import digits
from voice.languages.emergency import emergency_number
from voice.languages.times import times
from voice.languages.voices import Recognition, recognition, say_voice, speaks, voice_for
from voice.languages.words import (
    is_backchannel,
    says_goodbye,
    wants_person,
    wants_repeat,
    yes_no,
)

__all__ = [
    "Recognition",
    "choose",
    "digits",
    "emergency_number",
    "english_name",
    "first",
    "greeting",
    "is_backchannel",
    "line",
    "recognition",
    "say_voice",
    "says_goodbye",
    "speaks",
    "supported",
    "tag_for",
    "times",
    "variants",
    "voice_for",
    "wants_person",
    "wants_repeat",
    "yes_no",
]
