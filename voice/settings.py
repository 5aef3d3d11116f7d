"""Settings of the voice service, read from the environment once; nothing else in ``voice`` reads ``os.environ``.

Every setting is ``AFTERBEEP_<NAME>``; ``AFTERBEEP_<NAME>_FILE`` may name a file that holds it. Lists are separated
by commas. Several Twilio auth tokens may be given while one replaces another.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "AFTERBEEP_"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: As in the hub: a Unix socket's path may have 107 bytes.
_SOCKET_PATH_LIMIT = 100
_TOKEN_FILE = "voice.token"  # noqa: S105 - the name of a file
_SECRET_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)


class SettingsProblem(Exception):
    """A setting is missing or wrong; the message says which, where and what to do."""


class _FileSource(PydanticBaseSettingsSource):
    """Reads ``AFTERBEEP_<NAME>_FILE``: the value is what the file holds."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class fixes the signature
        """Give the file's text for one field, or None when no file is named."""
        name = os.environ.get(f"{PREFIX}{field_name.upper()}_FILE")
        if not name:
            return None, field_name, False
        return Path(name).read_text(encoding="utf-8").strip(), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give all values that come from files; raises SettingsProblem that names every file that cannot be read."""
        found, wrong = {}, []
        for name, field in self.settings_cls.model_fields.items():
            try:
                value, _, _ = self.get_field_value(field, name)
            except (OSError, UnicodeDecodeError) as err:
                reason = getattr(err, "strerror", None) or "cannot be read as text"
                variable = f"{PREFIX}{name.upper()}_FILE"
                wrong.append(f"{variable} names {os.environ[variable]}: {reason}.")
                continue
            if value is not None:
                found[name] = value
        if wrong:
            raise SettingsProblem(" ".join(wrong))
        return found


class VoiceSettings(BaseSettings):
    """All settings of the voice service."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Field(Path("var"), description="Where the outbox and the sealing key are kept")
    voice_host: str = Field(
        "127.0.0.1", description="The address that the voice service listens on"
    )
    voice_port: int = Field(
        8090, ge=0, le=65_535, description="The port that it listens on; 0: any that is free"
    )
    voice_public_url: str | None = Field(
        None, description="The https address that Twilio reaches the voice service at"
    )
    hub_url: str = Field("http://127.0.0.1:8080", description="Where the hub answers")
    hub_public_url: str | None = Field(
        None, description="Where people reach the hub; AFTERBEEP_HUB_URL when it is not set"
    )
    voice_token: SecretStr | None = Field(
        None,
        description="What the voice service shows to the hub, the same value as the hub has; on one machine the hub "
        "puts it into the data folder",
    )
    voice_keys: SecretStr | None = Field(
        None,
        description="Keys that seal calls in Redis and on disk, newest first: name:base64 of 32 bytes, separated "
        "by commas; a file in the data folder is made when it is not set",
    )
    redis_url: SecretStr | None = Field(
        None, description="A Redis URL; without it the embedded Redis of the data folder is used"
    )
    voice_drain_s: float = Field(
        60.0, ge=0, description="How long calls may go on after the service was asked to stop"
    )
    twilio_account_sid: str | None = Field(None, description="The Twilio account, AC…")
    twilio_auth_tokens: SecretStr | None = Field(
        None, description="The account's auth tokens, the current one first"
    )
    twilio_signing_keys: SecretStr | None = Field(
        None, description="Shared keys of SHA-256 signatures: id:secret, separated by commas"
    )
    twilio_base_url: str = Field(
        "https://api.twilio.com", description="Where Twilio's REST API answers"
    )
    anthropic_api_key: SecretStr | None = Field(None, description="A key of Anthropic's API")
    anthropic_base_url: str = Field(
        "https://api.anthropic.com", description="Where Anthropic's API answers"
    )
    anthropic_model: str = Field("claude-haiku-5-5", description="The model that talks")
    anthropic_analysis_model: str = Field(
        "claude-haiku-5-5", description="The model that reads transcripts"
    )
    anthropic_connect_s: float = Field(
        2.0, gt=0, description="How long connecting to Anthropic may take"
    )
    anthropic_answer_s: float = Field(
        20.0, gt=0, description="How long an analysis by Anthropic may take"
    )
    openai_api_key: SecretStr | None = Field(None, description="A key of OpenAI's API")
    openai_base_url: str = Field(
        "wss://api.openai.com", description="Where OpenAI's Realtime API answers"
    )
    openai_model: str = Field("gpt-realtime", description="The model of the line openai")
    openai_connect_s: float = Field(3.0, gt=0, description="How long connecting to OpenAI may take")
    elevenlabs_api_key: SecretStr | None = Field(None, description="A key of ElevenLabs' API")
    elevenlabs_base_url: str = Field(
        "https://api.elevenlabs.io", description="Where ElevenLabs' API answers"
    )
    elevenlabs_agent_id: str | None = Field(
        None, description="The agent of tenants that name none of their own"
    )
    elevenlabs_connect_s: float = Field(
        3.0, gt=0, description="How long connecting to ElevenLabs may take"
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="What a scraper of /metrics must send; without it only this machine may ask",
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class fixes the signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class fixes the signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what is passed, then the environment, then the named files."""
        return init_settings, env_settings, _FileSource(settings_cls)

    @field_validator("voice_public_url", mode="after")
    @classmethod
    def _is_public(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or (parts.scheme != "https" and not is_near):
            raise ValueError("must be an https address, such as https://voice.example.com")
        if parts.query or parts.fragment:
            raise ValueError("must be an address without ? and #")
        return value.rstrip("/")

    @field_validator("hub_url", "twilio_base_url", "anthropic_base_url", "elevenlabs_base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address with its scheme, such as https://hub.example.com")
        return value.rstrip("/")

    @field_validator("openai_base_url")
    @classmethod
    def _is_socket(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"ws", "wss", "http", "https"} or not parts.hostname:
            raise ValueError("must be an address with its scheme, such as wss://api.openai.com")
        return re.sub(r"^http", "ws", value.rstrip("/"))

    @field_validator("twilio_account_sid")
    @classmethod
    def _is_account(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"AC[0-9a-fA-F]{32}", value):
            raise ValueError("must be AC and 32 hexadecimal digits")
        return value

    @field_validator("twilio_auth_tokens", mode="after")
    @classmethod
    def _are_tokens(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value and not _split(value):
            raise ValueError("holds no token")
        if value and not info.data.get("twilio_account_sid"):
            raise ValueError("needs AFTERBEEP_TWILIO_ACCOUNT_SID beside it")
        return value

    @field_validator("twilio_signing_keys", mode="after")
    @classmethod
    def _are_signing_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for one in _split(value):
            name, colon, secret = one.partition(":")
            if not (colon and secret and _SECRET_NAME.fullmatch(name)):
                raise ValueError("must be id:secret, separated by commas")
        return value

    @property
    def public_url(self) -> str:
        """The address that Twilio's webhooks are signed for, without a slash at the end."""
        host = f"[{self.voice_host}]" if ":" in self.voice_host else self.voice_host
        return self.voice_public_url or f"http://{host}:{self.voice_port}"

    @property
    def public_socket_url(self) -> str:
        """The same with ws or wss."""
        return re.sub(r"^http", "ws", self.public_url)

    @property
    def redis_address(self) -> str:
        """Where Redis is: what is set, else the socket of the Redis that an installation on one machine starts."""
        if self.redis_url:
            return self.redis_url.get_secret_value()
        near = (self.data_dir / "redis.sock").absolute()
        if len(str(near)) <= _SOCKET_PATH_LIMIT:
            return f"unix://{near}"
        digest = hashlib.sha256(str(near).encode()).hexdigest()[:16]
        return f"unix://{Path(tempfile.gettempdir()) / f'afterbeep-{digest}.sock'}"

    def hub_token(self) -> str | None:
        """Give what the hub is shown: what is set, else what a hub on this machine has put into the data folder."""
        if self.voice_token:
            return self.voice_token.get_secret_value()
        try:
            return (self.data_dir / _TOKEN_FILE).read_text(encoding="ascii").strip() or None
        except (OSError, ValueError):
            return None

    @property
    def auth_tokens(self) -> tuple[str, ...]:
        """The Twilio auth tokens, the one for REST first."""
        return _split(self.twilio_auth_tokens)

    @property
    def signing_keys(self) -> Mapping[str, str]:
        """Secrets of SHA-256 signatures by the shared key's id."""
        pairs = (one.partition(":") for one in _split(self.twilio_signing_keys))
        return {name: secret for name, _, secret in pairs}


def _split(value: SecretStr | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(one.strip() for one in value.get_secret_value().split(",") if one.strip())


def load(**overrides: Any) -> VoiceSettings:
    """Read all settings; raises SettingsProblem that names every wrong one."""
    try:
        return VoiceSettings(**overrides)
    except ValidationError as err:
        wrong = [
            _sentence(problem) for problem in err.errors(include_input=False, include_url=False)
        ]
        raise SettingsProblem(" ".join(wrong)) from None


def _sentence(problem: Any) -> str:
    name = "_".join(str(part) for part in problem["loc"]).upper()
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name} {said[:1].lower()}{said[1:]}."
