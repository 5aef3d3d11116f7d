"""API keys: shown once, kept as a hash, limited to scopes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id, now
from hub.db.tenancy import TenantSession
from hub.db.tenants import Tenant

_PREFIX = "ab_live_"
#: A key's last use is written again after this time at the earliest, to save writes.
_USE_WRITTEN_EVERY = timedelta(minutes=1)


class Scope(StrEnum):
    """What an API key may do."""

    EVENTS_WRITE = "events:write"
    EVENTS_READ = "events:read"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"
    MAPPINGS_READ = "mappings:read"
    MAPPINGS_WRITE = "mappings:write"
    CONNECTIONS_READ = "connections:read"
    CONNECTIONS_WRITE = "connections:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    VOICE_READ = "voice:read"
    VOICE_WRITE = "voice:write"


class VoiceScope(StrEnum):
    """What only the voice front end may do; no API key has it."""

    CALLS = "voice:calls"


#: The voice front end, where an API key's id stands otherwise.
VOICE: Final = "voice"


class ApiKey(TenantOwned, Created, Base):
    """A key of an external system."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("apk"))
    name: Mapped[str]
    hint: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


def new_secret() -> str:
    """Make a secret of 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Hash a key's secret; a plain hash is enough because the secret has 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hint(secret: str) -> str:
    """Give the part of a secret by which a person recognises it."""
    return f"{secret[:12]}…{secret[-4:]}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; ``secret`` is shown to a person once and kept nowhere."""

    id: str
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who calls: the key, its tenant and what it may do."""

    key_id: str
    tenant_id: str
    scopes: frozenset[str]
    is_phi: bool

    @property
    def actor(self) -> str:
        """The key as the audit log names it."""
        return VOICE if self.key_id == VOICE else f"key:{self.key_id}"

    @property
    def counted_as(self) -> str:
        """Who pays for requests: a key, or for the voice front end each tenant by itself."""
        return f"{VOICE}:{self.tenant_id}" if self.key_id == VOICE else self.key_id


def for_voice(session: TenantSession, tenant_id: str) -> Holder | None:
    """Give the voice front end as it acts for a tenant, or None when there is no such tenant.

    Needs a session across tenants: nothing but the id says which it is.
    """
    is_phi = session.scalars(select(Tenant.is_phi).where(Tenant.id == tenant_id)).one_or_none()
    if is_phi is None:
        return None
    scopes = frozenset({Scope.EVENTS_WRITE.value, VoiceScope.CALLS.value})
    return Holder(VOICE, tenant_id, scopes, is_phi)


def create(session: TenantSession, *, name: str, scopes: Iterable[Scope]) -> NewKey:
    """Make a key of the session's tenant."""
    secret = new_secret()
    wanted = tuple(dict.fromkeys(scopes))
    row = ApiKey(
        name=name,
        hint=hint(secret),
        secret_hash=hash_secret(secret),
        scopes=[scope.value for scope in wanted],
    )
    session.add(row)
    session.flush()
    return NewKey(id=row.id, name=row.name, hint=row.hint, scopes=wanted, secret=secret)


def find(session: TenantSession, secret_hash: str) -> Holder | None:
    """Give who holds the secret with this hash, or None when there is no such key or it was revoked.

    Needs a session across tenants: it is the key that tells the tenant.
    """
    found = session.execute(
        select(ApiKey.id, ApiKey.tenant_id, ApiKey.scopes, Tenant.is_phi)
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .where(ApiKey.secret_hash == secret_hash, ApiKey.revoked_at.is_(None))
    ).one_or_none()
    if found is None:
        return None
    return Holder(found.id, found.tenant_id, frozenset(found.scopes), found.is_phi)


def note_use(session: TenantSession, key_id: str) -> None:
    """Write down that a key was used; does nothing when that was written less than a minute ago."""
    moment = now()
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(
                ApiKey.last_used_at.is_(None),
                ApiKey.last_used_at < moment - _USE_WRITTEN_EVERY,
            ),
        )
        .values(last_used_at=moment)
    )


def revoke(session: TenantSession, key_id: str) -> bool:
    """Revoke a key of the session's tenant; False when there is none or it was revoked before.

    Processes that remember the key let it in for a few seconds more (``hub.api.auth``).
    """
    revoked = session.scalars(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now())
        .returning(ApiKey.id)
    ).all()
    return bool(revoked)
