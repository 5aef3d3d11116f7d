"""The commands ``afterbeep voice`` (answer the telephone) and ``afterbeep analyse`` (transcripts in, events out)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

import click
import structlog

from mappings.event import Call, Voicemail

_FIELDS = {"id": True, "text": True, "caller_id": False, "language": False, "vertical": False}
_EXAMPLES = """\b
Examples:
  echo '{"id": "1", "text": "Hi, this is Dana, call me at 415 555 0132."}' | afterbeep analyse
  afterbeep analyse voicemails.jsonl > events.jsonl
  afterbeep analyse --timezone Europe/Berlin --vertical "home services" < voicemails.jsonl
"""


_VOICE_EXAMPLES = """\b
Examples:
  afterbeep voice
  AFTERBEEP_VOICE_PUBLIC_URL=https://voice.example.com afterbeep voice
  AFTERBEEP_VOICE_PORT=9000 AFTERBEEP_LOG_FORMAT=console afterbeep voice --json

\b
Settings (environment variables; secrets also as …_FILE):
  AFTERBEEP_VOICE_PUBLIC_URL     the https address that Twilio reaches
  AFTERBEEP_TWILIO_ACCOUNT_SID, AFTERBEEP_TWILIO_AUTH_TOKENS
  AFTERBEEP_HUB_URL, AFTERBEEP_VOICE_TOKEN
  AFTERBEEP_ANTHROPIC_API_KEY    without it the dialogue takes messages by itself
All of them are in voice/README.md.
"""


class Refused(click.ClickException):
    """A setting is wrong: exit code 2."""

    exit_code = 2


@click.command(epilog=_VOICE_EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print where it listens as JSON.")
def voice(*, as_json: bool) -> None:
    """Answer the telephone.

    Serves Twilio's webhooks and sockets, holds the calls, and gives each to the hub as an event.
    SIGTERM lets calls go on for AFTERBEEP_VOICE_DRAIN_S seconds, then hands them over to another
    process.
    """
    import asyncio  # noqa: PLC0415  # --help need not load it

    from voice import log, serving  # noqa: PLC0415  # --help need not load them
    from voice.seal import KeyProblem  # noqa: PLC0415  # --help need not load it
    from voice.settings import SettingsProblem, load  # noqa: PLC0415  # --help need not load it

    try:
        settings = load()
        log.configure(level=settings.log_level, style=settings.log_format)
        listener = serving.listening(settings)
        port = listener.getsockname()[1]
        if not settings.voice_port:
            settings = settings.model_copy(update={"voice_port": port})
        told = serving.described(settings, port)
        asyncio.run(serving.run(settings, listener, ready=lambda: _tell(told, as_json=as_json)))
    except (SettingsProblem, KeyProblem) as err:
        raise Refused(str(err)) from err


def _tell(told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told))
    else:
        click.echo(f"Listening on {told['listens']}, reached by Twilio as {told['public_url']}.")
        click.echo("At Twilio, set for each number (HTTP POST):")
        for name, address in told["webhooks"].items():
            click.echo(f"  {name}: {address}")
        for name in told["missing"]:
            click.echo(f"Not set: {name}.", err=True)
    sys.stdout.flush()


class LineError(ValueError):
    """A line of input that cannot be read; the message says why."""


@click.command(epilog=_EXAMPLES)
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"), default="-")
@click.option(
    "--timezone", default="UTC", show_default=True, help="The tenant's zone, for days and times."
)
@click.option("--vertical", default=None, help="The trade of lines that name none, in any words.")
@click.option("--language", default=None, help="BCP 47 hint for lines that give none.")
def analyse(file: IO[str], timezone: str, vertical: str | None, language: str | None) -> None:
    """Turn voicemail transcripts into events.

    Reads JSON Lines from FILE or standard input: "id" and "text", and optionally "caller_id",
    "language" and "vertical". Writes the event's data and the id, a line as soon as it is done.
    A line that cannot be read is told of on standard error, and the exit code is then 1.
    """
    from voice.analyse import analysis  # noqa: PLC0415  # --help need not load models

    if not structlog.is_configured():
        # Standard output belongs to the events.
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    analysis.load()
    bad = 0
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            found = _read(line)
            data = _analysed(found, timezone=timezone, vertical=vertical, language=language)
        except LineError as err:
            bad += 1
            problem = {"line": number, "error": str(err)}
            click.echo(json.dumps(problem, ensure_ascii=False), err=True)
            continue
        click.echo(json.dumps({"id": found["id"], **data}, ensure_ascii=False))
        sys.stdout.flush()
    if bad:
        raise SystemExit(1)


def _read(line: str) -> Mapping[str, str]:
    try:
        found = json.loads(line)
    except ValueError as err:
        raise LineError(f"this is not JSON: {err}") from err
    if not isinstance(found, dict):
        raise LineError('a line is a JSON object, such as {"id": "1", "text": "…"}')
    for field, is_required in _FIELDS.items():
        value = found.get(field)
        if value is None and not is_required:
            continue
        if field == "id" and isinstance(value, int) and not isinstance(value, bool):
            continue
        if not isinstance(value, str) or (field == "id" and not value):
            problem = "is missing" if value is None else "must be text"
            raise LineError(f'"{field}" {problem}')
    return found


def _analysed(
    found: Mapping[str, Any], *, timezone: str, vertical: str | None, language: str | None
) -> dict[str, Any]:
    from voice.analyse import analysis  # noqa: PLC0415  # --help need not load models

    now = datetime.now(UTC)
    caller_id = found.get("caller_id")
    data: Voicemail = analysis.analyse(
        found["text"],
        call=Call.model_validate(
            {"id": str(found["id"])[:255], "from": caller_id and caller_id[:255]}
        ),
        caller_id=caller_id,
        language=found.get("language") or language,
        vertical=found.get("vertical") or vertical,
        received_at=now,
        timezone=timezone,
    )
    return data.model_dump(mode="json", by_alias=True, exclude_none=True)


if __name__ == "__main__":
    analyse()
