"""The hub behind a real port, a company with a busy morning, and Chromium to look at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from sqlalchemy import select

from hub.context import Hub
from hub.db import mappings
from hub.db.mappings import MappingVersion
from tests.browser.seeding import Seeded, seed
from tests.browser.serving import Site, serving
from tests.connectors import running
from tests.connectors.running import Sandbox

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture(scope="session")
def site(hub: Hub) -> Iterator[Site]:
    """The hub on a port of its own, which its own links and callbacks name."""
    with serving(hub) as found:
        yield found


@pytest.fixture(scope="session")
def salesforce_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A Salesforce in miniature."""
    with running.sandbox("salesforce", tmp_path_factory.mktemp("salesforce")) as box:
        yield box


@pytest.fixture(scope="session")
def hubspot_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A HubSpot in miniature."""
    with running.sandbox("hubspot", tmp_path_factory.mktemp("hubspot")) as box:
        yield box


@pytest.fixture(scope="session")
def seeded(site: Site, salesforce_box: Sandbox, hubspot_box: Sandbox) -> Seeded:
    """The company with its morning behind it."""
    return seed(site.hub, salesforce_box, hubspot_box)


@pytest.fixture
def mapping_as_it_was(seeded: Seeded) -> Iterator[None]:
    """What a test made of the mapping for new leads is undone by a further version, so that tests have no order."""
    yield
    with seeded.salesforce.hub.tenant(seeded.company.tenant_id) as session:
        versions = session.scalars(
            select(MappingVersion)
            .where(MappingVersion.mapping_id == seeded.mapping_id)
            .order_by(MappingVersion.number)
        ).all()
        if versions[-1].document == versions[0].document:
            return
        mappings.save(
            session,
            connection_id=seeded.salesforce.connection.id,
            name="New leads",
            document=versions[0].document,
            source=versions[0].source,
            author="command",
            mapping_id=seeded.mapping_id,
        )


@pytest.fixture(scope="session")
def start_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Gives browsers; each has a profile of its own, and all are closed at the end."""
    if not CHROMIUM.exists() or not shutil.which("chromedriver"):
        pytest.skip("Chromium and chromedriver are not on this machine")
    started: list[webdriver.Chrome] = []

    def start(width: int = 1280, height: int = 900, *more: str) -> webdriver.Chrome:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, *more, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(
            options=options,
            service=Service(shutil.which("chromedriver"), env=dict(os.environ)),
        )
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        started.append(driver)
        return driver

    yield start
    for driver in started:
        driver.quit()
