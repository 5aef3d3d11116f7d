"""Encrypts what voice keeps outside its memory: sessions in Redis, the outbox on disk.

AES-256-GCM. A sealed value names the key that sealed it, and is bound to where it is kept: moved elsewhere it does
not open. Keys come from ``AFTERBEEP_VOICE_KEYS`` (``name:base64`` of 32 bytes, newest first, separated by commas)
or from ``voice.key`` in the data folder, which is made once and which only its owner may read. To rotate, put a
new key in front; take the old one out when nothing is left that it sealed (:meth:`Seal.is_newest`).
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE = "voice.key"
SETTING = "AFTERBEEP_VOICE_KEYS"
_VERSION = 1
_KEY_BYTES, _NONCE_BYTES = 32, 12
_LONGEST_NAME = 64


class KeyProblem(ValueError):
    """The keys cannot be read; the message says where and what to do."""


class Unreadable(RuntimeError):
    """A sealed value cannot be opened: it was changed or moved, or its key is missing."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Keys by name; the first one seals, all of them open."""

    keys: Mapping[str, bytes]

    @property
    def newest(self) -> str:
        """The name of the key that seals."""
        return next(iter(self.keys))

    def seal(self, value: bytes, *, about: str) -> bytes:
        """Encrypt a value; ``about`` names where it is kept (``session:CA…``)."""
        name = self.newest.encode()
        head = bytes((_VERSION, len(name))) + name
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self.keys[self.newest])
        return head + nonce + cipher.encrypt(nonce, value, head + about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Decrypt a value; raises Unreadable when it was changed, is kept elsewhere, or its key is missing."""
        name = key_name(sealed)
        if name not in self.keys:
            raise Unreadable(
                f'{about} is sealed with the key "{name}", which {SETTING} does not hold. '
                "Add it at the end of the list."
            )
        start = 2 + len(name.encode())
        head, nonce = sealed[:start], sealed[start : start + _NONCE_BYTES]
        try:
            cipher = AESGCM(self.keys[name])
            return cipher.decrypt(nonce, sealed[start + _NONCE_BYTES :], head + about.encode())
        except (InvalidTag, ValueError) as err:
            raise Unreadable(f"{about} was changed or moved, or its key is another one.") from err

    def is_newest(self, sealed: bytes) -> bool:
        """Tell whether the newest key sealed a value; others should be sealed again before their key goes."""
        return key_name(sealed) == self.newest


def key_name(sealed: bytes) -> str:
    """Tell which key sealed a value."""
    if len(sealed) < 2 + _NONCE_BYTES or sealed[0] != _VERSION:
        raise Unreadable("This is not a sealed value.")
    try:
        return sealed[2 : 2 + sealed[1]].decode()
    except ValueError as err:
        raise Unreadable("This is not a sealed value.") from err


def read_keys(text: str | None, data_dir: Path) -> Seal:
    """Read the keys from the setting's text, or from the file in the data folder. Raises KeyProblem."""
    if text and text.strip():
        return Seal(_parsed(text, SETTING))
    file = data_dir / KEY_FILE
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            _create(file)
        kept = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or "it is not text"
        raise KeyProblem(
            f"The key {file} cannot be read or made ({reason}). Choose another folder with "
            f"AFTERBEEP_DATA_DIR, or give keys with {SETTING}."
        ) from err
    return Seal(_parsed(kept, str(file)))


def _create(file: Path) -> None:
    key = base64.b64encode(os.urandom(_KEY_BYTES)).decode()
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # 0600
    draft = Path(name)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(f"local:{key}\n")
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)  # of several processes that start at once, one makes the key
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _parsed(text: str, where: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
        name, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        is_name = 0 < len(name.encode()) <= _LONGEST_NAME and name not in keys
        if not is_name or len(key) != _KEY_BYTES:
            raise KeyProblem(
                f"{where}: each entry is a name of its own (up to {_LONGEST_NAME} bytes), a colon and the base64 of "
                f"{_KEY_BYTES} bytes. Make one with: afterbeep key new"
            )
        keys[name] = key
    if not keys:
        raise KeyProblem(f"{where} holds no key. Make one with: afterbeep key new")
    return keys
