"""Write the OpenAPI document: ``python -m hub.api > openapi.yaml``.

With ``--check openapi.yaml`` it says whether that file is current, and ends with 1 when it is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.api import document, new_app


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or check a file; gives the exit status."""
    parser = argparse.ArgumentParser(description="Write the OpenAPI document.")
    parser.add_argument("--check", type=Path, help="a file that must be current")
    chosen = parser.parse_args(arguments)
    text = document.as_yaml(new_app("hub.app"))
    if chosen.check is None:
        sys.stdout.write(text)
        return 0
    if chosen.check.is_file() and chosen.check.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{chosen.check} is not what the code says. Run: make openapi\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
