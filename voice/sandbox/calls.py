"""Places calls to a running voice service: ``python -m voice.sandbox.calls``, spoken to in JSON Lines.

A telephone network in miniature on loopback, in real time, whose callers say what stands in each line of standard
input (``id``, ``text``, and optionally ``caller_id``, ``language``, ``sms_consent``, ``call_id``) and then answer what
they are asked. A line on standard output tells that the network is there (``rest_url``), and one when each call is
over. The network stays until standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from voice import languages
from voice.languages.catalogue import language
from voice.sandbox.speech import Pace
from voice.sandbox.twilio.caller import Action, Answer, Speak
from voice.sandbox.twilio.habits import Habits
from voice.sandbox.twilio.network import PhoneNetwork

ACCOUNT = "AC" + "0" * 31 + "1"
#: Questions that are answered with yes, and those answered with no; anything else is not the caller's to answer.
_YES, _NO = ("offer_caller_id", "confirm_number"), ("ask_urgency", "anything_else")
_PLACE = re.compile(r"\\\{\w+\\\}")
_BEGINNING = 24


async def serve(asked: argparse.Namespace) -> None:
    """Place the calls of standard input, so many at a time, until it ends."""
    # People who are in a hurry: a demonstration need not last as long as the calls of a morning.
    pace = Pace({tag: rate * asked.speed for tag, rate in Pace().words_per_second.items()})
    habits = Habits(pace=pace, end_of_turn_s=0.5, patience_s=30.0, stays_s=1.0)
    network = PhoneNetwork(
        public_url=asked.public_url,
        account_sid=ACCOUNT,
        auth_token=asked.auth_token,
        habits=habits,
        allow_plain_sockets=True,
    )
    async with network.open(asked.rest_port) as phone:
        phone.connect(asked.service)
        phone.number(asked.number)
        _tell({"rest_url": phone.rest_url})
        places = asyncio.Semaphore(asked.at_once)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.TaskGroup() as calls:
            while line := await reader.readline():
                calls.create_task(_call(phone, asked.number, json.loads(line), places))


async def _call(
    phone: PhoneNetwork, number: str, sample: Mapping[str, Any], places: asyncio.Semaphore
) -> None:
    tag = languages.tag_for(sample.get("language") or "en") or "en-US"
    async with places:
        report = await phone.call(
            to=number,
            from_=sample.get("caller_id") or "anonymous",
            caller=_script(sample, tag),
            language=tag,
            sid=sample.get("call_id"),
        ).finished()
    _tell(
        {
            "id": sample["id"],
            "call_id": report.sid,
            "status": report.status,
            "duration_s": round(report.duration_s, 2),
            "answer_s": [round(one, 3) for one in report.answer_s],
            "errors": [f"{one.number} {one.message}" for one in report.errors],
        }
    )


def _script(sample: Mapping[str, Any], tag: str) -> list[Action]:
    """Say it, then answer the questions of this language's lines, and hang up when there is no more to say."""
    yes, no = (_word(tag, kind) for kind in ("yes", "no"))
    texts = yes if sample.get("sms_consent") else no
    replies = [
        *((_asks(name, tag), yes) for name in _YES),
        (_asks("ask_sms_consent", tag), texts),
        *((_asks(name, tag), no) for name in _NO),
    ]
    return [Speak(str(sample["text"])), Answer(replies=tuple(replies), otherwise=None)]


def _asks(line: str, tag: str) -> str:
    """Give a pattern of how a line begins, wherever its values stand."""
    (template, *_) = languages.variants(line, tag)
    return _PLACE.sub(".*", re.escape(template))[:_BEGINNING].rstrip("\\")


def _word(tag: str, kind: str) -> str:
    """Give the first word of a kind: how people say yes, and no."""
    listed: str = language(tag)["words"][kind]
    return listed.split(",", 1)[0].capitalize() + "."


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the network until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m voice.sandbox.calls", description=__doc__)
    parser.add_argument(
        "--service", required=True, help="where the voice service listens: host:port"
    )
    parser.add_argument("--public-url", required=True, help="the address that its settings name")
    parser.add_argument("--auth-token", required=True, help="what requests are signed with")
    parser.add_argument("--number", required=True, help="the number that is dialled, E.164")
    parser.add_argument("--rest-port", type=int, default=0, help="the port of the REST API")
    parser.add_argument("--at-once", type=int, default=8, help="calls at the same time")
    parser.add_argument("--speed", type=float, default=4.0, help="how much faster people speak")
    asyncio.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
