"""Settings, read from the environment once; nothing else reads ``os.environ``.

Every setting is ``AFTERBEEP_<NAME>``. Where a setting is a secret, ``AFTERBEEP_<NAME>_FILE`` may name a
file that holds it. Each connector has settings of its own, ``AFTERBEEP_<CONNECTOR>_CLIENT_ID``,
``_CLIENT_SECRET``, ``_LOGIN_URL`` and ``_APP_URL``.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "AFTERBEEP_"
#: The voice token opens all tenants, so it has to be a good one; no bearer may be longer than that.
_LEAST_TOKEN, _LONGEST_TOKEN = 32, 200


class SettingsProblem(Exception):
    """A setting is missing or wrong; the message says which, where and what to do."""


class _FileSource(PydanticBaseSettingsSource):
    """Reads ``AFTERBEEP_<NAME>_FILE``: the value is what the file holds."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base class fixes the signature
        """Give the file's text for one field, or None when no file is named."""
        variable = f"{PREFIX}{field_name.upper()}_FILE"
        name = os.environ.get(variable)
        if not name:
            return None, field_name, False
        try:
            return Path(name).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as err:
            reason = err.strerror or "cannot be read"
            raise SettingsProblem(f"{variable} names {name}: {reason}.") from err

    def __call__(self) -> dict[str, Any]:
        """Give all values that come from files."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, name)
            if value is not None:
                found[name] = value
        return found


class Settings(BaseSettings):
    """All settings of hub, workers and commands."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Field(Path("var"), description="Where embedded servers and keys are kept")
    database_url: SecretStr | None = Field(
        None, description="A PostgreSQL URL; an embedded server is started when it is not set"
    )
    redis_url: SecretStr | None = Field(
        None, description="A Redis URL; an embedded server is started when it is not set"
    )
    host: str = Field("127.0.0.1", description="The address that the hub listens on")
    port: int = Field(8080, ge=1, le=65_535, description="The port that the hub listens on")
    public_url: str | None = Field(
        None, description="The address that browsers and vendors reach the hub at"
    )
    master_keys: SecretStr | None = Field(
        None,
        description="Keys that wrap the tenants' keys, newest first: name:base64 of 32 bytes, separated "
        "by commas; a file in the data folder is made when it is not set",
    )
    allow_loopback_vendors: bool = Field(
        default=False, description="Let connections point at sandboxes on this machine"
    )
    hub_processes: int = Field(2, ge=1, le=64, description="Processes that answer HTTP")
    hub_threads: int = Field(8, ge=1, le=64, description="Threads in each of them")
    worker_processes: int = Field(2, ge=1, le=64, description="Processes that deliver")
    worker_max_jobs: int = Field(
        20_000, ge=0, description="Jobs after which a worker ends, to be started again; 0: never"
    )
    worker_max_mib: int = Field(
        1_024,
        ge=0,
        description="Memory in MiB above which a worker ends, to be started again; 0: never",
    )
    events_per_minute: int = Field(
        60_000, ge=1, description="Events that one API key may post in a minute"
    )
    requests_per_minute: int = Field(
        1_200, ge=1, description="Other API requests that one key may make in a minute"
    )
    sign_ins_per_minute: int = Field(
        10, ge=1, description="Failed sign-ins from one address, or to one account, in a minute"
    )
    session_hours: int = Field(12, ge=1, description="How long a sign-in lasts without use")
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Reverse proxies in front of the hub whose X-Forwarded headers are believed",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="A mail server for alerts, smtp://user:secret@host:587 or smtps://…; without it no mails are sent",
    )
    mail_from: str | None = Field(
        None, description="The address that mails come from", validate_default=True
    )
    oidc_issuer: str | None = Field(
        None, description="The OpenID provider by which people may sign in, as it names itself"
    )
    oidc_client_id: str | None = Field(
        None, description="What the provider calls this installation", validate_default=True
    )
    oidc_client_secret: SecretStr | None = Field(
        None, description="The secret that the provider gave for it", validate_default=True
    )
    oidc_name: str = Field(
        "your company's account", max_length=60, description="What the sign-in page calls it"
    )
    oidc_hosts: str = Field(
        "", description="Other hosts of the provider that may be asked, separated by commas"
    )
    metrics_token: SecretStr | None = Field(
        None,
        description="What a scraper of /metrics must send; without it only this machine may ask",
    )
    voice_token: SecretStr | None = Field(
        None,
        description="What the voice front end sends to act for tenants, at least 32 characters; where the embedded "
        "servers are used a file in the data folder is made when it is not set",
    )
    metrics_connections: int = Field(
        200, ge=0, description="How many connections have figures of their own in /metrics"
    )
    metrics_tenants: bool = Field(
        default=False, description="Name the tenants of these connections in /metrics"
    )
    voice_host: str = Field(
        "127.0.0.1", description="The address that the voice service listens on"
    )
    voice_port: int = Field(
        8090, ge=1, le=65_535, description="The port that the voice service listens on"
    )
    voice_public_url: str | None = Field(
        None,
        description="The address that the telephone company, and browsers of the call page, reach the voice service at",
    )
    run_voice: bool = Field(
        default=False, description="Let `up` run the voice service beside the hub"
    )
    lease_s: float = Field(
        60.0,
        gt=0,
        description="How long rows of a worker that died are left alone where the vendor could write "
        "them twice; longer than any call may take",
    )
    sweep_s: float = Field(1.0, gt=0, description="How often waiting work is looked for")
    account_share: float = Field(
        0.9, gt=0, le=1, description="The part of an account's limits that we use by default"
    )
    urgent_reserve: float = Field(
        0.1, ge=0, lt=1, description="The part of our share that only urgent rows may use"
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

    @field_validator("database_url", mode="after")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must be a PostgreSQL URL, such as postgresql://user:secret@host/name")
        return value

    @field_validator("voice_token", mode="after")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not _LEAST_TOKEN <= len(value.get_secret_value()) <= _LONGEST_TOKEN:
            raise ValueError(f"must have {_LEAST_TOKEN} to {_LONGEST_TOKEN} characters")
        return value

    @field_validator("voice_public_url", mode="after")
    @classmethod
    def _is_voice_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value) if value else None
        if parts and (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or not re.fullmatch(r"[\w.:\[\]-]+", parts.netloc, re.ASCII)
        ):
            raise ValueError(
                "must be an address with its scheme, such as https://voice.example.com"
            )
        return value.rstrip("/") if value else None

    @field_validator("public_url", mode="after")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value) if value else None
        if parts and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("must be an address with its scheme, such as https://hub.example.com")
        return value

    @field_validator("oidc_issuer", mode="after")
    @classmethod
    def _is_issuer(cls, value: str | None) -> str | None:
        parts = urlsplit(value) if value else None
        if parts and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query):
            raise ValueError("must be the provider's address, such as https://login.example.com")
        return value

    @field_validator("oidc_client_id", "oidc_client_secret", mode="after")
    @classmethod
    def _is_registered(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("oidc_issuer") and not value:
            raise ValueError("must be set where AFTERBEEP_OIDC_ISSUER is")
        return value

    @field_validator("smtp_url", mode="after")
    @classmethod
    def _is_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname):
            raise ValueError(
                "must be a mail server, such as smtp://user:secret@mail.example.com:587"
            )
        return value

    @field_validator("mail_from", mode="after")
    @classmethod
    def _is_sender(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("smtp_url") and not value:
            raise ValueError("must be set where AFTERBEEP_SMTP_URL is")
        if value and not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            raise ValueError("must be a mail address, such as alerts@hub.example.com")
        return value

    @property
    def sends_mail(self) -> bool:
        """Whether alerts can be mailed."""
        return self.smtp_url is not None and self.mail_from is not None

    @property
    def base_url(self) -> str:
        """The hub's address for links and callbacks, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def voice_url(self) -> str | None:
        """The voice service's address for browsers; None where nothing says that there is one."""
        if self.voice_public_url or not self.run_voice:
            return self.voice_public_url
        host = f"[{self.voice_host}]" if ":" in self.voice_host else self.voice_host
        return f"http://{host}:{self.voice_port}"


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """What the operator registered at one vendor. Each is None or empty when it is not set."""

    client_id: str | None
    client_secret: str | None = dataclasses.field(repr=False)
    login_url: str | None
    app_url: str | None

    @property
    def is_complete(self) -> bool:
        """Whether tenants can connect."""
        return bool(self.client_id and self.client_secret)


def vendor_settings(connector: str, env: Mapping[str, str] | None = None) -> VendorSettings:
    """Read one connector's settings; a ``_FILE`` variable names a file that holds the value."""
    source = os.environ if env is None else env

    def read(name: str) -> str | None:
        variable = f"{PREFIX}{connector.upper()}_{name}"
        if file := source.get(f"{variable}_FILE"):
            try:
                return Path(file).read_text(encoding="utf-8").strip()
            except OSError as err:
                reason = err.strerror or "cannot be read"
                raise SettingsProblem(f"{variable}_FILE names {file}: {reason}.") from err
        return source.get(variable) or None

    return VendorSettings(
        client_id=read("CLIENT_ID"),
        client_secret=read("CLIENT_SECRET"),
        login_url=read("LOGIN_URL"),
        app_url=read("APP_URL"),
    )


def load(**overrides: Any) -> Settings:
    """Read all settings; raises SettingsProblem that names every wrong one."""
    try:
        return Settings(**overrides)
    except ValidationError as err:
        wrong = [
            f"{PREFIX}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in err.errors(include_input=False, include_url=False)
        ]
        raise SettingsProblem("; ".join(wrong) + ".") from None


def bare_environment() -> dict[str, str]:
    """Give what a program of ours needs to run that is told no setting and no secret."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


def export(values: Mapping[str, str]) -> None:
    """Set variables for the rest of this process and for those it starts.

    Only commands that start other processes do this, before anything has read the settings.
    """
    os.environ.update(values)


@cache
def settings() -> Settings:
    """Give the process's settings."""
    return load()
