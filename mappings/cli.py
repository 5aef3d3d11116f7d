"""The commands of ``afterbeep mapping`` that need no database: check, show, diff, render.

Exit codes: 0 all is well (for diff: the same), 1 problems or differences were found, 2 a file cannot be
read or used.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, available_timezones

import click
from pydantic import TypeAdapter, ValidationError

from connectors.record import Field
from mappings.catalogue import catalogue, example_facts
from mappings.check import check
from mappings.diff import diff
from mappings.document import MappingDocument, dump_json, dump_yaml, load, parse
from mappings.event import Event, Voicemail, facts
from mappings.presets import presets
from mappings.problem import InvalidMapping, Problem
from mappings.render import RenderProblem, compile_mapping

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_JSON_HELP = "Answer with one JSON object."


@click.group(name="mapping")
def mapping() -> None:
    """Check, show, compare and try mappings."""


@mapping.command(
    name="check",
    epilog="Example: afterbeep mapping check lead.yaml --schema fields.json",
)
@click.argument("file", type=_FILE)
@click.option("--schema", type=_FILE, help="Fields of the account: JSON, object to list of fields.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def check_command(file: Path, schema: Path | None, *, as_json: bool) -> None:
    """Report every problem of a mapping, each with its path.

    Without --schema, only the form and the event's side are checked.
    """
    try:
        found = check(load(_text_of(file)), _read_schema(schema) if schema else None)
    except InvalidMapping as error:
        found = list(error.problems)
    errors = sum(problem.severity == "error" for problem in found)
    if as_json:
        click.echo(json.dumps({"errors": errors, "problems": [asdict(one) for one in found]}))
    else:
        for problem in found:
            click.echo(f"{problem.severity}: {problem}")
        click.echo(f"{file}: {errors} errors, {len(found) - errors} warnings")
    raise SystemExit(1 if errors else 0)


@mapping.command(epilog="Example: afterbeep mapping show lead.yaml --json")
@click.argument("file", type=_FILE, required=False)
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of YAML.")
def show(file: Path | None, *, as_json: bool) -> None:
    """Write a mapping in its normal form; without FILE, list what mappings can read."""
    if file is not None:
        document = _document(file)
        click.echo(dump_json(document) if as_json else dump_yaml(document), nl=False)
    elif as_json:
        click.echo(json.dumps({"catalogue": [asdict(field) for field in catalogue()]}))
    else:
        for field in catalogue():
            kind = f"list of {field.type}" if field.is_list else field.type
            click.echo(f"{field.path:28} {kind:16} {json.dumps(field.example)}")


@mapping.command(name="diff", epilog="Example: afterbeep mapping diff old.yaml new.yaml")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def diff_command(old: Path, new: Path, *, as_json: bool) -> None:
    """List what changed from one mapping to another; exit code 1 when anything did."""
    changes = diff(_document(old), _document(new))
    if as_json:
        click.echo(json.dumps({"changes": [asdict(change) for change in changes]}))
    else:
        for change in changes:
            click.echo(str(change))
    raise SystemExit(1 if changes else 0)


@mapping.command(
    epilog="Example: afterbeep mapping render lead.yaml event.json --timezone Europe/Berlin"
)
@click.argument("file", type=_FILE)
@click.argument("event", type=_FILE, required=False)
@click.option("--timezone", default="UTC", show_default=True, help="The tenant's time zone.")
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def render(file: Path, event: Path | None, timezone: str, *, as_json: bool) -> None:
    """Show the records that a mapping makes of an event; nothing is sent.

    EVENT is a CloudEvents envelope or only its data; without it a made-up voicemail is used. Record
    ids of earlier steps are shown as <id of lead>.
    """
    if timezone not in available_timezones():
        _fail(f'There is no time zone "{timezone}".')
    compiled = compile_mapping(_document(file))
    found = _read_event(event) if event else example_facts()
    answer: dict[str, Any] = {
        "matches": compiled.matches(found),
        "needs_approval": compiled.needs_approval(found),
        "steps": [],
    }
    has_problem = False
    for step in compiled.steps:
        made: dict[str, Any] = {"id": step.id, "object": step.object}
        ids = {other: f"<id of {other}>" for other in step.depends_on}
        try:
            made |= asdict(step.render(found, ids=ids, timezone=ZoneInfo(timezone)))
        except RenderProblem as problem:
            made |= {"problem": {"path": problem.path, "detail": problem.detail}}
            has_problem = True
        answer["steps"].append(made)
    click.echo(json.dumps(answer) if as_json else _in_words(answer))
    raise SystemExit(1 if has_problem else 0)


@mapping.command(
    name="presets", epilog="Example: afterbeep mapping presets salesforce lead_and_task"
)
@click.argument("connector")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help=_JSON_HELP)
def presets_command(connector: str, name: str | None, *, as_json: bool) -> None:
    """List a connector's presets, or write one as YAML to start from."""
    found = presets(connector)
    if not found:
        _fail(f'There are no presets for "{connector}".')
    if name is not None:
        chosen = next((preset for preset in found if preset.name == name), None)
        if chosen is None:
            _fail(f'There is no preset "{name}". There are: {", ".join(p.name for p in found)}.')
        click.echo(json.dumps(asdict(chosen)) if as_json else chosen.text, nl=as_json)
    elif as_json:
        click.echo(json.dumps({"presets": [asdict(preset) for preset in found]}))
    else:
        for preset in found:
            click.echo(f"{preset.name:24} {preset.description}")


