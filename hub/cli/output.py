"""What commands print: JSON for machines, tables for people, tab-separated lines for pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


def say(text: str) -> None:
    """Tell the person something that is not the answer itself: on standard error."""
    click.echo(text, err=True)


def put_json(document: Any) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(document, default=_plain, ensure_ascii=False))


def put_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    """Print rows: a JSON list of objects, a table on a terminal, or tab-separated lines in a pipe."""
    if as_json:
        names = [column.lower().replace(" ", "_") for column in columns]
        put_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(_text(value) for value in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_text(value) for value in row))
    Console().print(table if rows else "Nothing here yet.")


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return " ".join(str(value).split())


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
