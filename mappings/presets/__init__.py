"""Presets: mappings that ship with the product, one file each, listed in ``<vendor>/index.yaml``.

A preset uses only standard fields of the vendor, so that it passes its checks in every account. It is a
starting point: a tenant's copy is theirs to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from mappings.document import load

VERTICALS: Final = {
    "healthcare": "Healthcare",
    "home_services": "Home services",
    "it_helpdesk": "IT help desk",
    "real_estate": "Real estate",
    "sales": "Sales",
    "salon_hospitality": "Salon and hospitality",
}
_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Preset:
    """A mapping to start from; ``text`` is its YAML, ``verticals`` the trades that it suits."""

    name: str
    title: str
    description: str
    verticals: tuple[str, ...]
    text: str


@cache
def presets(connector: str) -> tuple[Preset, ...]:
    """List a connector's presets, the general ones first; empty when it has none."""
    folder = _FOLDER / connector
    if not connector.isidentifier() or not (folder / "index.yaml").is_file():
        return ()
    return tuple(
        Preset(
            name=name,
            title=about["title"],
            description=about["description"],
            verticals=tuple(about["verticals"]),
            text=(folder / f"{name}.yaml").read_text("utf-8"),
        )
        for name, about in load((folder / "index.yaml").read_text("utf-8")).items()
    )
