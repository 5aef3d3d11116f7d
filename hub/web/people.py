"""People of a company: who they are, what they may do, and who is invited."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError

from hub import log
from hub.alerts import mail
from hub.db import audit, invitations, members, people
from hub.db.invitations import CannotInvite, Open
from hub.db.members import NotAllowed
from hub.db.people import Person, Role, Viewer, WeakPassword
from hub.web import sign_in
from hub.web.display import Words
from hub.web.throttle import TooManyTries, counted
from hub.web.viewer import needs, public, the_hub, viewer

pages = Blueprint("people", __name__)
_log = log.get(__name__)
_ADDRESS_MAX: Final = 254


@pages.get("/settings/people")
@needs(Role.ADMIN)
def show() -> ResponseReturnValue:
    """List members and open invitations."""
    return _page()


def _page(email: str = "", role: str = Role.VIEWER.value, problem: str = "", link: str = "") -> str:
    with the_hub().tenant(viewer().tenant_id) as session:
        found = members.members(session)
        waiting = invitations.every_open(session)
        session.expunge_all()
    return render_template(
        "settings/people.html",
        members=found,
        invitations=waiting,
        roles=[one for one in Role if viewer().role.covers(one)],
        email=email,
        role=role,
        problem=problem,
        link=link,
        sends_mail=the_hub().settings.sends_mail,
    )


@pages.post("/settings/people/invite")
@needs(Role.ADMIN)
def invite() -> ResponseReturnValue:
    """Invite somebody; the link is mailed, or shown once where no mails are sent."""
    me, email = viewer(), people.plain_email(request.form.get("email", ""))
    role = _role(request.form.get("role", ""))
    if role is None or not me.role.covers(role):
        return _page(email, problem="Choose a role that you may give."), 422
    if not _is_address(email):
        return _page(email, role.value, "This is not an e-mail address."), 422
    try:
        with the_hub().tenant(me.tenant_id) as session:
            made = invitations.invite(session, email=email, role=role, by=me.actor)
            audit.record(
                session,
                actor=me.actor,
                action="person.invited",
                target=made.id,
                facts={"role": role.value},
            )
    except CannotInvite as err:
        return _page(email, role.value, str(err)), 422
    except IntegrityError:  # somebody else invited the same person in the same moment
        return _page(email, role.value, "Somebody has just invited this person."), 422
    link = f"{the_hub().settings.base_url}{url_for('.join', token=made.token)}"
    if _mailed(me, email, link):
        flash(f"{email} was sent a link that works for a week.")
        return redirect(url_for(".show"), 303)
    return _page(link=link)


def _is_address(text: str) -> bool:
    name, at, host = text.partition("@")
    return bool(name and at and "." in host) and len(text) <= _ADDRESS_MAX and " " not in text


def _role(text: str) -> Role | None:
    return Role(text) if text in set(Role) else None


def _mailed(me: Viewer, email: str, link: str) -> bool:
    """Mail the link; tells whether it went out."""
    settings = the_hub().settings
    if not settings.sends_mail:
        return False
    text = (
        f"{me.person_name or me.email} invites you to {me.tenant_name} on Afterbeep.\n\n"
        f"Follow this link to begin; it works once, for a week:\n{link}\n\n"
        "If you do not know what this is about, leave it: nothing happens."
    )
    subject = f"{me.tenant_name} on Afterbeep"
    try:
        mail.send(settings, mail.Mail(email, subject, text, key=link))
    except mail.NotMailed as err:
        _log.warning("invitation was not mailed", code=err.code)
        return False
    return True


@pages.post("/settings/people/invitations/<invitation_id>/revoke")
@needs(Role.ADMIN)
def revoke(invitation_id: str) -> ResponseReturnValue:
    """Take an invitation back."""
    me = viewer()
    with the_hub().tenant(me.tenant_id) as session:
        row = invitations.revoke(session, invitation_id)
        if row is None:
            abort(404)
        email = row.email
        audit.record(
            session, actor=me.actor, action="person.invitation_revoked", target=invitation_id
        )
    flash(f"The invitation of {email} opens nothing any more.")
    return redirect(url_for(".show"), 303)


@pages.post("/settings/people/<person_id>/role")
@needs(Role.ADMIN)
def set_role(person_id: str) -> ResponseReturnValue:
    """Give a member another role."""
    me, role = viewer(), _role(request.form.get("role", ""))
    try:
        with the_hub().tenant(me.tenant_id) as session:
            before = members.set_role(session, person_id, role, by=me.role)
            if before is None or role is None:
                abort(404)
            audit.record(
                session,
                actor=me.actor,
                action="person.role_changed",
                target=person_id,
                facts={"from": before.value, "to": role.value},
            )
    except NotAllowed as err:
        flash(str(err), "error")
    else:
        flash(f"Saved: {Words.role[role.value]} from now on.")
    return redirect(url_for(".show"), 303)


@pages.post("/settings/people/<person_id>/remove")
@needs(Role.ADMIN)
def remove(person_id: str) -> ResponseReturnValue:
    """Take a member out of the company; their sign-ins here end at once."""
    me = viewer()
    try:
        with the_hub().tenant(me.tenant_id) as session:
            before = members.remove(session, person_id, by=me.role)
            if before is None:
                abort(404)
            audit.record(
                session,
                actor=me.actor,
                action="person.removed",
                target=person_id,
                facts={"role": before.value},
            )
    except NotAllowed as err:
        flash(str(err), "error")
    else:
        flash("They are not a member any more, and are signed out of this company.")
    return redirect(url_for(".show"), 303)


@pages.get("/join/<token>")
@public
def join(token: str) -> ResponseReturnValue:
    """Show what an invitation's link leads to."""
    found = _open(token)
    if found is None:
        return render_template("settings/join_over.html"), 404
    return render_template("settings/join.html", found=found, token=token)


