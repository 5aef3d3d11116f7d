"""``afterbeep tenant voice`` and ``afterbeep tenant number``: how a tenant's calls are held, and whose a number is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub.cli.output import json_option, put_json, put_rows, say
from hub.cli.problems import Refused

if TYPE_CHECKING:
    from hub.context import Hub

_E164 = re.compile(r"\+[1-9]\d{3,14}\Z")
_LINES = ("conversation_relay", "openai", "elevenlabs", "record")
_TENANT = click.option(
    "--tenant", help="The tenant's slug; may be left out when there is only one."
)


@click.command()
@click.argument("slug", required=False)
@click.option("--line", type=click.Choice(_LINES), help="How calls are held.")
@click.option(
    "--language", "languages", multiple=True, help="Such as en-US; more than one, first one first."
)
@click.option("--greeting", help="What is said first, in the first language.")
@click.option("--transfer-to", help="The number that callers are put through to; '' for none.")
@click.option("--ring-first", multiple=True, help="A number that is rung before the agent answers.")
@click.option("--emergency-number", help="The number for callers in danger; '' for none.")
@click.option("--consent", type=click.Choice(("none", "announce", "ask")))
@click.option("--records/--no-records", default=None, help="Whether calls are recorded.")
@click.option("--offers-times/--no-offers-times", default=None, help="Whether times are offered.")
@click.option(
    "--retention-days",
    type=click.IntRange(0),
    help="Days after which what callers said is removed; 0 keeps it.",
)
@click.option("--phi/--no-phi", default=None, help="Whether the tenant handles health data.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON file with settings; what it does not name has its default.",
)
@json_option
def voice(
    slug: str | None, *, phi: bool | None, file: Path | None, as_json: bool, **given: Any
) -> None:
    """Show or set how calls to the tenant SLUG are held.

    \b
    Examples:
      afterbeep tenant voice harbor
      afterbeep tenant voice harbor --line conversation_relay --language en-US --language es-US
      afterbeep tenant voice harbor --greeting "Harbor Home Services, how can I help?" --transfer-to +14155550111
      afterbeep tenant voice harbor --file settings.yaml
    """
    from hub.cli.opening import opened, tenant_id
    from hub.voice.settings import save, voice_settings

    with opened() as hub:
        chosen = tenant_id(hub, slug)
        kept = voice_settings(hub, chosen)
        base = kept.settings.model_dump(mode="json") if file is None else _read(file)
        wanted = _changed(base, given)
        if wanted != kept.settings.model_dump(mode="json"):
            kept = save(hub, chosen, _checked(wanted), revision=kept.revision, actor="command")
        is_phi = _phi(hub, chosen, phi)
    document = kept.settings.model_dump(mode="json")
    if as_json:
        put_json({"revision": kept.revision, "phi": is_phi, "settings": document})
        return
    say(f"Revision {kept.revision}.")
    rows = [("phi", is_phi), *((name, _shown(value)) for name, value in document.items())]
    put_rows(("Name", "Set to"), rows, as_json=False)


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as err:
        raise Refused(f"{file} cannot be read as YAML.") from err
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise Refused(f"{file} must hold a table of settings.")
    return found


def _changed(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Put what the command line says over settings."""
    made = dict(base)
    for name in ("line", "consent", "records", "offers_times"):
        if given[name] is not None:
            made[name] = given[name]
    if given["languages"]:
        made["languages"] = list(given["languages"])
    if given["retention_days"] is not None:
        made["retention_days"] = given["retention_days"] or None
    staff = dict(made.get("staff") or {})
    if given["transfer_to"] is not None:
        staff["transfer_to"] = given["transfer_to"] or None
    if given["ring_first"]:
        staff["ring_first"] = list(given["ring_first"])
    if staff:
        made["staff"] = staff
    if given["emergency_number"] is not None:
        number = given["emergency_number"] or None
        made["emergency"] = dict(made.get("emergency") or {}) | {"number": number}
    if given["greeting"] is not None:
        first = next(iter(made.get("languages") or ["en-US"]))
        made["greetings"] = dict(made.get("greetings") or {}) | {str(first): given["greeting"]}
    return made


def _checked(wanted: dict[str, Any]) -> Any:
    """Check settings; raises Refused with all that is wrong, each with its place."""
    from pydantic import ValidationError

    from hub.api.problems import faults
    from hub.voice.settings import VoiceSettings

    try:
        return VoiceSettings.model_validate(wanted)
    except ValidationError as err:
        found = faults(err.errors(include_url=False, include_input=False))
        lines = [f"{one.pointer} {one.detail}." for one in found]
        raise Refused("Nothing was changed.\n" + "\n".join(lines)) from None


def _phi(hub: Hub, tenant_id: str, phi: bool | None) -> bool:  # noqa: FBT001 - what the option said
    from sqlalchemy import select

    from hub.db import audit
    from hub.db.tenants import Tenant

    with hub.tenant(tenant_id) as session:
        tenant = session.scalars(select(Tenant).where(Tenant.id == tenant_id)).one()
        if phi is not None and phi is not tenant.is_phi:
            tenant.is_phi = phi
            session.flush()
            audit.record(
                session,
                actor="command",
                action="tenant.phi_set",
                target=tenant_id,
                facts={"is_phi": phi},
            )
        return tenant.is_phi


def _shown(value: Any) -> str | None:
    import json

    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


@click.group()
def number() -> None:
    """See and change whose calls a telephone number's are.

    \b
    Example:
      afterbeep tenant number list --tenant harbor
    """


@number.command()
@click.argument("telephone_number", metavar="NUMBER")
@_TENANT
@click.option("--label", help="What people call it.")
def add(telephone_number: str, tenant: str | None, label: str | None) -> None:
    """Take calls to NUMBER for a tenant from now on.

    \b
    Example:
      afterbeep tenant number add +14155550100 --tenant harbor --label "Front desk"
    """
    from hub.cli.opening import opened, tenant_id
    from hub.voice import numbers

    if not _E164.match(telephone_number):
        raise Refused(f'"{telephone_number}" must be with + and country code, as +14155550132.')
    with opened() as hub:
        try:
            _, is_new = numbers.put(
                hub, tenant_id(hub, tenant), telephone_number, label=label, actor="command"
            )
        except numbers.Taken as err:
            raise Refused(str(err)) from None
    click.echo(f"{telephone_number} {'is added' if is_new else 'was there already'}.")


@number.command()
@click.argument("telephone_number", metavar="NUMBER")
@_TENANT
def remove(telephone_number: str, tenant: str | None) -> None:
    """Take no more calls to NUMBER for a tenant.

    \b
    Example:
      afterbeep tenant number remove +14155550100 --tenant harbor
    """
    from hub.cli.opening import opened, tenant_id
    from hub.voice import numbers

    with opened() as hub:
        if not numbers.remove(hub, tenant_id(hub, tenant), telephone_number, actor="command"):
            raise Refused(f"The tenant has no number {telephone_number}.")
    click.echo(f"{telephone_number} is removed.")


@number.command(name="list")
@_TENANT
@json_option
def list_command(tenant: str | None, *, as_json: bool) -> None:
    """List the telephone numbers of a tenant.

    \b
    Example:
      afterbeep tenant number list --tenant harbor
    """
    from hub.cli.opening import opened, tenant_id
    from hub.voice import numbers

    with opened() as hub:
        rows = [
            (row.number, row.label, row.created_at)
            for row in numbers.numbers(hub, tenant_id(hub, tenant))
        ]
    put_rows(("Number", "Label", "Created at"), rows, as_json=as_json)
