"""The dashboard and the alert rules name metrics and labels that there are, in expressions that can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.metrics.gauges import GAUGES
from hub.tally.families import COUNTERS, HISTOGRAMS
from tests.ops.promql import Unreadable, check


@pytest.fixture
def dashboard(root: Path) -> dict[str, Any]:
    """The dashboard as it is imported."""
    return json.loads((root / "ops" / "grafana" / "afterbeep.json").read_text())


@pytest.fixture
def rules(root: Path) -> list[dict[str, Any]]:
    """All alert rules."""
    document = yaml.safe_load((root / "ops" / "prometheus" / "alerts.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions(dashboard: dict[str, Any]) -> Iterator[str]:
    """Give the expressions of all panels."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def test_every_metric_is_on_the_dashboard_and_is_there(dashboard: dict[str, Any]) -> None:
    """No panel names what is not measured, and nothing is measured that no panel shows."""
    shown = set().union(*(check(one) for one in expressions(dashboard)))

    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    declared = {f"afterbeep_{one.name}" for one in (*COUNTERS, *HISTOGRAMS, *GAUGES)}
    assert families == declared


def test_the_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    """It has what Grafana asks for: ids and places that do not collide, known panels, its variables."""
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(dashboard)))

    assert dashboard["schemaVersion"] >= 36
    assert len(set(ids)) == len(ids)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert {panel["type"] for panel in panels} <= {"row", "timeseries", "stat", "table"}
    assert all(panel["title"] for panel in panels)
    assert used == variables == {"datasource", "connector", "connection"}


def test_the_alert_rules_are_rules(rules: list[dict[str, Any]]) -> None:
    """Each has an expression that can be read, a severity that somebody answers, and a sentence."""
    names = [rule["alert"] for rule in rules]

    assert len(set(names)) == len(names)
    assert all(check(rule["expr"]) for rule in rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in rules)


@pytest.mark.parametrize(
    "wrong",
    [
        "afterbeep_nothing_total",
        'afterbeep_deliveries{colour="red"}',
        "sum by (colour) (afterbeep_deliveries)",
        "sum(afterbeep_deliveries",
        "frobnicate(afterbeep_deliveries)",
        "afterbeep_deliveries /",
        "rate(afterbeep_events_total[5 minutes])",
    ],
)
def test_a_wrong_expression_is_seen(wrong: str) -> None:
    """The check can fail."""
    with pytest.raises(Unreadable):
        check(wrong)