@pages.post("/join/<token>")
@public
def enter(token: str) -> ResponseReturnValue:
    """Become a member: with the password of one's account, or with a new one."""
    found = _open(token)
    if found is None:
        return render_template("settings/join_over.html"), 404
    password, name = request.form.get("password", ""), request.form.get("name", "").strip()
    try:
        with counted(the_hub(), email=found.email, address=request.remote_addr or "") as attempt:
            person_id = _person(found, name, password)
            if person_id:
                attempt.succeed()
    except TooManyTries as err:
        problem = f"Too many tries. Wait {err.wait_s} seconds, then try again."
        return _again(found, token, name, problem), 429
    except WeakPassword as err:
        return _again(found, token, name, str(err)), 422
    if person_id is None:
        return _again(found, token, name, "This is not the password of your account."), 401
    with the_hub().tenant(found.tenant_id) as session:
        if not invitations.accept(session, found.id, person_id):
            abort(404)
        audit.record(
            session,
            actor=f"person:{person_id}",
            action="person.joined",
            target=person_id,
            facts={"invitation": found.id, "role": found.role.value},
        )
    flash(f"Welcome to {found.tenant_name}.")
    return sign_in.start(person_id, found.tenant_id, sign_in.to_overview)


def _open(token: str) -> Open | None:
    with the_hub().everyone("a link tells which tenant invites") as session:
        return invitations.find(session, token)


def _again(found: Open, token: str, name: str, problem: str) -> str:
    return render_template(
        "settings/join.html", found=found, token=token, name=name, problem=problem
    )


def _person(found: Open, name: str, password: str) -> str | None:
    """Give who takes the invitation up: the account of its address, or one made now. Raises WeakPassword."""
    with the_hub().everyone("people are not of one tenant") as session:
        if found.has_account:
            known = people.check_password(session, email=found.email, password=password)
            return known.id if known else None
        made: Person = people.create_person(
            session,
            email=found.email,
            name=name or found.email.partition("@")[0],
            password=password,
        )
        return made.id
