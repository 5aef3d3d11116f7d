"""``afterbeep sandbox``: a vendor in miniature."""

from __future__ import annotations

import errno
from pathlib import Path

import click

from connectors.registry import SANDBOXES
from hub.cli.problems import Refused


@click.command()
@click.argument("name", type=click.Choice(sorted(SANDBOXES)))
@click.option("--port", default=0, show_default="a free one", type=click.IntRange(0, 65_535))
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/sandboxes"),
    show_default=True,
    help="Where its records are kept.",
)
def sandbox(name: str, port: int, folder: Path) -> None:
    """Serve the vendor NAME in miniature, with OAuth, limits and faults, until told to stop.

    It prints its address; open it in a browser to see the records that arrived.

    \b
    Example:
      afterbeep sandbox salesforce --port 9001
    """
    from connectors.sandbox.serve import serve

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise Refused(f"The folder {folder} cannot be written ({err.strerror}).") from err
    try:
        serve(name, folder=folder, port=port)
    except OSError as err:
        if err.errno != errno.EADDRINUSE:
            raise
        raise Refused(f"Port {port} is in use by another program. Choose with --port.") from err
