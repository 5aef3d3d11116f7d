"""The vendors in miniature: their processes, ports that stay the same, and the settings that point at them."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from connectors.record import KeyAuth
from connectors.registry import CONNECTORS, SANDBOXES, connector
from connectors.sandbox.oauth import CLIENT_ID, CLIENT_SECRET
from hub.processes import Program, answers, free_port
from hub.settings import PREFIX, SettingsProblem

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Vendor:
    """A sandbox: the connector that it is for, and where it listens."""

    name: str
    url: str
    folder: Path

    @property
    def label(self) -> str:
        """The vendor's name as it writes it."""
        return CONNECTORS[self.name][0]

    @property
    def way(self) -> str:
        """How an account is connected, in words."""
        return "by keys" if isinstance(connector(self.name).oauth, KeyAuth) else "by OAuth"

    @property
    def program(self) -> Program:
        """The process that serves it."""
        port = self.url.rpartition(":")[2]
        return Program.of(
            f"sandbox-{self.name}",
            *("sandbox", self.name, "--port", port, "--folder", str(self.folder)),
            is_ready=answers(f"{self.url}/_sandbox/stats.json"),
        )

    def statistics(self) -> dict[str, Any]:
        """Give what the sandbox counted: calls, records by object, writes, keys that were made twice."""
        answer = httpx.get(f"{self.url}/_sandbox/stats.json", timeout=_TIMEOUT_S, trust_env=False)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def vendors(folder: Path) -> list[Vendor]:
    """Give a vendor for each sandbox there is, on the ports of the last time.

    Links to records hold the port, so that a port that another program has taken since is a problem
    to be told. Raises SettingsProblem.
    """
    return [
        Vendor(name, f"http://127.0.0.1:{port_for(folder, name)}", folder) for name in SANDBOXES
    ]


def port_for(folder: Path, name: str) -> int:
    """Give the port of the last time, or a free one; raises SettingsProblem when another program has taken it."""
    file = folder / "ports.json"
    folder.mkdir(parents=True, exist_ok=True)
    ports: dict[str, int] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    if name in ports:
        _check_free(name, ports[name])
        return ports[name]
    ports[name] = free_port()
    file.write_text(json.dumps(ports), encoding="utf-8")
    return ports[name]


def variables(found: list[Vendor]) -> dict[str, str]:
    """Give the settings that let tenants connect to the sandboxes as they would to the vendors."""
    made = {f"{PREFIX}ALLOW_LOOPBACK_VENDORS": "1"}
    for vendor in found:
        start = f"{PREFIX}{vendor.name.upper()}"
        made |= {
            f"{start}_CLIENT_ID": CLIENT_ID,
            f"{start}_CLIENT_SECRET": CLIENT_SECRET,
            f"{start}_LOGIN_URL": vendor.url,
            f"{start}_APP_URL": vendor.url,
        }
    return made


def _check_free(name: str, port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as err:
        raise SettingsProblem(
            f"Port {port}, which the {name} sandbox had before, is in use by another program. "
            "Stop that one, or begin afresh with --fresh."
        ) from err
