"""Tells whether a request or a socket really comes from Twilio.

The address that Twilio signed is built from the public address of the settings, never from what a proxy says. Several
auth tokens may be valid at once; requests signed with a shared key name it in a header of their own.
Source: https://www.twilio.com/docs/usage/security#validating-requests, twilio/request_validator.py 9.13.0 (2026-11-30)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)
from werkzeug.datastructures import Headers

from voice.settings import VoiceSettings


class Signatures:
    """The secrets of one Twilio account. Without any, nothing is believed."""

    def __init__(self, settings: VoiceSettings) -> None:
        """Take the secrets from the settings."""
        self._public_url = settings.public_url
        self._public_socket_url = settings.public_socket_url
        self._tokens = settings.auth_tokens
        self._shared = settings.signing_keys

    def is_webhook(self, target: str, form: Any, headers: Headers) -> bool:
        """Check a webhook; ``target`` is path and query, ``form`` a dictionary that may hold a name twice."""
        return self._is_signed(f"{self._public_url}{target}", form, headers)

    def is_socket(self, target: str, headers: Headers) -> bool:
        """Check the upgrade of a socket, which is signed without parameters for its ws or wss address."""
        # Source: https://github.com/twilio-labs/twilio-aspnet/issues/162 (2026-11-30)
        return self._is_signed(f"{self._public_socket_url}{target}", {}, headers)

    def _is_signed(self, url: str, form: Any, headers: Headers) -> bool:
        signature = headers.get(SIGNATURE_HEADER)
        if not signature or not signature.isascii():
            return False
        settings = headers.get(SIGNATURE_SETTINGS_HEADER, "")
        algorithm = get_signature_algorithm(settings).upper()
        return any(
            RequestValidator(secret).validate(url, form, signature, algorithm)
            for secret in self._secrets(settings, algorithm)
        )

    def _secrets(self, settings: str, algorithm: str) -> Iterable[str]:
        if algorithm == HMAC_SHA1:
            return self._tokens
        if algorithm != HMAC_SHA256:
            return ()
        parts = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        secret = self._shared.get(parts.get("key", ""))
        return (secret,) if secret else ()
