"""``afterbeep send``: posts voicemails to a hub over HTTP, as any other client does."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import click

from hub.cli.output import json_option, put_json, say
from hub.cli.problems import Failed, Refused


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--url", default="http://127.0.0.1:8080", show_default=True, help="The hub's address."
)
@click.option(
    "--key",
    envvar="AFTERBEEP_API_KEY",
    help="An API key that may write events; better in AFTERBEEP_API_KEY than here.",
)
@click.option("--source", default="/afterbeep/send", show_default=True, help="Where they are from.")
@json_option
@click.pass_context
def send(
    ctx: click.Context, file: str, url: str, key: str | None, source: str, *, as_json: bool
) -> None:
    """Post the voicemails in FILE (- for standard input) to a hub.

    FILE holds JSON Lines: CloudEvents, or what `afterbeep analyse` writes. The same voicemail again is answered
    as known and changes nothing, so that a broken run may simply be repeated. Exit code 1 when any was refused.

    \b
    Examples:
      afterbeep analyse < voicemails.jsonl | afterbeep send -
      AFTERBEEP_API_KEY=ab_live_… afterbeep send events.jsonl --url https://hub.afterbeep.example
    """
    from hub.posting import Poster, Unanswered, envelope

    if not key:
        raise Refused("Set AFTERBEEP_API_KEY. Make a key with: afterbeep key create NAME")
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        envelopes = [
            envelope(json.loads(line), source=source) for line in text.splitlines() if line.strip()
        ]
    except ValueError as err:
        raise Refused(f"{file} is not JSON Lines of voicemails: {err}") from err
    counts: Counter[str] = Counter()
    refusals = []
    try:
        with Poster(url, key) as poster:
            for answer in poster.post_all(envelopes):
                counts[answer.status] += 1
                if answer.problem:
                    refusals.append(f"{answer.event_id}: {answer.problem}")
    except Unanswered as err:
        raise Failed(str(err)) from err
    for refusal in refusals:
        say(refusal)
    if as_json:
        put_json(dict(counts))
    else:
        say(
            ", ".join(f"{number} {status}" for status, number in counts.items())
            or "Nothing to send."
        )
    if refusals:
        ctx.exit(1)