def _in_words(answer: dict[str, Any]) -> str:
    lines = []
    if not answer["matches"]:
        lines.append("This mapping is not for the event: when does not hold. It would make:")
    if answer["needs_approval"]:
        lines.append("A person must approve first.")
    for step in answer["steps"]:
        lines.append(f"{step['id']} ({step['object']})")
        if problem := step.get("problem"):
            lines.append(f"  parked: {problem['path']}: {problem['detail']}")
            continue
        lines += [f"  found by {json.dumps(way, ensure_ascii=False)}" for way in step["matches"]]
        for name, value in step["fields"].items():
            mode = step["update_modes"].get(name)
            shown = json.dumps(value, ensure_ascii=False)
            lines.append(f"  {name}: {shown}" + (f"  (update: {mode})" if mode else ""))
    return "\n".join(lines)


def _text_of(file: Path) -> str:
    try:
        if str(file) == "-":
            return sys.stdin.read()
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file} cannot be read: {error}")


def _document(file: Path) -> MappingDocument:
    try:
        return parse(load(_text_of(file)))
    except InvalidMapping as error:
        _fail(f"{file} is not a mapping:\n" + "\n".join(map(_line, error.problems)))


def _line(problem: Problem) -> str:
    return f"  {problem}"


def _read_schema(file: Path) -> Callable[[str], Sequence[Field] | None]:
    try:
        found = TypeAdapter(dict[str, list[Field]]).validate_json(_text_of(file))
    except ValidationError as error:
        _fail(
            f"{file} is not a table of objects to lists of fields: {error.error_count()} problems"
        )
    return found.get


def _read_event(file: Path) -> dict[str, Any]:
    text = _text_of(file)
    try:
        data = json.loads(text)
        is_envelope = isinstance(data, dict) and "specversion" in data
        voicemail = (
            Event.model_validate(data).data if is_envelope else Voicemail.model_validate(data)
        )
    except ValidationError as error:
        # The input is left out: it may hold what a caller said.
        problems = error.errors(include_input=False, include_url=False)
        told = "\n".join(f"  {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
        _fail(f"{file} is not an event:\n{told}")
    except (json.JSONDecodeError, RecursionError) as error:
        _fail(f"{file} is not JSON: {error}")
    return facts(voicemail)


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    raise SystemExit(2)
