"""Encryption at rest: one data key per tenant, wrapped by a master key that the operator holds.

::

    master key (settings) ──wraps──▶ data key n of a tenant ──encrypts──▶ tokens, caller data

A sealed value is ``version (1 byte) · data key number (4) · nonce (12) · AES-256-GCM ciphertext``. The
tenant, the table's column and the row's id are authenticated with it, so that a value cannot be moved to
another row. Rotation makes a new data key; :mod:`hub.db.rotation` seals old values again. Fingerprints are
keyed hashes for look-ups of personal values that are never stored in clear.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from hub.db.base import Base, Created, TenantOwned, new_id
from hub.db.tenancy import TenantSession, for_tenant
from hub.settings import Settings, SettingsProblem

_VERSION = b"\x01"
_KEY_BYTES = 32
#: A process goes on with the newest key that it knows for so long before it looks for a newer one.
REMEMBERS_S = 15.0


class Unreadable(RuntimeError):
    """A sealed value cannot be opened: it was changed, moved, or its master key is missing."""


class KeyMissing(Unreadable):
    """The master key is not at hand: an operator's matter, which concerns all values of a tenant alike."""


class DataKey(TenantOwned, Created, Base):
    """A tenant's data key, wrapped by the master key named in ``master``."""

    __tablename__ = "data_keys"
    __table_args__ = (UniqueConstraint("tenant_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("key"))
    number: Mapped[int]
    master: Mapped[str]
    wrapped: Mapped[bytes]
    retired_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The operator's keys by name; the first one wraps new data keys."""

    keys: dict[str, bytes]

    @property
    def newest(self) -> str:
        """The name of the key that wraps."""
        return next(iter(self.keys))

    def wrap(self, data_key: bytes, *, tenant_id: str) -> tuple[str, bytes]:
        """Encrypt a data key; gives the master key's name and the wrapped key."""
        nonce = os.urandom(12)
        sealed = AESGCM(self.keys[self.newest]).encrypt(nonce, data_key, tenant_id.encode())
        return self.newest, nonce + sealed

    def unwrap(self, name: str, wrapped: bytes, *, tenant_id: str) -> bytes:
        """Decrypt a data key; raises Unreadable when its master key is not at hand."""
        if name not in self.keys:
            raise KeyMissing(
                f'Data is encrypted under the master key "{name}", which AFTERBEEP_MASTER_KEYS does not '
                "hold. Add it at the end of the list."
            )
        try:
            return AESGCM(self.keys[name]).decrypt(wrapped[:12], wrapped[12:], tenant_id.encode())
        except InvalidTag as err:
            raise KeyMissing(f'The master key "{name}" is not the one that was used.') from err


def read_master_keys(settings: Settings) -> MasterKeys:
    """Read the master keys from the settings, or from a file in the data folder that is made once."""
    if settings.master_keys:
        return _parse(settings.master_keys.get_secret_value(), "AFTERBEEP_MASTER_KEYS")
    file = settings.data_dir / "master.key"
    if not file.exists():
        _create(file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as err:
        raise SettingsProblem(f"The master key {file} cannot be read.") from err
    return _parse(text, str(file))


def _create(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_new(file)
    except OSError as err:
        raise SettingsProblem(
            f"The master key {file} cannot be written ({err.strerror}). Choose another folder with "
            "AFTERBEEP_DATA_DIR, or give keys with AFTERBEEP_MASTER_KEYS."
        ) from err


def _write_new(file: Path) -> None:
    key = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # only its owner may read it
    draft = Path(name)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(f"local:{key}\n")
    try:
        os.link(draft, file)  # of several processes that start at once, one makes the key
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _parse(text: str, where: str) -> MasterKeys:
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
        name, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not name or len(key) != _KEY_BYTES:
            raise SettingsProblem(
                f"{where}: each entry is a name, a colon and the base64 of {_KEY_BYTES} bytes. "
                "Make one with: afterbeep key new"
            )
        keys[name] = key
    if not keys:
        raise SettingsProblem(f"{where} holds no key. Make one with: afterbeep key new")
    return MasterKeys(keys)


class Vault:
    """Seals and opens values of tenants; data keys are kept in memory once unwrapped."""

    def __init__(self, engine: Engine, masters: MasterKeys) -> None:
        """Use ``engine`` to find data keys and ``masters`` to unwrap them."""
        self._engine = engine
        self._masters = masters
        self._lock = threading.Lock()
        self._keys: dict[tuple[str, int], AESGCM] = {}
        self._raw: dict[tuple[str, int], bytes] = {}
        self._newest: dict[str, tuple[int, float]] = {}

    def check(self, tenant_id: str) -> None:
        """Raise KeyMissing when values of this tenant can be neither sealed nor opened."""
        self.newest(tenant_id)

    def newest(self, tenant_id: str) -> int:
        """Give the number of the data key that values are sealed with; one that was made elsewhere counts soon."""
        number, until = self._newest.get(tenant_id, (0, 0.0))
        return number if time.monotonic() < until else self._load(tenant_id)

    def seal(self, tenant_id: str, value: bytes, *, about: str) -> bytes:
        """Encrypt a value; ``about`` names where it is kept (``events.body:evt_…``)."""
        number = self.newest(tenant_id)
        nonce = os.urandom(12)
        sealed = self._keys[tenant_id, number].encrypt(nonce, value, _bound(tenant_id, about))
        return _VERSION + number.to_bytes(4) + nonce + sealed

    def open(self, tenant_id: str, sealed: bytes, *, about: str) -> bytes:
        """Decrypt a value; raises Unreadable when it was changed or kept elsewhere."""
        number = key_number(sealed)
        cipher = self._keys.get((tenant_id, number))
        if cipher is None:
            self._load(tenant_id)
            cipher = self._keys.get((tenant_id, number))
        if cipher is None:
            raise Unreadable(f"Data key {number} of tenant {tenant_id} does not exist.")
        try:
            return cipher.decrypt(sealed[5:17], sealed[17:], _bound(tenant_id, about))
        except InvalidTag as err:
            raise Unreadable(f"{about} was changed or moved.") from err

    def seal_text(self, tenant_id: str, value: str, *, about: str) -> bytes:
        """Encrypt a string."""
        return self.seal(tenant_id, value.encode(), about=about)

    def open_text(self, tenant_id: str, sealed: bytes, *, about: str) -> str:
        """Decrypt a string."""
        return self.open(tenant_id, sealed, about=about).decode()

    def fingerprint(self, tenant_id: str, value: str) -> str:
        """Give a keyed hash of a personal value, equal for equal values of one tenant.

        It is made with the tenant's first data key, which is kept for this, so that it outlives rotations.
        """
        if (tenant_id, 1) not in self._raw:
            self._load(tenant_id)
        digest = hmac.new(self._raw[tenant_id, 1], b"fingerprint:" + value.encode(), hashlib.sha256)
        return digest.hexdigest()[:40]

    def forget(self, tenant_id: str) -> None:
        """Drop what is remembered of a tenant's keys, after a rotation."""
        with self._lock:
            self._newest.pop(tenant_id, None)

    def rotate(self, tenant_id: str) -> int:
        """Make a new data key for a tenant; gives its number."""
        with for_tenant(self._engine, tenant_id) as session:
            number = max(session.scalars(select(DataKey.number)).all(), default=0) + 1
            self._add(session, tenant_id, number)
        self.forget(tenant_id)
        return number

    def rewrap(self, tenant_id: str) -> int:
        """Wrap the tenant's data keys with the newest master key; gives how many changed."""
        changed = 0
        with for_tenant(self._engine, tenant_id) as session:
            for row in session.scalars(select(DataKey)):
                if row.master == self._masters.newest:
                    continue
                raw = self._masters.unwrap(row.master, row.wrapped, tenant_id=tenant_id)
                row.master, row.wrapped = self._masters.wrap(raw, tenant_id=tenant_id)
                changed += 1
        return changed

    def _load(self, tenant_id: str) -> int:
        with self._lock:
            with for_tenant(self._engine, tenant_id) as session:
                rows = session.scalars(select(DataKey).order_by(DataKey.number)).all()
            if not rows:
                self._add_first(tenant_id)
                with for_tenant(self._engine, tenant_id) as session:
                    rows = session.scalars(select(DataKey).order_by(DataKey.number)).all()
            for row in rows:
                raw = self._masters.unwrap(row.master, row.wrapped, tenant_id=tenant_id)
                self._raw[tenant_id, row.number] = raw
                self._keys[tenant_id, row.number] = AESGCM(raw)
            self._newest[tenant_id] = (rows[-1].number, time.monotonic() + REMEMBERS_S)
            return rows[-1].number

    def _add_first(self, tenant_id: str) -> None:
        try:
            with for_tenant(self._engine, tenant_id) as session:
                self._add(session, tenant_id, 1)
        except IntegrityError:
            return  # another process was quicker; its key is as good

    def _add(self, session: TenantSession, tenant_id: str, number: int) -> None:
        master, wrapped = self._masters.wrap(os.urandom(_KEY_BYTES), tenant_id=tenant_id)
        session.add(DataKey(number=number, master=master, wrapped=wrapped))


def key_number(sealed: bytes) -> int:
    """Tell which data key sealed a value."""
    if sealed[:1] != _VERSION:
        raise Unreadable("This is not a sealed value.")
    return int.from_bytes(sealed[1:5])


def _bound(tenant_id: str, about: str) -> bytes:
    return f"{tenant_id}|{about}".encode()
