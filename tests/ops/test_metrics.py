"""What the README of the metrics says, the code declares, and /metrics gives."""

from __future__ import annotations

import re
from pathlib import Path

from hub.metrics.gauges import GAUGES
from hub.tally.families import COUNTERS, HISTOGRAMS

_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)


def test_the_readme_has_every_metric_as_it_is_declared(root: Path) -> None:
    """Name, type, labels and meaning of each; none that is not there."""
    declared = {
        *((f"{one.name}_total", "counter", one.labels, one.words) for one in COUNTERS),
        *((one.name, "histogram", one.labels, one.words) for one in HISTOGRAMS),
        *((one.name, "gauge", one.labels, one.words) for one in GAUGES),
    }

    text = (root / "hub" / "metrics" / "README.md").read_text()
    written = {
        (name, kind, tuple(re.findall(r"\w+", labels.replace("–", ""))), words.strip())
        for name, kind, labels, words in _ROW.findall(text)
    }

    assert written == declared
