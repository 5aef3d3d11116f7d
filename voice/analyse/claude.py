"""Ask Anthropic's model to read a transcript. It proposes; ``voice.analyse.merge`` checks and decides.

The instructions are the same for every call of every tenant, so that the API caches them; a call is data in a block
of its own. A failed, late, refused or malformed answer is asked for once more, then :class:`Unread` is raised and the
local analysis stands alone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import structlog
from anthropic import AsyncAnthropic
from anthropic.types import Message
from pydantic import ValidationError

from mappings.event import Bucket, Segment
from voice.analyse.proposal import Proposal, schema

_LOG = structlog.get_logger(module=__name__)
_FOLDER = Path(__file__).parent
#: A form with forty signals has room in this.
_MAX_TOKENS = 2_000
_TRIES = 2
_PAUSE_S = 0.5
_MOST_CHARS = 24_000
#: Examples of each bucket, so that the instructions are long enough to be cached: Claude Haiku 4.5 and Opus 4.5 cache
#: from 4,096 tokens on, others from 1,024.
#: Source: https://github.com/anthropics/anthropic-sdk-python/issues/1194, quoting the documents (2026-11-30)
_EXAMPLES = 14
_LONGEST_EXAMPLE = 420


class Unread(Exception):
    """The model did not read the transcript; ``why`` is a short constant such as "timeout"."""

    def __init__(self, why: str) -> None:
        """Say why."""
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Read:
    """What the model proposed, which model it was, and the tokens that were read from the cache."""

    proposal: Proposal
    model: str
    cached_tokens: int


@cache
def instructions() -> str:
    """Give the instructions: the same for every call."""
    lines = [(_FOLDER / "instructions.md").read_text(encoding="utf-8")]
    with (_FOLDER / "corpus" / "train_english.jsonl").open(encoding="utf-8") as corpus:
        examples = [json.loads(line) for line in corpus]
    for bucket in Bucket:
        fitting = [
            one
            for one in examples
            if one["bucket"] == bucket and len(one["text"]) <= _LONGEST_EXAMPLE
        ]
        lines += [
            f'- {bucket}: "{one["text"]}" ({one.get("vertical", "any trade")})'
            for one in fitting[:_EXAMPLES]
        ]
    return "\n".join(lines)


def request(
    segments: Sequence[Segment],
    *,
    model: str,
    received_at: datetime,
    timezone: str,
    vertical: str | None,
) -> dict[str, Any]:
    """Give the arguments of the API's call for one transcript."""
    call = {
        "received_at": received_at.isoformat(timespec="seconds"),
        "timezone": timezone,
        "vertical": vertical,
        "turns": _turns(segments),
    }
    # A caller cannot say "</call>": no bracket leaves the block.
    block = json.dumps(call, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    return {
        "model": model,
        "max_tokens": _MAX_TOKENS,
        "system": [
            {"type": "text", "text": instructions(), "cache_control": {"type": "ephemeral"}}
        ],
        "messages": [{"role": "user", "content": f"<call>{block}</call>"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema()}},
    }


def _turns(segments: Sequence[Segment]) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    left = _MOST_CHARS
    for part in segments:
        if left <= 0:
            break
        text = part.text[:left]
        left -= len(text)
        turns.append({"who": part.speaker.value, "text": text})
    return turns


async def read(client: AsyncAnthropic, arguments: dict[str, Any], *, within_s: float) -> Read:
    """Ask the model, at most twice, within so many seconds altogether. Raises Unread."""
    why = "timeout"
    try:
        async with asyncio.timeout(within_s):
            for number in range(_TRIES):
                if number:
                    await asyncio.sleep(_PAUSE_S)
                try:
                    return _answer(await client.messages.create(**arguments, timeout=within_s / 2))
                except Unread as err:
                    why = err.why
                except anthropic.APIError as err:
                    why = _reason(err)
                    if not _is_worth_another_try(err):
                        break
    except TimeoutError:
        why = "timeout"
    _LOG.warning("analysis by model failed", vendor="anthropic", reason=why)
    raise Unread(why)


def _answer(message: Any) -> Read:
    if not isinstance(message, Message):
        raise Unread("malformed")  # the package gives the text of what is no JSON
    if message.stop_reason != "end_turn":
        raise Unread(str(message.stop_reason))
    text = "".join(block.text for block in message.content if block.type == "text")
    try:
        proposal = Proposal.model_validate_json(text)
    except ValidationError:
        # The error quotes what was said; nothing of it is kept.
        raise Unread("malformed") from None
    return Read(proposal, str(message.model), message.usage.cache_read_input_tokens or 0)


def _is_worth_another_try(err: anthropic.APIError) -> bool:
    if isinstance(err, anthropic.APIStatusError):
        return err.status_code in {408, 409, 429} or err.status_code >= 500  # noqa: PLR2004 - the server's fault
    return True


def _reason(err: anthropic.APIError) -> str:
    if isinstance(err, anthropic.APITimeoutError):
        return "timeout"
    if isinstance(err, anthropic.APIStatusError):
        return str(err.status_code)
    return "malformed" if isinstance(err, anthropic.APIResponseValidationError) else "unreachable"
