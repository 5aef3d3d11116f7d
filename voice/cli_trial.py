"""The command ``afterbeep trial``: questions about settings in, answers out; the admin's pages ask it."""

from __future__ import annotations

import json
import logging
import signal
import sys

import click
import structlog

_EXAMPLES = """\b
Examples:
  echo '{"do": "rubric", "vertical": "home_services"}' | afterbeep trial
  afterbeep trial < questions.jsonl > answers.jsonl
"""
_LONGEST = 4_000_000


@click.command(epilog=_EXAMPLES)
@click.option("--idle-s", default=600.0, help="End after so many seconds without a question.")
def trial(*, idle_s: float) -> None:
    """Try a rubric, a greeting or a typed call.

    Reads JSON Lines from standard input and answers each with one line: the answer, or "error". Nothing
    is kept and nothing is logged.
    """
    from voice import trial as trials  # noqa: PLC0415  # --help need not load them

    logging.disable()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
    while True:
        signal.setitimer(signal.ITIMER_REAL, idle_s)
        line = sys.stdin.readline(_LONGEST)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not line:
            return
        try:
            found = trials.answer(json.loads(line))
        except trials.NotAsked as err:
            found = {"error": str(err)}
        except Exception as err:  # noqa: BLE001 - the next question is answered whatever this one was
            found = {"error": type(err).__name__}
        sys.stdout.write(json.dumps(found, ensure_ascii=True) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    trial()
