"""The ``afterbeep`` command. One module per command or group, imported when it is called.

Exit codes: 0 the job is done, 1 it was tried and failed, 2 it was asked wrongly or a setting is wrong.
What is asked for goes to standard output, everything said beside it to standard error. Errors that a person
can mend are one sentence.
"""

from __future__ import annotations

import sys

from hub.cli.lazy import Entry, LazyGroup

COMMANDS = {
    "demo": Entry("hub.cli.demo:demo", "Play sample voicemails into vendors in miniature."),
    "up": Entry("hub.cli.up:up", "Run everything that an installation on one machine needs."),
    "serve": Entry("hub.cli.serve:serve", "Answer HTTP: the API and the pages."),
    "worker": Entry("hub.cli.worker:worker", "Deliver what is due."),
    "sweep": Entry("hub.cli.sweep:sweep", "Wake workers for whatever waits."),
    "sandbox": Entry("hub.cli.sandbox:sandbox", "Serve a vendor in miniature."),
    "migrate": Entry("hub.cli.migrate:migrate", "Bring the database's tables up to date."),
    "send": Entry("hub.cli.send:send", "Post voicemails to a hub."),
    "voice": Entry("voice.cli:voice", "Answer the telephone."),
    "outbox": Entry("voice.cli_outbox:outbox", "See finished calls that the hub has not taken."),
    "analyse": Entry("voice.cli:analyse", "Turn transcripts into the data of events."),
    "call": Entry("voice.cli_call:call", "Play calls that are written down."),
    "trial": Entry("voice.cli_trial:trial", "Try a rubric, a greeting or a typed call."),
    "connection": Entry("hub.cli.connection:connection", "See accounts, and what is set for them."),
    "mapping": Entry("hub.cli.mapping:mapping", "Check, try, import and export mappings."),
    "delivery": Entry("hub.cli.delivery:delivery", "See deliveries and send them again."),
    "alert": Entry(
        "hub.cli.alert:alert", "See what tenants were told, and try whether it arrives."
    ),
    "ledger": Entry("hub.cli.ledger:ledger", "Prove that nothing is lost and nothing twice."),
    "tenant": Entry("hub.cli.tenant:tenant", "Create and list tenants."),
    "person": Entry("hub.cli.person:person", "Create people who sign in."),
    "key": Entry("hub.cli.key:key", "Make API keys and master keys."),
    "openapi": Entry("hub.cli.openapi:openapi", "Write the description of the API."),
}

afterbeep = LazyGroup(
    "afterbeep",
    entries=COMMANDS,
    help="Turns every missed call into a logged action.\n\n"
    "Settings are environment variables AFTERBEEP_…; without any, servers of its own are started "
    "in the folder var.\n\n\b\nExamples:\n  afterbeep demo\n  afterbeep up\n"
    "  afterbeep analyse < voicemails.jsonl | afterbeep send -\n  afterbeep ledger --json",
)


def main() -> None:
    """Run the command line."""
    sys.exit(afterbeep.main(prog_name="afterbeep"))
