"""``afterbeep person``: people who sign in."""

from __future__ import annotations

import secrets
import sys

import click

from hub.cli.output import json_option, put_json, say
from hub.cli.problems import Refused

_ROLES = ("owner", "admin", "mapper", "operator", "viewer")


@click.group()
def person() -> None:
    """Create people who sign in, and set their passwords."""


@person.command()
@click.argument("email")
@click.option("--name", help="How they are called; the part before the @ when not given.")
@click.option("--tenant", help="The tenant's slug; may be left out when there is only one.")
@click.option("--role", type=click.Choice(_ROLES), default="owner", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
def create(
    email: str,
    name: str | None,
    tenant: str | None,
    role: str,
    *,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Let EMAIL sign in to a tenant; a known person gets the role beside those they have.

    Without --password-stdin a password is made up and shown once.

    \b
    Examples:
      afterbeep person create dana@afterbeep.example --tenant harbor
      afterbeep person create sam@afterbeep.example --role viewer --password-stdin < password.txt
    """
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError

    from hub.cli.opening import opened, tenant_id
    from hub.db import audit, people

    given = sys.stdin.readline().rstrip("\n") if password_stdin else None
    made = None
    try:
        with opened() as hub:
            chosen = tenant_id(hub, tenant)
            with hub.tenant(chosen) as session:
                known = session.scalars(
                    select(people.Person).where(people.Person.email == people.plain_email(email))
                ).one_or_none()
                if known is None:
                    made = given or secrets.token_urlsafe(12)
                    known = people.create_person(
                        session, email=email, name=name or email.partition("@")[0], password=made
                    )
                people.add_member(session, person_id=known.id, role=people.Role(role))
                person_id = known.id
                audit.record(
                    session,
                    actor="command",
                    action="person.added",
                    target=person_id,
                    facts={"role": role},
                )
    except people.WeakPassword as err:
        raise Refused(str(err)) from err
    except IntegrityError as err:
        raise Refused("This person is a member of the tenant already.") from err
    shown = made if given is None else None
    if as_json:
        put_json({"id": person_id, "tenant_id": chosen, "role": role, "password": shown})
        return
    click.echo(f"{email} is {role} ({person_id}).")
    if shown:
        click.echo(f"Password: {shown}")
        say("It is shown only now.")
