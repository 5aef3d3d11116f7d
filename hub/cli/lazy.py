"""A group of commands that imports a command's module only when that command is called.

The help page is made of the short texts in the table, so that it needs none of them. Errors that a person can
mend end here as one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from hub.cli import problems


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is (``module:attribute``), and its line on the help page."""

    path: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.path.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class LazyGroup(click.Group):
    """The ``afterbeep`` command itself."""

    def __init__(self, name: str, *, entries: Mapping[str, Entry], help: str) -> None:  # noqa: A002 - click names it so
        """Offer these entries, in their order."""
        super().__init__(name, help=help, context_settings={"help_option_names": ["-h", "--help"]})
        self._entries = entries
        self.params.append(
            click.Option(
                ["--version"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_show_version,
                help="Show the version and exit.",
            )
        )

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click fixes the signature
        """Name the commands in the order of the table."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click fixes the signature
        """Import and give a command."""
        entry = self._entries.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click fixes the signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; errors that a person can mend become one sentence."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as err:
            sentence = problems.explain(err)
            if sentence is None:
                raise
            raise problems.Refused(sentence) from err


def _show_version(ctx: click.Context, _option: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - click fixes the signature
    if is_asked and not ctx.resilient_parsing:
        click.echo(f"afterbeep {version('afterbeep')}")
        ctx.exit()
