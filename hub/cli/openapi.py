"""``afterbeep openapi``: the description of the API, made from the code."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.problems import Failed


@click.command()
@click.option(
    "--check",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that must be current; exit code 1 when it is not.",
)
def openapi(check: Path | None) -> None:
    """Write the OpenAPI description of the API.

    \b
    Examples:
      afterbeep openapi > openapi.yaml
      afterbeep openapi --check openapi.yaml
    """
    from hub.api import document, new_app

    text = document.as_yaml(new_app("hub.app"))
    if check is None:
        click.echo(text, nl=False)
    elif not check.is_file() or check.read_text(encoding="utf-8") != text:
        raise Failed(f"{check} is not what the code says. Run: make openapi")
